"""The recursion of a block Cholesky factorization, a block row at a time.

Wide blocks of operators with arrays on a device are factorized there: products of their
matrices take hundreds of times longer on the host.
"""

import numpy as np
from scipy.linalg import lapack

from .._core.arrays import namespace, to_numpy
from .._core.errors import Singular
from ..kernels.sweeps.block_rows import BlockRow, lower_part

WIDE = 256  # width from which on a device makes the blocks
FAILED = 1e3  # rounding errors of a pivot block that its factor may leave


class Recursion:
    """Computes block rows of L and D from the previous ones.

    `rows` and `which` are those of the factor so far; `xp` is the library of the
    arrays.
    """

    def __init__(self, band, rows, which, xp=np):
        self.band, self.rows, self.which, self.xp = band, rows, which, xp
        self.last = None

    def advance(self, block, entries):
        """``(L[i, i - p ..], D[i], D[i]^-1)`` of one block row."""
        xp = self.xp
        *lower, pivot = (e.copy() for e in entries)
        first = block - len(lower)
        scaled = []
        for a, target in enumerate(lower):
            for k in range(a):
                earlier = self._lower(first + a, first + k)
                if earlier is not None:
                    target -= lower[k] @ earlier.conj().transpose(0, 2, 1)
            scaled.append(target @ self.rows[self.which[first + a]].inverse)
        for target, part in zip(lower, scaled):
            pivot -= target @ part.conj().transpose(0, 2, 1)
        pivot = (pivot + pivot.conj().transpose(0, 2, 1)) / 2
        made = xp.concatenate([*lower, pivot], axis=2)  # L D and D, of one size
        if self.last is not None and self.last.shape == made.shape:
            self.change = float(xp.max(xp.abs(made - self.last))) / peak(pivot)
        self.last = made
        empty = xp.zeros((*pivot.shape[:2], 0), dtype=pivot.dtype)
        return xp.concatenate([empty, *scaled], axis=2), pivot, inverse(pivot)

    def _lower(self, row, column):
        """L[row, column], None where it is zero."""
        found = self.rows[self.which[row]]
        have = found.lower.shape[2] // found.lower.shape[1]
        return lower_part(found, row - column) if row - column <= have else None


def stored(row, dtype, tiny):
    """A block row in `dtype`; in single precision without entries below `tiny`."""
    return BlockRow(*(_stored(matrices, dtype, tiny) for matrices in row))


def _stored(matrices, dtype, tiny):
    matrices = matrices.astype(dtype, copy=False)
    if np.finfo(dtype).eps > tiny and matrices.size:
        size = abs(matrices)
        matrices[size < tiny * size.max()] = 0
    return matrices


def peak(matrices) -> float:
    """The largest entry on the diagonals of ``(groups, w, w)``."""
    return float(abs(matrices.diagonal(axis1=1, axis2=2)).max())


def norm(matrices):
    """The largest sum of a row of each of ``(groups, w, w)``, on the host."""
    return to_numpy(abs(matrices).sum(axis=2).max(axis=1))


def inverse(pivots):
    """Inverses of Hermitian positive definite matrices ``(groups, w, w)``."""
    xp, bad = namespace(pivots), []
    result = xp.empty_like(pivots)
    one = _inverse_on_host if xp is np else _inverse_on_device
    for group, pivot in enumerate(pivots):
        found = one(pivot)
        if found is None:
            bad.append(group)
        else:
            result[group] = found
    if bad:
        raise Singular(
            "the layer is rank-deficient to working precision: a pivot block is not "
            "definite",
            bad,
        )
    return result


def _inverse_on_host(pivot):
    """None if the matrix is not definite."""
    potrf, potri = lapack.get_lapack_funcs(("potrf", "potri"), (pivot,))
    factor, info = potrf(pivot, lower=True)  # zero above the diagonal
    if info == 0:
        found, info = potri(factor, lower=True, overwrite_c=True)
    if info or not np.all(np.isfinite(found)):
        return None
    whole = found + found.conj().T
    diagonal = np.arange(len(whole))
    whole[diagonal, diagonal] /= 2
    return whole


def _inverse_on_device(pivot):
    """None if the matrix is not definite.

    CuPy does not tell whether a factorization failed: L L^H is compared with the
    matrix.
    """
    xp = namespace(pivot)
    try:
        factor = xp.tril(xp.linalg.cholesky(pivot))
    except np.linalg.LinAlgError:
        return None
    rounding = FAILED * len(pivot) * float(np.finfo(pivot.dtype).eps)
    least = xp.diagonal(factor).real.min()
    left = xp.max(xp.abs(factor @ factor.conj().T - pivot))
    good = (least > 0) & (left <= rounding * xp.max(xp.abs(pivot)))
    if not bool(good):  # also if it is NaN
        return None
    half = xp.linalg.inv(factor)
    found = half.conj().T @ half
    return found if bool(xp.isfinite(found).all()) else None
