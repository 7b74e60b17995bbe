"""Pseudoinverses of large dense matrices on a device."""

import numpy as np

from .._core.arrays import namespace
from .pseudoinverse import cutoff

WORK = 2e8  # multiplications above which a device is faster than the host


def pays(shape) -> bool:
    """Whether a matrix of that shape is large enough for a device."""
    return shape[0] * shape[1] * min(shape) > WORK


def full_rank_inverse(matrix, damp=0.0, rcond=None):
    """``(A^H A + damp^2 I)^-1 A^H`` by QR, for a matrix on a device.

    None unless the matrix certainly has the rank that `pseudoinverse` would find, full
    rank: that function estimates the condition number from below, here it is computed.
    """
    xp, rcond = namespace(matrix), cutoff(matrix, rcond)
    m, n = matrix.shape
    if m < n:
        found = full_rank_inverse(matrix.conj().T, damp, rcond)
        return None if found is None else found.conj().T
    scale = 2.0 ** -np.frexp(float(xp.abs(matrix).max()))[1]
    tall = matrix * scale
    if damp:
        tall = xp.concatenate([tall, damp * scale * xp.eye(n, dtype=matrix.dtype)])
    Q, R = xp.linalg.qr(tall)
    inverse = xp.linalg.inv(R)
    product = _one_norm(xp, R) * _one_norm(xp, inverse)
    if not product * max(rcond, np.finfo(float).eps) * n < 1:  # also if it is NaN
        return None
    return scale * (inverse @ Q[:m].conj().T)


def _one_norm(xp, matrix):
    return float(xp.abs(matrix).sum(axis=0).max())
