"""The paper's problem: images behind a layer and noise; the pseudoinverse's answer."""

from typing import NamedTuple

import numpy as np

from convinv import ConvLinearOperator, gallery

from ...support.quiet import quietly
from . import data

EXACT = 1e-9  # of the normal residual, for the pseudoinverse's answer in float64


class Case(NamedTuple):
    """Square images, filters of 3 x 3 without padding, and how many images at once."""

    size: int
    batch: int = 200
    filters: int = 8

    def __str__(self):
        return f"{self.size} x {self.size} x {self.channels}"

    @property
    def channels(self):
        return 1 if self.size <= data.GRAY else 3

    def operator(self, seed=0, kernel=None):
        """A new operator, by default with initial weights; no set-up is kept in it."""
        if kernel is None:
            kernel = gallery.conv_layer(
                self.channels, self.filters, rng=seed, dtype=np.float32
            )
        return ConvLinearOperator(kernel, (self.channels, self.size, self.size))


class Problem(NamedTuple):
    """Images `x`, noisy data `b` behind the layer, and the least-squares solution."""

    x: np.ndarray
    b: np.ndarray
    pinv: np.ndarray


def problem(op, images, noise, rng):
    """Noise of a fraction of the standard deviation of each image."""
    b = gallery.add_noise(op.forward(images), noise, rng=rng, reference=images)
    exact = quietly(op.astype("float64"), b.astype("float64"), "auto", rtol=EXACT)
    if not exact.success:
        raise RuntimeError(f"no exact solution to compare with: {exact.message}")
    return Problem(images, b, exact.x)
