"""The experiments on learning the Radon transform's singular functions from pairs.

Run from the repository's root::

    python -m benchmarks.papers.spectral

Every experiment writes a Markdown file and its figures (PNG) to
benchmarks/results/papers/spectral, and results.md lists what is there. ``--only`` takes
some experiments and leaves the files of the others. ``--quick`` takes small images, for
a check that takes seconds, and writes nothing unless ``--output`` is given. The exit
status is 1 if a claim fails that does not depend on times. What the paper does not
publish, coefficients and the ranges of its phantoms, is chosen here, and printed.
"""

from ...support.experiments import Command
from . import analytic, decoding, phantoms, transform

EXPERIMENTS = {
    "transform": ("The discretized Radon transform", transform.run),
    "analytic": ("Training with singular functions", analytic.run),
    "phantoms": ("Training with phantoms", phantoms.run),
    "decoding": ("The two decoding tests", decoding.run),
}
COMMAND = Command(
    "papers.spectral",
    "Spectral function space learning and numerical linear algebra networks",
    __doc__,
    EXPERIMENTS,
)

if __name__ == "__main__":
    COMMAND.exit()
