"""The operator, the training images, and what is learned from them."""

from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import svds

from convinv.learning import SpectralOperator
from convinv.operators import Radon

DEGREES = 13  # of the paper's 49 training functions: cosines, m = 0, ..., 12
PHANTOMS = 20
ELLIPSES = 10
INTENSITY, SEMI_AXES, CENTER = (-1.0, 1.0), (0.05, 0.5), 0.6
RANGES = (
    f"{ELLIPSES} ellipses each, intensity U{INTENSITY}, semi-axes U{SEMI_AXES}, center "
    f"in the disk of radius {CENTER}, angle U(0, pi)"
)


class Setting(NamedTuple):
    """Size of the images and number of angles."""

    size: int
    angles: int

    def operator(self):
        return Radon(self.size, angles=self.angles)

    def __str__(self):
        return f"{self.size} x {self.size} pixels, {self.angles} angles"


PAPER, SMALL = Setting(128, 180), Setting(40, 48)


def setting(quick):
    return SMALL if quick else PAPER


def cosines(degrees=DEGREES):
    """The pairs (m, l) with l >= 0."""
    return [(m, n) for m in range(degrees) for n in range(m % 2, m + 1, 2)]


def phantoms(op, count, rng):
    """Sums of random ellipses, shape (count, size, size)."""
    rng = np.random.default_rng(rng)
    t = (np.arange(op.size) + 0.5) * 2 / op.size - 1
    images = np.zeros((count, op.size, op.size))
    for image in images:
        for _ in range(ELLIPSES):
            intensity, angle = rng.uniform(*INTENSITY), rng.uniform(0, np.pi)
            a, b = rng.uniform(*SEMI_AXES, 2)
            radius, turn = CENTER * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
            x, y = t - radius * np.cos(turn), -t[:, None] - radius * np.sin(turn)
            along = x * np.cos(angle) + y * np.sin(angle)
            across = y * np.cos(angle) - x * np.sin(angle)
            image += intensity * ((along / a) ** 2 + (across / b) ** 2 <= 1)
    return images * op.mask


def mixtures(images, count, rng):
    """Random linear combinations of images."""
    weights = np.random.default_rng(rng).standard_normal((count, len(images)))
    return np.tensordot(weights, images, axes=1)


def learn(op, images, weighted=True):
    """The operator from the pairs (x, op x) alone."""
    weights = (op.image_weights, op.data_weights) if weighted else None
    return SpectralOperator.fit(images, op.forward(images), weights=weights)


def exact_values(op, count):
    """The first singular values of the discretized operator itself."""
    start = np.random.default_rng(0).standard_normal(min(op.shape))
    options = {"return_singular_vectors": False, "tol": 1e-6, "v0": start}
    return np.sort(svds(op.weighted(), count, **options))[::-1]


def norm(images, weights):
    """Weighted norms of images, or of data."""
    return np.sqrt((weights * np.abs(images) ** 2).sum(axis=(-2, -1)))
