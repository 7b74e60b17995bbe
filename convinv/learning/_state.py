"""A basis of the images and its data under the operator, from blocks of pairs."""

import numpy as np

from .._core.arrays import namespace
from .._core.blas_threads import one_blas_thread
from .._linalg.tall_qr import tall_qr
from ._orthonormalize import extend


class State:
    """The information of the pairs so far, as rows.

    Attributes
    ----------
    Q : array, shape (r, n)
        Basis of the images' span.
    P : array, shape (r, m)
        The basis under the operator: the least-squares solution of ``C P = Y``, with C
        the coefficients of all images in Q.
    T : array, shape (r, r)
        With ``T^H T = C^H C``.
    spare : int
        Pairs whose image was in the span of earlier ones.
    misfit : float
        The residual ``||Y - C P||^2``, which is due to the spare pairs.
    pairs : int
    x_squares, y_squares : float
        Of all images, and of all data.
    """

    def __init__(self, X, Y):
        xp = namespace(X)
        self.Q = xp.zeros((0, X.shape[1]), dtype=X.dtype)
        self.P = xp.zeros((0, Y.shape[1]), dtype=np.result_type(X.dtype, Y.dtype))
        self.T = xp.zeros((0, 0), dtype=X.dtype)
        self.pairs = self.spare = 0
        self.misfit = self.x_squares = self.y_squares = 0.0

    def add(self, X, Y, method, tol):
        """Add a block of pairs."""
        xp = namespace(X)
        with one_blas_thread:
            old = self.Q.shape[0]
            Q, C, kept = extend(self.Q, X, method, tol)
            at = xp.asarray(kept)
            here = C[at]
            # new rows of P: subtract the part of the old rows from their data
            fresh = Y[at] - here[:, :old] @ self.P if old else Y[at]
            fresh = _lower(here[:, old:], fresh) if len(kept) else fresh * 1
            self.Q = xp.concatenate([self.Q, Q]) if old else xp.ascontiguousarray(Q)
            self.P = xp.concatenate([self.P, fresh]) if old else fresh
            self.T = _grown(self.T, here)
            rest = np.setdiff1d(np.arange(X.shape[0]), kept)
            if rest.size:
                rest = xp.asarray(rest)
                self._refine(C[rest], Y[rest])
        self.pairs += X.shape[0]
        self.x_squares += float((abs(X) ** 2).sum())
        self.y_squares += float((abs(Y) ** 2).sum())

    def _refine(self, C, Y):
        """Recursive least squares: correct P by pairs that add nothing to the basis."""
        xp = namespace(C)
        self.spare += C.shape[0]
        error = Y - C @ self.P
        if not self.Q.shape[0]:
            self.misfit += float((abs(error) ** 2).sum())
            return
        # C T^-1, by the transposed system
        S = xp.linalg.solve(self.T.T, C.T).T
        one = xp.eye(S.shape[0], dtype=S.dtype)
        gain = xp.linalg.solve(one + S @ S.conj().T, error)
        self.P = self.P + xp.linalg.solve(self.T, S.conj().T @ gain)
        self.misfit += float((error.conj() * gain).sum().real)
        self.T = tall_qr(xp.concatenate([self.T, C]))[1]


def _lower(L, B):
    """``L^-1 B`` for a lower triangular L.

    With rows and columns reversed L is upper triangular, and LU without exchanges is
    substitution.
    """
    return namespace(L).linalg.solve(L[::-1, ::-1], B[::-1])[::-1]


def _grown(T, rows):
    """T with more rows, which reach over more columns."""
    xp = namespace(rows)
    old, new = T.shape[0], rows.shape[0]
    grown = xp.zeros((old + new, old + new), dtype=np.result_type(T.dtype, rows.dtype))
    grown[:old, :old], grown[old:] = T, rows
    return grown
