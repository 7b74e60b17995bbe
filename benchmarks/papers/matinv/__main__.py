"""The experiments of a paper on neural matrix inversion, with its figures beside ours.

Run from the repository's root::

    python -m benchmarks.papers.matinv

Every experiment writes a Markdown file and its figures (PNG) to
benchmarks/results/papers/matinv, and results.md lists what is there. ``--only`` chooses
experiments and leaves the files of the others. ``--quick`` takes few matrices and
trains for a second, and writes nothing unless ``--output`` is given. All of it takes
about half an hour on two cores, nearly all of it for training; nothing else should run
meanwhile. Needs PyTorch. The exit status is 1 if a claim fails that depends neither on
times nor on how a training turns out.
"""

from ...support.experiments import Command
from . import accuracy, nearby, patterns, region, tails, times

EXPERIMENTS = {
    "region": ("Feasible regions about four matrices", region.run),
    "tails": ("Why not all matrices: the tail of the inverse", tails.run),
    "accuracy": ("Errors of approximate inverses", accuracy.run),
    "patterns": ("What a small network does inside", patterns.run),
    "times": ("Table 3: times of inference", times.run),
    "nearby": ("Preconditioners of nearby convolutions", nearby.run),
}
COMMAND = Command("papers.matinv", "Neural matrix inversion", __doc__, EXPERIMENTS)

if __name__ == "__main__":
    COMMAND.exit()
