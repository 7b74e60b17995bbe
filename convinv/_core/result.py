"""What a method that iterates returns: its status, its result, and its failure."""

from __future__ import annotations

import enum
import html
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from . import plotting
from .validation import choice

R = TypeVar("R", bound="Result")
OnFailure = Literal["warn", "raise", "ignore"]


class ConvergenceWarning(UserWarning):
    """The returned x does not satisfy the tolerances asked for."""


class ConvergenceError(RuntimeError):
    """The x that was found does not satisfy the tolerances asked for.

    Attributes
    ----------
    result : Result
        What would have been returned.
    """

    def __init__(self, message: str, result: Result):
        super().__init__(message, result)
        self.result = result

    def __str__(self) -> str:
        return self.args[0]


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


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Result:
    """What every method that iterates returns.

    Attributes
    ----------
    x : array
        The solution.
    success : bool
        Whether the returned ``x`` was checked and satisfies the tolerance; for a batch,
        whether every item does.
    status : Status
        Why the method ended; for a batch, that of its worst item.
    message : str
        The status in words, and what the method has to say.
    nit : int
        Iterations made, in which the items of a batch go together; ``extra["nit"]``
        holds those of each.
    history : ndarray, shape (nit,) or (nit, *batch)
        The norm that the method watched, after each iteration.
    method : str
        The method that ran.
    seconds : float
        Wall-clock time.
    extra : dict
        What else the method tells.
    """

    x: Any
    success: bool
    status: Status
    message: str
    nit: int
    history: Any
    method: str
    seconds: float
    extra: dict[str, Any] = field(default_factory=dict)

    def plot(self, ax: Any = None) -> Any:
        """Draw the history with matplotlib, a line for every item of a batch.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        ax = plotting.axes(f"{type(self).__name__}.plot", ax)
        plotting.draw_history(self, ax)
        return ax

    def _measures(self) -> dict[str, str]:
        """The norms and bounds of this kind of result, as texts."""
        return {}

    def _rows(self) -> dict[str, str]:
        x = {}
        if self.x is not None:  # modules of PyTorch leave it out
            x["x"] = f"{self.x.dtype} array of shape {tuple(self.x.shape)}"
        return {
            "method": self.method,
            "success": str(self.success),
            "status": self.status.name,
            "message": self.message,
            "nit": str(self.nit),
            **self._measures(),
            "seconds": f"{self.seconds:.3g}",
            **x,
        }

    def __repr__(self) -> str:
        return "\n".join(f"{name:>11}: {text}" for name, text in self._rows().items())

    def _repr_html_(self):
        """The same as a table, for notebooks."""
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in self._rows().items()
        )
        return f"<table>{cells}</table>"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SolveResult(Result):
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
        The status in words, and remarks of the method.
    nit : int
        Iterations made, in which the items of a batch go together; ``extra["nit"]``
        holds those of each.
    residual_norm : float or ndarray
        ``||b - A x||`` of the returned ``x``, recomputed; per item for a batch.
    normal_residual_norm : float or ndarray
        ``||A^H (b - A x) - damp^2 x||`` of the returned ``x``, recomputed; with bounds
        that of the part which x may follow, and for counts that of the likelihood's
        gradient.
    history : ndarray, shape (iterations,) or (iterations, *batch)
        The norm that the method monitors, after each iteration: that of the residual,
        or of the normal residual if the method's docstring says so.
    method : str
        The method that ran (what "auto" chose).
    error_bound : float, ndarray or None
        An estimate of ``||x - x*|| / ||x||`` for the exact solution x*: the residual
        over the smallest singular value, or the normal residual over its square, plus
        the rounding of x. That singular value comes from the factor of an exact method
        or from the process of a Krylov method; None if it is unknown (NaN for an item
        of a batch).
    seconds : float
        Wall-clock time.
    extra : dict
        Per-item ``success``, ``status``, ``nit`` of a batch, and further results of the
        method.
    """

    residual_norm: Any
    normal_residual_norm: Any
    error_bound: Any = None

    def _measures(self):
        return {
            "residual": norm_text(self.residual_norm),
            "normal": norm_text(self.normal_residual_norm),
            "error": _bound(self.error_bound),
        }

    def plot_damp(self, ax: Any = None) -> Any:
        """Draw how a rule chose damp: its criterion over the damps tried.

        The criterion is that of ``extra["damp_path"]``.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If no rule chose the damp of this result.
        ImportError
            Without matplotlib.
        """
        if "damp_path" not in self.extra:
            raise ValueError(
                "no rule chose the damp of this result: solve with damp='gcv' or "
                "another rule by name"
            )
        ax = plotting.axes("SolveResult.plot_damp", ax)
        plotting.draw_damp_path(self.extra, ax)
        return ax


def check_on_failure(value) -> None:
    """Refuse what `on_failure` does not take."""
    choice(value, "on_failure", ("warn", "raise", "ignore"))


def deliver(result: R, on_failure: OnFailure, stacklevel: int = 2) -> R:
    """Return a result, and say so where it is no success and nobody stopped it.

    `stacklevel` is that of `warnings.warn` seen from the caller of this function.
    """
    if result.success or result.status is Status.STOPPED or on_failure == "ignore":
        return result
    words = f"{result.method}: {result.message}"
    if on_failure == "raise":
        raise ConvergenceError(words, result)
    warnings.warn(words, ConvergenceWarning, stacklevel=stacklevel + 1)
    return result


def _bound(value):
    if value is None:
        return "no estimate"
    return f"about {norm_text(value)} of x at most"


def norm_text(value):
    if getattr(value, "ndim", 0) == 0:
        return f"{float(value):.4g}"
    return f"{value.min():.4g} to {value.max():.4g} over {value.size} items"
