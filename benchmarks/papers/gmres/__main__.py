"""The experiments of a document on GMRES for deconvolution, with its figures beside.

Run from the repository's root::

    python -m benchmarks.papers.gmres

Every experiment writes a Markdown file and its figures (PNG) to
benchmarks/results/papers/gmres, and results.md lists what is there. ``--only`` chooses
experiments and leaves the files of the others; plain, which takes minutes, runs only
so. ``--quick`` takes small sizes, for a check that takes seconds, and writes nothing
unless ``--output`` is given. Nothing else should run meanwhile: the load average in the
headings tells. The exit status is 1 if a claim fails that does not depend on times.
"""

from ...support.experiments import Command
from . import cycle, gaussian, matrices, motion, rivals, spectra

EXPERIMENTS = {
    "gaussian": ("Gaussian deblurring with restarts", gaussian.run),
    "spectra": ("Condition numbers and eigenvalues", spectra.run),
    "motion": ("Motion deblurring", motion.run),
    "plain": ("Plain GMRES for motion, as long as in the document", motion.run_plain),
    "cycle": ("The time of a cycle", cycle.run),
    "matrices": ("Sparse and near-singular matrices", matrices.run),
    "rivals": ("LSMR and auto on the same problems", rivals.run),
}
COMMAND = Command(
    "papers.gmres", "GMRES for deconvolution", __doc__, EXPERIMENTS, long=["plain"]
)

if __name__ == "__main__":
    COMMAND.exit()
