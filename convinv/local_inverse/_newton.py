"""Newton's iteration for the inverse, using only products."""

from __future__ import annotations

import time

import numpy as np

from .._core.arrays import namespace, to_numpy
from .._core.result import OnFailure, Status, check_on_failure, deliver
from .._core.typing import ArrayInput
from .._core.validation import integer
from .._linalg.matrix_norms import (
    adjoint,
    column_sums,
    frobenius,
    identity_like,
    row_sums,
    same_library,
    stack,
)
from ._certify import InverseResult, certify

LOST = 1e8  # growth of a residual that has diverged


def newton_schulz(
    A: ArrayInput,
    X0: ArrayInput | None = None,
    *,
    rtol: float | None = None,
    maxiter: int = 100,
    on_failure: OnFailure = "warn",
) -> InverseResult:
    """Inverses by Newton's iteration ``X <- X (2 I - A X)`` of Schulz.

    Its residual is squared at every step, ``I - A X_(k+1) = (I - A X_k)^2``, so it
    converges if and only if the spectral radius of ``I - A X0`` is below 1, and then
    quadratically.

    Parameters
    ----------
    A : array_like, shape (..., n, n)
        Real or complex matrices.
    X0 : array_like, shape (..., n, n), optional
        The start, for example ``LocalInverse.inverse`` for A near a reference. By
        default ``A^H / (||A||_1 ||A||_inf)``, which converges for every nonsingular A.
    rtol : float, optional
        The Frobenius norm of ``I - A X`` to reach, by default the limit of rounding
        ``2 n eps ||A||_F ||X||_F``.
    maxiter : int
        Iterations at most. From the default start it takes about ``2 log2(cond(A)) +
        5`` of them.
    on_failure : {"warn", "raise", "ignore"}
        What to do where an item did not converge, as in `solve`.

    Returns
    -------
    InverseResult
        ``history`` holds the norms of ``I - A X`` from X0 on, each of shape (...).

    Raises
    ------
    ValueError, TypeError
        For shapes that don't fit, a negative `maxiter` or `rtol`.

    Warns
    -----
    ConvergenceWarning
        If an item did not converge.

    Notes
    -----
    An iteration costs two products of matrices; three stacks are stored. G. Schulz,
    "Iterative Berechnung der reziproken Matrix", ZAMM 13 (1933); the start is that of
    Ben-Israel and Cohen, SIAM J. Numer. Anal. 3 (1966).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.local_inverse import newton_schulz
    >>> A = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> found = newton_schulz(A)
    >>> found.success, bool(np.allclose(found.x @ A, np.eye(2)))
    (True, True)
    """
    started = time.perf_counter()
    check_on_failure(on_failure)
    A = stack(A, "A")
    xp = namespace(A)
    maxiter = integer(maxiter, "maxiter")
    if rtol is not None and not 0 <= rtol < float("inf"):
        raise ValueError(f"rtol must be finite and not negative, got {rtol!r}")
    x = _start(A) if X0 is None else stack(X0, "X0")
    same_library(A, x, "X0")
    x = x + 0 * A  # of the common shape and dtype, and no longer the user's memory
    unit = xp.finfo(A.dtype).eps * 2 * A.shape[-1] * frobenius(A)
    history = []
    with np.errstate(all="ignore"):
        for nit in range(maxiter + 1):
            R = identity_like(x) - A @ x
            norms = frobenius(R)
            history.append(norms)
            target = unit * frobenius(x) if rtol is None else rtol
            good = (norms <= target) & (norms < 1)
            running = ~good & xp.isfinite(norms)
            running = running & (norms <= LOST * (1 + history[0]))
            if nit == maxiter or not bool(xp.any(running)):
                break
            x = xp.where(running[..., None, None], x + x @ R, x)
        found = certify(A, x)
    good, running = to_numpy(good), to_numpy(running)
    status = Status.MAXITER if running.any() else Status.STALLED
    result = InverseResult(
        x=x,
        success=bool(good.all()),
        status=Status.CONVERGED if good.all() else status,
        message=_message(good, running),
        nit=nit,
        history=history,
        method="newton_schulz",
        seconds=time.perf_counter() - started,
        bound=found.bound,
        residual_norm=found.residual,
    )
    return deliver(result, on_failure)


def _start(A):
    """``A^H / (||A||_1 ||A||_inf)``; zero for a matrix of zeros."""
    xp = namespace(A)
    rows, columns = row_sums(A), column_sums(A)
    nonzero = rows > 0
    one = xp.ones_like(rows)
    rows, columns = xp.where(nonzero, rows, one), xp.where(nonzero, columns, one)
    return adjoint(A) / rows[..., None, None] / columns[..., None, None]


def _message(good, running):
    if good.all():
        return "every item has converged"
    if running.any():
        return (
            f"{int(running.sum())} of {good.size} items have not converged at maxiter; "
            "they are ill-conditioned or singular"
        )
    return (
        f"{int((~good).sum())} of {good.size} items diverge: the spectral radius of "
        "I - A X0 is not below 1; leave X0 out"
    )
