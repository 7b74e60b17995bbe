"""QR factorization of a tall matrix whose nonzeros can be ordered into a narrow band.

The matrix of a long strip is one: an output reaches few of the strip's unknowns. Its
pseudoinverse is dense, but R is banded, and Q a chain of small orthogonal matrices.
"""

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import csgraph

from .._core.blas_threads import one_blas_thread

LEAST_COLUMNS = 256  # below, dense matrices are as fast
BANDS = 8  # a band is narrow if this many of them fit into the columns
ITEMS = 256  # right-hand sides at a time, so that their memory stays in the cache


class BandedQR:
    """Least-squares solutions of a matrix of full column rank.

    The columns are ordered into a band and cut into blocks of its width, so that a row
    touches two of them. Block by block, a small orthogonal matrix multiplies the rows
    that begin there and the remainder of earlier rows. That gives a block row of R and
    a remainder of at most a block of rows for the next step.

    Attributes
    ----------
    R : ndarray
        The triangular factor, of the columns in their new order.
    shape : tuple of int
    """

    def __init__(self, matrix, order, band):
        self.shape = matrix.shape
        self.place = np.argsort(order)
        first, _ = _reach(matrix, self.place)
        sets = first // band
        matrix = matrix[:, order]
        n = matrix.shape[1]
        edges = [*range(0, n, band), n]
        self.blocks = [slice(*pair) for pair in zip(edges, edges[1:])]
        self.rows = [np.flatnonzero(sets == i) for i in range(len(self.blocks))]
        self.R = np.zeros((n, n), matrix.dtype)
        self.forward = []
        left = np.zeros((0, band), matrix.dtype)
        for i, (block, rows) in enumerate(zip(self.blocks, self.rows)):
            stop = edges[min(i + 2, len(self.blocks))]
            new = matrix[rows, block.start : stop].toarray()
            stacked = np.zeros((len(left) + len(new), new.shape[1]), new.dtype)
            stacked[: len(left), : left.shape[1]] = left
            stacked[len(left) :] = new
            Q, R = linalg.qr(stacked, mode="economic", check_finite=False)
            width = block.stop - block.start
            if len(R) < width:
                raise np.linalg.LinAlgError("fewer rows than columns")
            self.R[block, block.start : stop] = R[:width]
            left = R[width:, width:]
            self.forward.append(np.ascontiguousarray(Q.conj()))

    def solver(self, dtype):
        """A function that maps right-hand sides (B, m) to solutions (B, n)."""
        forward = [Q.astype(dtype) for Q in self.forward]
        backward = [part.T.astype(dtype) for part in self._backward()]

        def solve(b):
            x = np.empty((len(b), self.shape[1]), dtype)
            left = np.empty((len(b), 0), dtype)
            for block, rows, Q in zip(self.blocks, self.rows, forward):
                below = np.concatenate([left, b[:, rows]], axis=1) @ Q
                width = block.stop - block.start
                x[:, block], left = below[:, :width], below[:, width:]
            for block, back in zip(self.blocks[::-1], backward[::-1]):
                stop = block.start + len(back)
                x[:, block] = x[:, block.start : stop] @ back
            return np.take(x, self.place, axis=1)

        return solve

    def _backward(self):
        """``R_ii^-1 (I, -R_i,i+1)`` of every block row."""
        for i, block in enumerate(self.blocks):
            (trtri,) = linalg.get_lapack_funcs(("trtri",), (self.R,))
            inverse, _ = trtri(self.R[block, block])
            parts = [inverse]
            for after in self.blocks[i + 1 : i + 2]:
                parts.append(-inverse @ self.R[block, after])
            yield np.concatenate(parts, axis=1)

    @property
    def nbytes(self):
        return self.R.nbytes + sum(Q.nbytes for Q in self.forward)

    def pseudoinverse(self):
        solve, unit = self.solver(self.R.dtype), np.eye(self.shape[0])
        found = np.empty(self.shape, self.R.dtype)
        for start in range(0, len(unit), ITEMS):
            found[start : start + ITEMS] = solve(unit[start : start + ITEMS])
        return found.T


def banded_qr(matrix):
    """The factorization of a dense array, None if it has no narrow band."""
    m, n = matrix.shape
    if m < n or n < LEAST_COLUMNS or np.count_nonzero(matrix) > m * n // BANDS:
        return None
    A = sparse.csr_array(matrix)
    touching = sparse.csr_matrix(abs(A.T) @ abs(A))
    order = csgraph.reverse_cuthill_mckee(touching, symmetric_mode=True)
    first, last = _reach(A, np.argsort(order))
    band = max(int(np.max(last - first)), 1)
    if band > n // BANDS:
        return None
    try:
        with one_blas_thread:
            return BandedQR(A, order, band)
    except np.linalg.LinAlgError:
        return None


def _reach(matrix, place):
    """First and last column of every row after columns have been reordered."""
    full = np.flatnonzero(np.diff(matrix.indptr))
    columns = place[matrix.indices]
    first, last = np.zeros((2, matrix.shape[0]), int)
    starts = matrix.indptr[full]
    first[full] = np.minimum.reduceat(columns, starts)
    last[full] = np.maximum.reduceat(columns, starts)
    return first, last
