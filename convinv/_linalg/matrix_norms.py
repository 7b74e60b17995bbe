"""Stacks of square matrices ``(..., n, n)`` and upper bounds of their norms."""

import numpy as np

from .._core.arrays import namespace, working_dtype
from .._core.validation import choice

NORMS = ("spectral", "frobenius", "max")


def stack(array, name):
    """Square floating matrices from a user's argument, in its own library."""
    if namespace(array) is None or isinstance(array, np.matrix):
        array = np.asarray(array)
    xp = namespace(array)
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.shape[-1] == 0:
        raise ValueError(
            f"{name} must have shape (..., n, n) with n at least 1, got {array.shape}"
        )
    kind = working_dtype(str(array.dtype).rsplit(".", 1)[-1], name).name
    return xp.astype(array, getattr(xp, kind), copy=False)


def same_library(A, other, name):
    """Raise for stacks of another library or size than A."""
    if namespace(A) is not namespace(other):
        raise TypeError(
            f"{name} must be an array of {namespace(A).__name__}, as the other matrix "
            f"is, got {type(other).__module__}.{type(other).__name__}"
        )
    if A.shape[-1] != other.shape[-1]:
        raise ValueError(
            f"{name} must be of {A.shape[-1]} x {A.shape[-1]} matrices, "
            f"got shape {other.shape}"
        )


def named_norm(norm):
    """`norm`, if it is the name of one."""
    return choice(norm, "norm", NORMS)


def adjoint(M):
    """The conjugate transpose of each matrix."""
    xp = namespace(M)
    M = xp.moveaxis(M, -1, -2)
    return xp.conj(M) if xp.isdtype(M.dtype, "complex floating") else M


def row_sums(M):
    """The norm of each matrix from the maximum norm to itself."""
    xp = namespace(M)
    return xp.max(xp.sum(xp.abs(M), axis=-1), axis=-1)


def column_sums(M):
    """The norm of each matrix from the 1-norm to itself."""
    xp = namespace(M)
    return xp.max(xp.sum(xp.abs(M), axis=-2), axis=-1)


def frobenius(M):
    """The Frobenius norm of each matrix, also where squares over- or underflow."""
    xp = namespace(M)
    size = xp.abs(M)
    largest = xp.max(size, axis=(-2, -1))
    unit = xp.where(largest > 0, largest, xp.ones_like(largest))
    size = size / unit[..., None, None]
    return unit * xp.sqrt(xp.sum(size * size, axis=(-2, -1)))


def spectral_bound(M):
    """An upper bound of the 2-norm of each matrix, at the cost of reading it."""
    xp = namespace(M)
    geometric = xp.sqrt(row_sums(M)) * xp.sqrt(column_sums(M))
    return xp.minimum(geometric, frobenius(M))


def identity_like(M):
    """The identity with M's dtype, on M's device."""
    xp = namespace(M)
    n = M.shape[-1]
    return xp.eye(n, dtype=M.dtype) + xp.zeros_like(M[..., :1, :1])


def rounding(M):
    """``gamma_(n + 2)`` of Higham: the relative error of a sum of n + 2 products."""
    xp = namespace(M)
    unit = float(xp.finfo(M.dtype).eps) / 2
    terms = M.shape[-1] + 2
    if xp.isdtype(M.dtype, "complex floating"):
        terms = 4 * terms  # a complex product is one of four real ones
    return terms * unit / (1 - terms * unit)
