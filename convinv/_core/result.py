"""What a solve returns: its status, its result and its warning."""

import enum
from dataclasses import dataclass, field
from typing import Any


class ConvergenceWarning(UserWarning):
    """The returned x does not satisfy the tolerances asked for."""


class Status(enum.Enum):
    """Why a solve ended; the value says what to do next."""

    CONVERGED = "the returned x satisfies the tolerance"
    MAXITER = "the iteration limit was reached; raise maxiter or rtol"
    STALLED = (
        "no further progress: the limit of the method or of the precision was reached; "
        "raise rtol, use float64, or another method"
    )
    BREAKDOWN = "the method broke down; use another method (lsmr is the most robust)"
    INDEFINITE = "the operator is not positive definite; use cgls or lsmr"
    ILL_CONDITIONED = "the condition number is beyond conlim; use damp or raise conlim"
    NONFINITE = "a non-finite number came up; check the operator and the preconditioner"
    STOPPED = "the callback asked to stop"


@dataclass(frozen=True)
class SolveResult:
    """Result of :func:`convinv.solve`.

    Attributes
    ----------
    x : array
        The solution, shaped to match ``b``.
    success : bool
        Whether the returned ``x`` was checked and satisfies the tolerance; for a batch,
        whether every item does.
    status : Status
        Why the solve ended; for a batch, that of its worst item.
    message : str
        The status in words, and what the method has to say.
    nit : int
        Iterations made; for a batch the most any item took.
    residual_norm : float or ndarray
        ``||b - A x||`` of the returned ``x``, recomputed; per item for a batch.
    normal_residual_norm : float or ndarray
        ``||A^H (b - A x) - damp^2 x||`` of the returned ``x``, recomputed.
    history : ndarray, shape (iterations,) or (iterations, *batch)
        The norm that the method watched, after each iteration: that of the residual, or
        of the normal residual where its docstring says so.
    method : str
        The method that ran (what "auto" chose).
    error_bound : float, ndarray or None
        An estimate of ``||x - x*|| / ||x||`` for the exact solution x*: the residual
        over the smallest singular value, or the normal residual over its square, plus
        the rounding of x. That singular value is what the factor of an exact method or
        the process of a Krylov method has seen; None where nothing is known of it (NaN
        for an item of a batch).
    seconds : float
        Wall-clock time.
    extra : dict
        Per-item ``success``, ``status``, ``nit`` of a batch, and what else a method
        tells.
    """

    x: Any
    success: bool
    status: Status
    message: str
    nit: int
    residual_norm: Any
    normal_residual_norm: Any
    history: Any
    method: str
    seconds: float
    error_bound: Any = None
    extra: dict = field(default_factory=dict)

    def __repr__(self):
        shape = tuple(self.x.shape)
        lines = [
            f"     method: {self.method}",
            f"    success: {self.success}",
            f"     status: {self.status.name}",
            f"    message: {self.message}",
            f"        nit: {self.nit}",
            f"   residual: {_norms(self.residual_norm)}",
            f"     normal: {_norms(self.normal_residual_norm)}",
            f"      error: {_bound(self.error_bound)}",
            f"    seconds: {self.seconds:.3g}",
            f"          x: {self.x.dtype} array of shape {shape}",
        ]
        return "\n".join(lines)


def _bound(value):
    if value is None:
        return "no estimate"
    return f"about {_norms(value)} of x at most"


def _norms(value):
    if getattr(value, "ndim", 0) == 0:
        return f"{float(value):.4g}"
    return f"{value.min():.4g} to {value.max():.4g} over {value.size} items"
