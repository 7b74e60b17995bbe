"""The sweeps of a plan until the true residual of x satisfies the tolerances.

Where sweeps do not contract, they precondition conjugate gradients on the normal
equations: flexible ones, since the sum of the tiles' inverses is not symmetric.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .._core.result import Status
from .._problem.verdict import Verdict
from .norms import Norms
from .plan import TilePlan

POOR = 0.5  # a sweep that leaves more of the normal residual does not contract
# Iterations without progress after which conjugate gradients end, at first; and those
# with a symmetric preconditioner, whose residual may grow for long.
STUCK, PATIENT = 8, 50
ROUNDS = 4  # of conjugate gradients, each from the true residual
PROGRESS = 0.9  # what a smaller normal residual is, in units of the least before
ROUNDING = 4  # rounding errors that the normal residual may have, of the first


class Driver(Protocol):
    """Runs a method of a plan for every tile.

    Arrays that it returns have the layout of x, ``(B, C, *spatial)``; they are the
    driver's own, and only go back into it.
    """

    def map(
        self, plan: TilePlan, name: str, *arrays: Any, **arguments: Any
    ) -> tuple[Any, ...]:
        """``getattr(plan, name)`` for every tile, as `PASSES` says what that reads.

        Returns the arrays that the tiles make up, and the sum of what they add up to.
        None among the arrays stands for zeros.
        """


@dataclass
class State:
    """What a callback sees after each sweep or iteration.

    Attributes
    ----------
    nit : int
    x : array
        The driver's.
    residual_norm : ndarray, shape (B,)
        Of the normal residual of the x before, in the units of the data.
    """

    nit: int
    x: Any
    residual_norm: np.ndarray


@dataclass
class Iterated:
    """The x that was found, and how.

    Attributes
    ----------
    x : array
        The driver's.
    norms : Norms
        Of x, in double precision, in scaled units.
    good : ndarray of bool, shape (B,)
    status : Status
    history : list of ndarray, shape (B,)
        Norms of normal residuals, in scaled units.
    error : ndarray, shape (B,)
    krylov : bool
        Whether sweeps became the preconditioner of conjugate gradients.
    """

    x: Any
    norms: Norms
    good: np.ndarray
    status: Status
    history: list = field(default_factory=list)
    krylov: bool = False


def iterate(
    plan: TilePlan,
    driver: Driver,
    b: Any,
    *,
    x0: Any = None,
    rtol: float = 1e-6,
    rtol_normal: float | None = None,
    atol: float = 0.0,
    maxiter: int = 100,
    callback: Callable[[State], Any] | None = None,
) -> Iterated:
    """Solve a plan's problem for the data b, of shape ``(B, C_out, *spatial)``.

    Parameters
    ----------
    plan : TilePlan
    driver : Driver
    b : array
        As the driver takes it.
    x0 : array, optional
        Where to start, an array of the driver; by default at zero.
    rtol, rtol_normal, atol
        As `convinv.solve` has them.
    maxiter : int
        Sweeps, or iterations, at most.
    callback : callable, optional
        Called with a `State` after each; returning True ends the search.
    """
    search = _Search(plan, driver, b, rtol, rtol_normal, atol, maxiter, callback)
    if x0 is not None:
        search.start_at(x0)
    if not plan.krylov:
        search.sweeps()
    for symmetric in (False, True):
        for _ in range(ROUNDS):
            if search.ended or not search.conjugate_gradients(symmetric):
                break
    return search.result()


class _Search:
    def __init__(self, plan, driver, b, rtol, rtol_normal, atol, maxiter, callback):
        self.plan, self.driver, self.b = plan, driver, b
        self.rtol = rtol
        self.rtol_normal = rtol if rtol_normal is None else rtol_normal
        self.atol, self.maxiter, self.callback = atol, maxiter, callback
        self.x: Any = None
        self.history: list[np.ndarray] = []
        self.verdict: Any = None
        self.norms: Any = None
        self.check: Any = None
        self.status, self.krylov = Status.MAXITER, False

    @property
    def ended(self):
        if self.status in (Status.STOPPED, Status.CONVERGED):
            return True
        return len(self.history) >= self.maxiter

    def start_at(self, x0):
        """Start there; the goals are in units of the residual of zero."""
        (norms,) = self.driver.map(self.plan, "measure", None, self.b)
        self._begin(norms)
        self.x = x0

    def sweeps(self):
        """Sweeps until x is good, or they do not contract."""
        plan, before = self.plan, math.inf
        while len(self.history) < self.maxiter:
            self.x, norms = self.driver.map(plan, "sweep", self.x, self.b)
            if self.verdict is None:
                self._begin(norms)
            elif self.check is None:
                self.norms = self._beside_the_first(norms)
            if self._told(norms):
                return
            left, self.check = self._left(), None
            contracts = left < POOR * before  # that of the x before this sweep
            if not (contracts or self._is_orthogonal):
                return
            if len(self.history) < plan.layout.sweeps and left**2 > self.aim * before:
                before = left
                continue
            self._measure()
            if self._is_done():
                return
            before = left

    def conjugate_gradients(self, symmetric):
        """Flexible conjugate gradients on the normal equations, from the x there is.

        They converge surely where the preconditioner is `symmetric`, and usually faster
        where it is not. Returns whether they got to the aim by their own recurrences,
        which drift from the true residual: another round may do then.
        """
        plan, driver = self.plan, self.driver
        if not self._left() <= 1:  # what was done before has diverged
            self.x = None
        self.krylov, self.check, self.status = True, None, Status.MAXITER
        g, norms = driver.map(plan, "gradient", self.x, self.b)
        if self.verdict is None:
            self._begin(norms)
        self.norms = self._beside_the_first(norms)
        p = q = None
        curvature = np.ones(plan.batch)
        best, since, most = math.inf, 0, self.maxiter - len(self.history)
        for nit in range(most):
            z, dots = driver.map(plan, "preconditioned", g, q, symmetric=symmetric)
            beta = _quotient(dots.first, curvature)
            p, q, dots = driver.map(plan, "direction", z, p, g, beta=beta)
            curvature = dots.first
            alpha = _quotient(dots.second, curvature)
            self.x, g, dots = driver.map(plan, "step", self.x, p, g, q, alpha=alpha)
            self.norms = self.norms._replace(normal=dots.first)
            if self._told(self.norms):
                return False
            left = self._left()
            since = 0 if left < PROGRESS * best else since + 1
            best = min(best, left)
            patience = PATIENT + nit if symmetric else STUCK + nit // 4
            if left <= self.aim or since > patience:
                break
        self._measure()
        if not self._is_done() and len(self.history) < self.maxiter:
            self.status = Status.STALLED
        return best <= self.aim

    def _begin(self, norms):
        """The verdict, from the norms of ``x = 0``."""
        plan = self.plan
        norm_b, normal_b = np.sqrt(norms.data), np.sqrt(norms.gradient)
        self.norms = norms
        m, n = plan.op.shape
        sizes = normal_b / np.where(norm_b > 0, norm_b, 1.0)
        self.verdict = Verdict(
            max(plan.least_norm, float(sizes.max(initial=0.0))),
            norm_b,
            normal_b,
            damp=plan.damp,
            rtol=self.rtol,
            rtol_normal=self.rtol_normal,
            atol=plan.units.scale_residual_norm(self.atol),
            tall=m > n,
            eps=float(np.finfo(plan.dtype).eps),
        )

    def _beside_the_first(self, norms):
        """These, with what is found where ``x = 0``."""
        return norms._replace(data=self.norms.data, gradient=self.norms.gradient)

    @property
    def aim(self):
        """The normal residual to reach, relative to that of ``x = 0``."""
        return min(self.rtol, self.rtol_normal, self.plan.rtol) or 1e-15

    def _measure(self):
        """The true norms of x, and the verdict on it."""
        (found,) = self.driver.map(self.plan, "measure", self.x, self.b)
        self.norms = self._beside_the_first(found)
        whole = found.residual + found.penalty.sum(axis=0)
        norms = np.sqrt(np.stack([whole, found.normal]))
        eps = float(np.finfo(self.plan.dtype).eps)
        x_norm = np.sqrt(found.solution)
        with np.errstate(all="ignore"):
            self.check = self.verdict.check(norms, x_norm, None, None, eps)

    def _left(self):
        """The largest normal residual, relative to that of ``x = 0``."""
        if self.norms is None:
            return 0.0
        start = np.where(self.norms.gradient > 0, self.norms.gradient, 1.0)
        left = float(np.sqrt(np.max(self.norms.normal / start, initial=0.0)))
        return left if np.isfinite(left) else math.inf

    def _is_done(self):
        """Whether x is good, and as near to the solution as the plan aims at."""
        if not self.check.good.all():
            return False
        reached = self._left() <= max(self.plan.rtol, self._rounding)
        if reached or self._is_orthogonal:
            self.status = Status.CONVERGED
            return True
        return False

    @property
    def _is_orthogonal(self):
        """Whether b is orthogonal to the range but for rounding, and x is zero."""
        return bool(self.verdict.orthogonal.all())

    @property
    def _rounding(self):
        return ROUNDING * float(np.finfo(self.plan.dtype).eps)

    def _told(self, norms):
        """Record and report an iteration; whether the callback asks to stop."""
        self.history.append(np.sqrt(norms.normal))
        nit = len(self.history)
        if self.callback is None:
            return False
        found = self.plan.units.unscale_normal_norm(self.history[-1])
        if self.callback(State(nit, self.x, found)):
            self._measure()
            self.status = Status.STOPPED
            return True
        return False

    def result(self):
        if self.x is None:  # no iteration was asked for
            self.x, *_ = self.driver.map(self.plan, "zero")
        if self.verdict is None:
            (norms,) = self.driver.map(self.plan, "measure", None, self.b)
            self._begin(norms)
        if self.check is None:
            self._measure()
        good = self.check.good
        status = self.status
        if good.all() and status is not Status.STOPPED:
            status = Status.CONVERGED
        elif status is Status.CONVERGED:
            status = Status.STALLED
        return Iterated(self.x, self.norms, good, status, self.history, self.krylov)


def _quotient(a, b):
    """``a / b``, 0 where b is not positive."""
    positive = b > 0
    return np.where(positive, a / np.where(positive, b, 1.0), 0.0)
