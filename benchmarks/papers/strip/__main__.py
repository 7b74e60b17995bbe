"""The experiments of the STRIP paper, with its figures beside ours.

Run from the repository's root::

    python -m benchmarks.papers.strip

Every experiment writes a Markdown file and its figures (PNG) to
benchmarks/results/papers/strip, and results.md lists what is there. ``--only`` takes
some experiments and leaves the files of the others. Images are those that come with
scikit-learn and scikit-image; ``--mnist`` and ``--celeba`` take folders with the
paper's own. ``--quick`` takes few images and writes nothing unless ``--output`` is
given. Nothing else should run meanwhile: the load average in the headings tells. All
of it takes most of an hour on two cores. The exit status is 1 if a claim fails that
depends neither on times nor on what the paper does not publish.
"""

from ...support.experiments import Command
from . import arrangements, kernels, matching, single, sweep, tables, upconv

EXPERIMENTS = {
    "figure1": ("Figure 1: one photograph", single.run),
    "arrangements": ("Figures 4, 5 and 11: arrangements of rows", arrangements.run),
    "kernels": ("Other layers", kernels.run),
    "table1": ("Table 1, Figures 8 and 9: one iteration", tables.run_table1),
    "table2": ("Table 2: as close as one sweep", matching.run),
    "upconv": ("Table 3, Figures 6 and 12: transposed convolutions", upconv.run),
    "table4": ("Table 4: one iteration with 10 % noise", tables.run_table4),
    "sweep": ("The time of a sweep", sweep.run),
}
FOLDERS = {
    "mnist": "folder with MNIST's train-images-idx3-ubyte, packed or not",
    "celeba": "folder with the pictures of CelebA or CelebA-HQ",
}
COMMAND = Command(
    "papers.strip",
    "Fast and scalable inversion of convolution layers",
    __doc__,
    EXPERIMENTS,
    folders=FOLDERS,
)

if __name__ == "__main__":
    COMMAND.exit()
