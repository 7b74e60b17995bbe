"""QR of tall matrices by blocks of rows (TSQR)."""

import numpy as np

from .._core.arrays import namespace
from .._core.blas_threads import one_blas_thread
from .._core.threads import parallel_map

ROWS = 4  # least height of a block of rows, in units of the columns
PIECES = 8  # blocks at most


def tall_qr(A):
    """``A = Q R`` by Householder's reflections, with a non-negative diagonal of R.

    Threads factorize blocks of rows, and the stacked factors R are factorized once
    more. Q is as orthogonal as that of a QR of the whole, whatever the condition of A
    (Demmel, Grigori, Hoemmen and Langou, 2012).
    """
    xp = namespace(A)
    rows, columns = A.shape
    pieces = min(rows // max(ROWS * columns, 1), PIECES)
    if xp is not np or pieces < 2 or not columns:
        with one_blas_thread:
            return _positive(xp, *xp.linalg.qr(A))
    # here, since importing convinv loads no numba
    cuts = [i * rows // pieces for i in range(pieces + 1)]
    with one_blas_thread:
        parts = parallel_map(np.linalg.qr, [A[a:b] for a, b in zip(cuts, cuts[1:])])
        top, R = np.linalg.qr(np.concatenate([part.R for part in parts]))
        top, R = _positive(xp, top, R)
        Q = np.empty((rows, columns), top.dtype)

        def finish(i):
            block = top[i * columns : (i + 1) * columns]
            np.matmul(parts[i].Q, block, out=Q[cuts[i] : cuts[i + 1]])

        parallel_map(finish, range(pieces))
    return Q, R


def _positive(xp, Q, R):
    diagonal = xp.diagonal(R)
    size = abs(diagonal)
    phase = xp.where(size > 0, diagonal / xp.where(size > 0, size, 1), 1)
    k = len(phase)
    phase = phase.astype(Q.dtype)
    Q[:, :k] *= phase
    R[:k] *= phase.conj()[:, None]
    return Q, R
