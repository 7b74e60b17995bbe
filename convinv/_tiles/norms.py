"""The norms of a solution that tiles contribute to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


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
