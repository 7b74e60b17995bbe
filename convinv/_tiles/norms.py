"""Norms and dot products that tiles contribute to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import kernels
from .._core.arrays import namespace


class Norms(NamedTuple):
    """Sums of squares for each item of a batch, which add up over tiles with ``+``.

    Attributes
    ----------
    data : ndarray, shape (B,)
        Of b, where a pass started from ``x = 0``.
    residual : ndarray, shape (B,)
        Of ``b - A x``.
    penalty : ndarray, shape (penalties, B)
        Of each penalty.
    normal : ndarray, shape (B,)
        Of the normal residual.
    gradient : ndarray, shape (B,)
        Of the normal residual of ``x = 0``, where a pass started from that.
    solution : ndarray, shape (B,)
        Of x.
    """

    data: np.ndarray
    residual: np.ndarray
    penalty: np.ndarray
    normal: np.ndarray
    gradient: np.ndarray
    solution: np.ndarray

    def __add__(self, other):  # type: ignore[override]
        return Norms(*(a + b for a, b in zip(self, other, strict=True)))


class Dots(NamedTuple):
    """Dot products for each item of a batch, which add up over tiles with ``+``.

    Attributes
    ----------
    first, second : ndarray, shape (B,)
    """

    first: np.ndarray
    second: np.ndarray | float = 0.0

    def __add__(self, other):  # type: ignore[override]
        return Dots(*(a + b for a, b in zip(self, other, strict=True)))


def dots(x, y):
    """``sum conj(x) y`` of each item, its real part, on the host."""
    xp = namespace(x)
    x, y = (xp.ascontiguousarray(a).reshape((len(a), -1)) for a in (x, y))
    found = kernels.load("vectors", xp).dot(x, y).real
    return found if xp is np else found.get()


def squares(array):
    """The sum of squares of each item, on the host."""
    xp = namespace(array)
    if xp is np and not array.flags.c_contiguous:  # a small copy at a time
        channels = range(array.shape[1])
        return sum(
            (squares(np.ascontiguousarray(array[:, c])) for c in channels),
            np.zeros(len(array)),
        )
    flat = xp.ascontiguousarray(array).reshape((len(array), -1))
    if not flat.shape[1]:
        return np.zeros(len(array))
    found = kernels.load("vectors", xp).sumsq(flat)
    return found if xp is np else found.get()
