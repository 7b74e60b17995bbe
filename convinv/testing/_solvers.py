"""check_solver: a solver put through the checks of solvers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from . import _solver_checks  # noqa: F401: enrols them
from ._answers import Answer, answer_of, keywords_of
from ._problems import System, system
from ._registry import SOLVER_CHECKS, NotAsked
from ._report import Report

Needs = Literal["any", "square", "definite", "periodic"]


@dataclass(frozen=True)
class SolverUnderTest:
    """What the checks of solvers are given.

    Attributes
    ----------
    function : callable
    needs : {"any", "square", "definite", "periodic"}
    rtol : float
    keywords : set of str or None
        The arguments that it takes by keyword, None if any.
    """

    function: Callable[..., Any]
    needs: Needs
    rtol: float
    keywords: set[str] | None

    def takes(self, keyword: str) -> bool:
        """Whether it takes a keyword."""
        return self.keywords is None or keyword in self.keywords

    def asked(self, keyword: str) -> None:
        """Skip the check where it does not take the keyword."""
        if not self.takes(keyword):
            raise NotAsked(f"it takes no {keyword}")

    def system(self, dtype: Any = "float64", scale: float = 1.0) -> System:
        """The system that suits it."""
        kind = {"any": "tall"}.get(self.needs, self.needs)
        return system(kind, dtype, scale)

    def run(self, op: Any, b: np.ndarray, **given: Any) -> Answer:
        """What it says to a system, with its tolerance if it takes one."""
        if self.takes("rtol"):
            given.setdefault("rtol", self.rtol)
        return answer_of(self.function(op, b, **given))


def check_solver(
    solve: Callable[..., Any],
    *,
    needs: Needs = "any",
    rtol: float = 1e-6,
    keywords: Sequence[str] | None = None,
    name: str | None = None,
    checks: Sequence[str] | None = None,
) -> Report:
    """Put a solver of linear systems through checks.

    Parameters
    ----------
    solve : callable
        ``solve(op, b, **kw)``, where op is a `ConvLinearOperator`, which is a
        LinearOperator of SciPy, and b a flat array. It returns x, a pair ``(x, info)``,
        or an object with ``x``. It is a success where info is 0 or True, or has a
        ``success`` or ``converged`` (as attribute or key) that is true.
    needs : {"any", "square", "definite", "periodic"}
        What it asks of op: nothing (it solves least-squares problems), that op be
        square, Hermitian and positive definite, or periodic.
    rtol : float
        The residual that it is to reach; passed on as ``rtol`` if it takes that.
    keywords : sequence of str, optional
        Those of ``rtol``, ``x0``, ``maxiter`` and ``callback`` that it takes; by
        default what its signature tells, all if it takes any keyword.
    name : str, optional
        Of the solver, for the table.
    checks : sequence of str, optional
        Names of checks; by default all.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If `needs` or a name of `checks` is unknown.

    Notes
    -----
    The checks are: *residual* (the tolerance is reached, by a residual that is
    recomputed with the matrix), *complex*, *zero b*, *exact x0*, *input unchanged*,
    *dtype* (single precision is kept), *determinism*, *inconsistent* (the least-squares
    solution), *singular* (no success that is none, nothing that is not finite),
    *scale of b* and *scale of op* (1e-100 and 1e100), *maxiter=1* and *callback*.

    Examples
    --------
    >>> from scipy.sparse.linalg import lsmr
    >>> from convinv.testing import check_solver
    >>> def solve(op, b, x0=None, maxiter=None):
    ...     x, stopped, *_ = lsmr(op, b, atol=1e-8, btol=1e-8, x0=x0, maxiter=maxiter)
    ...     return x, stopped in (0, 1, 2)
    >>> report = check_solver(solve, checks=["residual", "exact x0", "inconsistent"])
    >>> report.passed
    True
    """
    if needs not in get_args(Needs):
        raise ValueError(
            f"needs must be 'any', 'square', 'definite' or 'periodic', got {needs!r}"
        )
    taken = keywords_of(solve) if keywords is None else set(keywords)
    subject = SolverUnderTest(solve, needs, rtol, taken)
    title = str(name or getattr(solve, "__name__", type(solve).__name__))
    return SOLVER_CHECKS.report(title, subject, checks)
