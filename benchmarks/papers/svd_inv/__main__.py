"""The experiments on low-rank priors and the gradients of singular values.

Run from the repository's root::

    python -m benchmarks.papers.svd_inv

Every experiment writes a Markdown file and its figures (PNG) to
benchmarks/results/papers/svd_inv, and results.md lists what is there. ``--only`` takes
some experiments and leaves the files of the others. ``--quick`` takes small images and
trains for a few steps, and writes nothing unless ``--output`` is given. Needs PyTorch
and scikit-image. The exit status is 1 if a claim fails that depends neither on times
nor on how a training turns out.
"""

from ...support.experiments import Command
from . import completion, gradients, mri, unrolled

EXPERIMENTS = {
    "gradients": ("Table 1: gradients where singular values meet", gradients.run),
    "completion": ("Color images from some of their entries", completion.run),
    "mri": ("Dynamic magnetic resonance imaging", mri.run),
    "unrolled": ("An unrolled network, and the gradients in it", unrolled.run),
}
COMMAND = Command(
    "papers.svd_inv",
    "Differentiable SVD and low-rank priors for inverse imaging problems",
    __doc__,
    EXPERIMENTS,
)

if __name__ == "__main__":
    COMMAND.exit()
