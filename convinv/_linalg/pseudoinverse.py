"""Pseudoinverses of small dense matrices, by three factorizations."""

from __future__ import annotations

import contextlib
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import linalg

from .._core.blas_threads import one_blas_thread
from .._core.typing import ArrayInput
from .._core.validation import choice
from .banded_qr import banded_qr

Factorization = Literal["qr", "svd", "normal"]
THREADED_WORK = 1e9  # multiplications from which on a BLAS may use its threads


class Pseudoinverse(NamedTuple):
    """P, its numerical rank, and the factorization that was used."""

    P: np.ndarray
    rank: int
    factorization: str


def pseudoinverse(
    matrix: ArrayInput,
    factorization: Factorization = "qr",
    damp: float = 0.0,
    rcond: float | None = None,
) -> Pseudoinverse:
    """Pseudoinverse, or damped inverse ``(A^H A + damp^2 I)^-1 A^H``, of a matrix.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
    factorization : {"qr", "svd", "normal"}, optional
        QR of the matrix (of its adjoint if it is wide), SVD, or Cholesky of the normal
        equations, which squares the condition number. If the matrix turns out to be
        rank-deficient, the SVD replaces the others. QR exploits a narrow band.
    damp : float, optional
    rcond : float, optional
        Singular values up to `rcond` times the largest count as zero. Default
        ``max(m, n) * eps``. Not used with `damp`.

    Returns
    -------
    Pseudoinverse
        A named tuple ``(P, rank, factorization)``, P of shape (n, m), in double
        precision; the factorization is the one that gave P.

    Raises
    ------
    ValueError
        If `factorization` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.strips import pseudoinverse
    >>> P, rank, used = pseudoinverse([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    >>> P
    array([[0.25, 0.25, 0.  ],
           [0.25, 0.25, 0.  ]])
    >>> rank, used
    (1, 'svd')
    """
    choice(factorization, "factorization", get_args(Factorization))
    matrix = np.asarray(matrix)
    matrix = matrix.astype(np.result_type(matrix.dtype, np.float64))
    rcond = cutoff(matrix, rcond)
    if matrix.size == 0:
        return Pseudoinverse(matrix.conj().T, 0, factorization)
    scale = 2.0 ** -np.frexp(np.abs(matrix).max())[1]
    few = matrix.size * min(matrix.shape) < THREADED_WORK
    with one_blas_thread if few else contextlib.nullcontext():
        found = _found(matrix * scale, factorization, damp * scale, rcond)
    return found._replace(P=found.P * scale)


def _found(matrix, factorization, damp, rcond):
    if factorization != "svd":
        make = _by_qr if factorization == "qr" else _by_cholesky
        P = make(matrix, damp, rcond)
        if P is not None:
            return Pseudoinverse(P, min(matrix.shape), factorization)
    P, rank = _by_svd(matrix, damp, rcond)
    return Pseudoinverse(P, rank, "svd")


def banded_inverse(matrix, rcond=None):
    """The `BandedQR` of a matrix of full column rank, None for other matrices.

    Also None without a narrow band; see `pseudoinverse` for `rcond`.
    """
    return _banded(matrix, cutoff(matrix, rcond))


def cutoff(matrix, rcond):
    """`rcond`, or its default for a matrix."""
    if rcond is None:
        return max(matrix.shape, default=0) * np.finfo(float).eps
    return rcond


def _banded(matrix, rcond):
    factor = banded_qr(matrix)
    if factor is None or reciprocal_condition(factor.R) <= rcond * len(factor.R):
        return None
    return factor


def _by_qr(matrix, damp, rcond):
    """None where the matrix may be rank-deficient."""
    m, n = matrix.shape
    if m < n:
        P = _by_qr(matrix.conj().T, damp, rcond)  # the adjoint's; its adjoint is wanted
        return None if P is None else P.conj().T
    if damp:
        matrix = np.concatenate([matrix, damp * np.eye(n)])
    factor = _banded(matrix, rcond)
    if factor is not None:
        return factor.pseudoinverse()[:, :m]
    found = _cholesky_qr(matrix)
    if found is None:
        found = linalg.qr(matrix, mode="economic", check_finite=False)
    Q, R = found
    if reciprocal_condition(R) <= rcond * n:  # in the 1-norm, n times smaller at most
        return None
    return linalg.solve_triangular(R, Q[:m].conj().T, check_finite=False)


def _cholesky_qr(matrix):
    """QR by Cholesky, done twice; None if the condition number is too large for it.

    As accurate as Householder's up to a condition of ``eps**-0.5`` (Yamamoto,
    Nakatsukasa, Yanagisawa and Fukaya, 2015). It consists of matrix products, which run
    about ten times faster.
    """
    total = None
    for _ in range(2):
        try:
            R = linalg.cholesky(matrix.conj().T @ matrix, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        if total is None and reciprocal_condition(R) <= 1e-6:
            return None
        # X R = A, solved as R^T X^T = A^T
        matrix = linalg.solve_triangular(R, matrix.T, trans="T", check_finite=False).T
        total = R if total is None else R @ total
    return matrix, total


def _by_cholesky(matrix, damp, rcond):
    """None where the normal equations are not safely positive definite."""
    m, n = matrix.shape
    if m < n:
        P = _by_cholesky(matrix.conj().T, damp, rcond)
        return None if P is None else P.conj().T
    adjoint = matrix.conj().T
    gram = adjoint @ matrix + damp**2 * np.eye(n)
    try:
        factor = linalg.cholesky(gram, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    limit = max(rcond, np.sqrt(n * np.finfo(float).eps))
    if reciprocal_condition(factor) <= limit:
        return None
    return linalg.cho_solve((factor, False), adjoint, check_finite=False)


def _by_svd(matrix, damp, rcond):
    U, s, Vh = linalg.svd(matrix, full_matrices=False, check_finite=False)
    rank = int(np.count_nonzero(s > rcond * s[0]))
    if damp:
        filtered = s / (s**2 + damp**2)
    else:
        U, Vh, filtered = U[:, :rank], Vh[:rank], 1 / s[:rank]
    return (Vh.conj().T * filtered) @ U.conj().T, rank


def reciprocal_condition(R):
    """Reciprocal condition number of a triangular matrix in the 1-norm, estimated.

    0 if the matrix is not finite.
    """
    if not np.all(np.isfinite(R)):
        return 0.0
    (trcon,) = linalg.get_lapack_funcs(("trcon",), (R,))
    return trcon(R)[0]
