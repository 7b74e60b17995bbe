"""The singular functions of the Radon transform on the unit disk."""

from typing import NamedTuple

import numpy as np
from scipy import special


class SingularSystem(NamedTuple):
    """Singular functions of a `Radon`, sampled as it samples images and data.

    Attributes
    ----------
    orders : ndarray, shape (count, 2)
        Degree m and angular order l of each.
    values : ndarray, shape (count,)
        Singular values.
    images : ndarray, shape (count, size, size)
        Right singular functions u at the centers of the pixels, 0 outside the disk.
    data : ndarray, shape (count, angles, detectors)
        Left singular functions v.
    """

    orders: np.ndarray
    values: np.ndarray
    images: np.ndarray
    data: np.ndarray


def orders(count):
    """The first `count` pairs (m, l) in the order of their singular values."""
    degrees = int(np.ceil((np.sqrt(8 * count + 1) - 1) / 2))
    pairs = [(m, n) for m in range(degrees + 1) for n in range(-m, m + 1, 2)]
    return np.array(pairs[:count], dtype=np.int64).reshape(-1, 2)


def value(m):
    """The singular value of degree m, which has multiplicity m + 1."""
    return 2 * np.sqrt(np.pi / (np.asarray(m) + 1))


def circular(order, angle):
    """The angular factor of both functions."""
    if order == 0:
        return np.ones_like(angle)
    wave = np.cos if order > 0 else np.sin
    return np.sqrt(2) * wave(abs(order) * angle)


def image(m, order, rho, phi):
    """Zernike's polynomial at polar coordinates, of norm 1 in L2 of the disk."""
    n = abs(order)
    radial = rho**n * special.eval_jacobi((m - n) // 2, 0, n, 2 * rho**2 - 1)
    return np.sqrt((m + 1) / np.pi) * radial * circular(order, phi)


def data(m, order, phi, s):
    """Its transform divided by the singular value, of norm 1 in the weighted space."""
    profile = np.sqrt(1 - s**2) * special.eval_chebyu(m, s) / np.pi
    return circular(order, phi) * profile
