"""Certified bounds on the error of candidate inverses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from .._core.arrays import namespace, to_numpy
from .._core.result import OnFailure, Result, Status, deliver, norm_text
from .._core.typing import ArrayInput
from .._linalg.matrix_norms import (
    frobenius,
    identity_like,
    named_norm,
    rounding,
    row_sums,
    same_library,
    spectral_bound,
    stack,
)


@dataclass(frozen=True, eq=False)
class Certificate:
    """The result of `certify`; each field is an array of the stack's shape.

    Attributes
    ----------
    bound : array
        Upper bound of ``||X - A^-1||``, infinite where nothing is proven.
    residual : array
        Upper bound of ``||I - X A||`` in the norm that the bound needs.
    proven : array of bool
        Whether the residual is below 1, which proves that A and X are nonsingular.
    norm : str
        The norm of `bound`.
    """

    bound: Any
    residual: Any
    proven: Any
    norm: str


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class InverseResult(Result):
    """An approximate inverse and what is known of it.

    Attributes
    ----------
    x : array, shape (..., n, n)
        The approximate inverses.
    success : bool
        Whether every matrix of the stack has what was asked for.
    status : Status
        Why the iterations ended.
    message : str
        What happened, and what to do about it.
    nit : int
        Products of pairs of matrices, or iterations, that it took.
    bound : array, shape (...)
        Upper bound of the spectral norm of ``x - A^-1``, by `certify`; infinite where
        nothing is proven.
    residual_norm : array, shape (...)
        Upper bound of the spectral norm of ``I - x A``.
    history : list of array
        Frobenius norms of ``I - A x`` by iteration, where there are iterations.
    method : str
        The name of the function or class.
    seconds : float
        Wall-clock time.
    extra : dict
        Empty.
    """

    bound: Any
    residual_norm: Any

    def _measures(self):
        return {
            "bound": norm_text(to_numpy(self.bound)),
            "residual": norm_text(to_numpy(self.residual_norm)),
        }


def proven_result(A, x, *, nit, method, advice, started, on_failure: OnFailure):
    """The result of an approximation `x`; a success where `certify` has a bound.

    `advice` says what to do about the others. To be called by the user's function.
    """
    found = certify(A, x)
    proven = to_numpy(found.proven)
    message = "every error is bounded"
    if not proven.all():
        count = proven.size - int(proven.sum())
        message = f"no bound for {count} of {proven.size} matrices: {advice}"
    result = InverseResult(
        x=x,
        success=bool(proven.all()),
        status=Status.CONVERGED if proven.all() else Status.STALLED,
        message=message,
        nit=nit,
        history=[],
        method=method,
        seconds=time.perf_counter() - started,
        bound=found.bound,
        residual_norm=found.residual,
    )
    return deliver(result, on_failure, stacklevel=3)


def certify(
    A: ArrayInput,
    X: ArrayInput,
    norm: Literal["spectral", "frobenius", "max"] = "spectral",
) -> Certificate:
    """An upper bound of ``||X - A^-1||``, rounding errors included.

    ``R = I - X A`` implies ``A^-1 = (I - R)^-1 X``. An X whose residual is below 1
    therefore proves that A has an inverse, and bounds its distance:
    ``||X - A^-1|| <= ||R|| ||X|| / (1 - ||R||)``.

    Parameters
    ----------
    A : array_like, shape (..., n, n)
        Real or complex matrices.
    X : array_like, shape (..., n, n)
        Candidates for their inverses.
    norm : {"spectral", "frobenius", "max"}
        The norm of the bound: 2-norm, Frobenius norm or largest entry.

    Returns
    -------
    Certificate
        With fields of the stacks' common shape.

    Raises
    ------
    ValueError
        For shapes that don't fit or an unknown norm.
    TypeError
        For arrays of two libraries, or with a dtype that is not numeric.

    Notes
    -----
    The computed residual differs from R entry by entry by at most
    ``gamma (|X| |A| + I)`` with ``gamma = (n + 2) u / (1 - (n + 2) u)``, u half the
    machine precision (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
    sections 3.5 and 14.1), which is added. Norms that would need singular values are
    bounded by ``min(||.||_F, sqrt(||.||_1 ||.||_inf))``. Underflow is neglected. The
    cost is two products of matrices and storage for four stacks.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.local_inverse import certify
    >>> A = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> good = certify(A, np.linalg.inv(A))
    >>> bool(good.proven), bool(good.bound < 1e-14)
    (True, True)
    >>> float(certify(A, np.eye(2)).bound)  # too far off: nothing is proven
    inf
    """
    named_norm(norm)
    A, X = stack(A, "A"), stack(X, "X")
    same_library(A, X, "X")
    xp = namespace(A)
    R = identity_like(X) - X @ A
    size = xp.abs(X) @ xp.abs(A)
    size = size + identity_like(size)
    n = A.shape[-1]
    gamma = max(rounding(A), rounding(X))
    measure = row_sums if norm == "max" else spectral_bound
    residual = measure(R) + gamma * measure(size)
    whole = {"spectral": spectral_bound, "frobenius": frobenius, "max": _largest}
    length = whole[norm](X)
    slack = 1 + 8 * n * gamma  # of the norms' own sums, and of the operations below
    residual = residual * slack
    proven = residual < 1
    rest = xp.where(proven, 1 - residual, xp.ones_like(residual))
    bound = xp.where(
        proven, residual * length / rest * slack, xp.full_like(residual, xp.inf)
    )
    return Certificate(bound, residual, proven, norm)


def _largest(M):
    xp = namespace(M)
    return xp.max(xp.abs(M), axis=(-2, -1))
