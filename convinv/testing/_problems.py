"""Small systems that solvers are put through, with their matrices."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._core.random_vectors import standard_normal
from ..operators._convolution import ConvLinearOperator


@dataclass(frozen=True)
class System:
    """An operator and its matrix in double precision.

    Attributes
    ----------
    op : ConvLinearOperator
    matrix : ndarray
    """

    op: Any
    matrix: np.ndarray

    @functools.cached_property
    def x(self) -> np.ndarray:
        """A solution, flat."""
        rng = np.random.default_rng(1)
        return standard_normal(rng, (self.op.shape[1],), self.op.dtype).astype(
            self.op.dtype
        )

    @functools.cached_property
    def b(self) -> np.ndarray:
        """A right-hand side in the range, flat."""
        return self.op.matvec(self.x)

    def residual(self, x: np.ndarray, b: np.ndarray) -> float:
        """``||b - A x|| / ||b||``, in double precision; 0 for b = A x = 0."""
        size = np.linalg.norm(b)
        r = float(np.linalg.norm(b - self.matrix @ x))
        return r / float(size) if size else r

    def gradient(self, x: np.ndarray, b: np.ndarray) -> float:
        """``||A^H (b - A x)|| / (||A|| ||b||)``."""
        rest = self.matrix.conj().T @ (b - self.matrix @ x)
        size = np.linalg.norm(self.matrix, 2) * np.linalg.norm(b)
        return float(np.linalg.norm(rest) / size)


def system(kind: str, dtype: DTypeLike = "float64", scale: float = 1.0) -> System:
    """The system of a kind, the same one each time.

    "tall" has more rows than columns and full rank, "periodic" also wraps around,
    "definite" is Hermitian and
    positive definite, "square" is neither; "singular" is the definite one's like with
    constants in its null space.
    """
    dtype = np.dtype(dtype)
    kernel, shape, options = _KINDS[kind](np.random.default_rng(0), dtype)
    op = ConvLinearOperator((scale * kernel).astype(dtype), shape, **options)
    wide = np.result_type(dtype, np.float64)
    return System(op, op.tosparse().toarray().astype(wide))


def _tall(rng, dtype):
    return standard_normal(rng, (6, 1, 3, 3), dtype), (1, 7, 8), {}


def _periodic(rng, dtype):
    kernel = standard_normal(rng, (6, 1, 3, 3), dtype)
    return kernel, (1, 7, 8), {"padding": 1, "boundary": "periodic"}


def _square(rng, dtype):
    kernel = 0.1 * standard_normal(rng, (2, 2, 3, 3), dtype)
    kernel[range(2), range(2), 1, 1] += 3
    return kernel, (2, 5, 6), {"padding": 1}


def _definite(rng, dtype):
    kernel = 0.1 * standard_normal(rng, (2, 2, 3, 3), dtype)
    kernel = kernel + np.flip(kernel, (2, 3)).swapaxes(0, 1).conj()
    kernel[range(2), range(2), 1, 1] += 3
    return kernel, (2, 5, 6), {"padding": 1}


def _singular(rng, dtype):
    kernel = -np.ones((1, 1, 3, 3))
    kernel[0, 0, 1, 1] = 8
    return kernel, (1, 5, 6), {"padding": 1, "boundary": "periodic"}


_KINDS = {
    "tall": _tall,
    "periodic": _periodic,
    "square": _square,
    "definite": _definite,
    "singular": _singular,
}
