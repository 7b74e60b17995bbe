"""Reference matrices, and how far an inverse is from the true one."""

import numpy as np
import pytest

from .arrays import random

KINDS = pytest.mark.parametrize(
    "kind", ["float32", "float64", "complex64", "complex128"]
)
NORMS = pytest.mark.parametrize("norm", ["spectral", "frobenius", "max"])


def center(n, kind="float64", seed=0, shape=()):
    return (random((*shape, n, n), kind, seed) / 2 + 3 * np.eye(n)).astype(kind)


def size(x, norm):
    """The norm of each matrix, by NumPy's singular values."""
    if norm == "max":
        return np.abs(x).max(axis=(-2, -1))
    return np.linalg.norm(x, {"spectral": 2, "frobenius": "fro"}[norm], axis=(-2, -1))
