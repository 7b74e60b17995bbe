"""QR factorization of a square block tridiagonal matrix, and of its inverse a band.

Orthogonal matrices of two block rows eliminate one block below the diagonal after the
other. No pivots are needed, as leading blocks may be singular where the matrix is not.
"""

import math

import numpy as np
from scipy import linalg

from .._core.blas_threads import one_blas_thread
from .._core.pulse import pulse

LARGE_BLOCK = 1024  # size above which the BLAS may use its threads


class BlockQR:
    """The factorization, with all that the blocks of the inverse need if `keep`.

    Parameters
    ----------
    block_row : callable
        ``block_row(i)`` is block row i as a dense array, from the columns of block
        ``i - 1`` to those of block ``i + 1``.
    edges : sequence of int
        Where blocks begin, and the size of the matrix.
    keep : bool

    Attributes
    ----------
    diagonal : ndarray
        The magnitudes of the diagonal of R.
    """

    def __init__(self, block_row, edges, keep):
        self.edges, self.steps = list(edges), []
        if max(np.diff(edges)) > LARGE_BLOCK:
            self._factor(block_row, keep)
        else:
            with one_blas_thread:
                self._factor(block_row, keep)

    def _factor(self, block_row, keep):
        top, count, diagonal = block_row(0), len(self.edges) - 1, []
        for i in range(count):
            pulse()
            width, stacked = self.edges[i + 1] - self.edges[i], top
            if i + 1 < count:
                new = block_row(i + 1)
                stacked = np.zeros((len(top) + len(new), new.shape[1]), new.dtype)
                stacked[: len(top), : top.shape[1]] = top
                stacked[len(top) :] = new
            Q, R = linalg.qr(stacked[:, :width], check_finite=False)
            turn = Q.conj().T
            rest = turn @ stacked[:, width:]
            diagonal.append(np.abs(np.diagonal(R)))
            if keep:
                self.steps.append((turn, R[:width], rest[:width]))
            top = rest[width:]
        self.diagonal = np.concatenate(diagonal)

    def inverse_columns(self):
        """``(i, part)``, from the last block column of the inverse to the first.

        `part` is block column i from the rows of block ``i - 1`` to those of ``i + 1``.
        Uses up what was kept. The factor must be regular.
        """
        part = None
        for i in reversed(range(len(self.edges) - 1)):
            pulse()
            turn, R, rest = self.steps.pop()
            width = len(R)
            if part is None:
                part = linalg.solve_triangular(R, turn, check_finite=False)
                continue
            # columns of blocks i and i + 1, turned back together
            head = turn[:width] - (rest @ part) @ turn[width:]
            upper = linalg.solve_triangular(R, head, check_finite=False)
            lower = part @ turn[width:]
            yield i + 1, np.concatenate([upper[:, width:], lower[:, width:]])
            after = turn.shape[1] - width
            part = np.concatenate([upper[:, :width], lower[:after, :width]])
        yield 0, part


def bytes_kept(edges, itemsize) -> int:
    """Bytes that a factorization keeps for the blocks of the inverse."""
    widths = [int(w) for w in np.diff(edges)] + [0, 0]
    entries = (
        (w + a) ** 2 + w * (w + a + b)
        for w, a, b in zip(widths, widths[1:], widths[2:])
    )
    return math.ceil(itemsize * sum(entries))
