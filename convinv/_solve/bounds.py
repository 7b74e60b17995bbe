"""Least squares with bounds on x: projected Newton steps, after a start that is near.

The start is the unbounded solution where an exact inverse is at hand, and else a few
projected gradients. From there conjugate gradients on the unknowns that are free give
steps, which are projected on the bounds. Where these go on for long, and most unknowns
are free, steps of a splitting with the inverse (ADMM) find most of the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._core.arrays import placement, to_numpy
from .._core.result import Status
from .._problem.batch import Layout
from .._problem.scaling import ScaledProblem
from ..solvers import METHODS
from .auto import choose
from .item_states import ItemStates
from .outcome import Outcome

PATIENCE = 40  # conjugate gradients before a splitting, which needs
FREE = 0.7  # of x without the entries at a bound, and
NEAR, CLOSE = 10.0, 1e-5  # more than so many tolerances, or of ||A^H b||, to go
SPLITTINGS = 30  # steps with the exact inverse
PENALTY = 3e-3  # of the splitting, in units of ||A||^2
POWERS = 3  # steps of the power method from A^H b
RELAXED = 1.6  # over-relaxation of the splitting
INNER = 1e-3  # tolerance of a splitting's solve
GRADIENTS = 20  # steps of projected gradients without an inverse
FORCING = 0.1  # of the projected gradient, the residual of a Newton step
LONGEST = 200  # iterations of conjugate gradients for a Newton step
ENOUGH = 1e-4  # of the slope, the least decrease of a step
SHORTER, TRIES = 0.4, 12  # of a step that decreases too little
AIM = 0.5  # of the tolerance
ROUNDING = 8  # roundings of x that its gradient may contain


def refuse(entry, op, preconditioner, conlim):
    """Raise for methods and arguments that know no bounds."""
    exact = sorted(name for name, m in METHODS.items() if m.applies_inverse)
    if not (entry.applies_inverse or entry.name in ("auto", "cgls")):
        names = ", ".join(map(repr, ["auto", "cgls", *exact]))
        raise ValueError(
            f"method {entry.name!r} takes no bounds; with bounds method must be one of "
            f"{names}"
        )
    for name, value in (("preconditioner", preconditioner), ("conlim", conlim)):
        if value is not None:
            raise ValueError(f"with bounds solve takes no {name}, got {value!r}")
    if not op.has_adjoint:
        raise TypeError("bounds need the adjoint of op, and op has no rmatvec")


def limits(bounds, layout: Layout):
    """The bounds ``(lo, hi)`` as arrays ``(B, 1 or n)``, infinite where open."""
    if np.dtype(layout.dtype).kind == "c":
        raise ValueError(
            "bounds need real numbers, got a problem in "
            f"{np.dtype(layout.dtype).name}; there is no order of complex numbers"
        )
    try:
        given = tuple(bounds)
    except TypeError:
        given = ()
    if len(given) != 2:
        raise TypeError(
            "bounds must be a pair (lo, hi) of numbers or arrays, None where x is "
            f"free, got {bounds!r}"
        )
    xp, names = layout.xp, ("bounds[0]", "bounds[1]")
    open_ends = (-math.inf, math.inf)
    found = [
        layout.like_unknowns(end if value is None else value, name)
        for value, name, end in zip(given, names, open_ends)
    ]
    for values, name in zip(found, names):
        if bool(xp.any(xp.isnan(values))):
            raise ValueError(f"{name} holds NaN; None and infinity leave x free")
    wrong = (found[0] > found[1]) | (found[0] == math.inf) | (found[1] == -math.inf)
    if bool(xp.any(wrong)):
        raise ValueError("bounds must have lo <= hi everywhere, lo < inf and hi > -inf")
    column = xp.zeros((layout.batch, 1), dtype=xp.float64, **placement(layout.b))
    return found[0] + column, found[1] + column


def run(task, layout, callback, tick, stopped):
    """The outcome of some items, and whether the callback has asked to stop."""
    found = _Run(task, layout, callback, tick)
    found.solve(stopped)
    return found.outcome(), found.stopped


class _Run:
    """One solve within bounds, in double precision and in scaled units.

    Attributes
    ----------
    x, g : array, shape (B, n)
        The iterate, within its bounds, and half the gradient there.
    start : array or None
        The unbounded solution, clipped, where a splitting may still start from it.
    free : array of bool, shape (B, n)
        Whether x may follow the gradient.
    """

    def __init__(self, task, layout, callback, tick):
        self.task, self.layout, self.callback, self.tick = task, layout, callback, tick
        self.scaled = scaled = ScaledProblem(
            task.op, layout, task.damp, task.rtol, task.atol, task.rtol_normal
        )
        scaled.widen()
        self.xp, self.vectors, self.place = (
            scaled.xp,
            scaled.vectors,
            placement(scaled.b),
        )
        units = scaled.units
        self.lo, self.hi = (
            units.scale_x(self.xp, end) for end in limits(task.bounds, layout)
        )
        self.items, self.nit = ItemStates.before(layout.batch), 0
        self.stopped, self.words, self.start = False, "", None
        zero = self.xp.zeros((layout.batch, task.op.shape[1]), **self.place)
        self.x = self.clip(zero)
        self.wanted = self._tolerance()
        self.measured = np.full(layout.batch, math.inf)

    def clip(self, x):
        return self.xp.minimum(self.xp.maximum(x, self.lo), self.hi)

    def _tolerance(self):
        """The norm of the projected gradient to reach, on the host."""
        verdict = self.scaled.verdict
        _, g = self.gradient(self.x)
        size = np.sqrt(to_numpy(self.vectors.sumsq(g)))
        return np.maximum(verdict.normal_tol, verdict.rtol_normal * size)

    def hessian(self, d):
        """``A^H A d + damp^2 d``."""
        residuals, damp = self.scaled.residuals, self.scaled.damp
        product = residuals.adjoint(residuals.forward(d))
        return product + damp**2 * d if damp else product

    def gradient(self, x):
        """``(r, g)``: the residual and ``g = damp^2 x - A^H r``."""
        residuals, damp = self.scaled.residuals, self.scaled.damp
        r = self.scaled.b - residuals.forward(x)
        g = -residuals.adjoint(r)
        return r, g + damp**2 * x if damp else g

    def projected(self, x, g, eps=0.0):
        """The gradient where x may follow it; `eps` is the rounding of x."""
        xp = self.xp
        low, high = x <= self.lo, x >= self.hi
        if eps:
            low, high = low | (x - self.lo <= eps * abs(x)), high | (
                self.hi - x <= eps * abs(x)
            )
        held = (low & (g > 0)) | (high & (g < 0))
        return xp.where(held, xp.zeros_like(g), g), ~held

    def norm(self, array):
        """Norms of the items, on the host."""
        return np.sqrt(to_numpy(self.vectors.sumsq(array)))

    def put(self, values):
        """Numbers of the items as a column."""
        return self.xp.asarray(values, **self.place)[:, None]

    def solve(self, stopped):
        if not stopped:
            self._start()
        self._look()
        while not (stopped or self.stopped or self._is_over()):
            if self._may_split():
                self._split()
                self._look()
                continue
            step = self._newton_direction()
            if self.stopped:
                break
            self._take(step)
            self._look()
        self.stopped = self.stopped or stopped
        self._finish()

    def _may_split(self):
        """Whether Newton steps go on for long, and the inverse is that of most of x."""
        if self.start is None or self.nit < PATIENCE:
            return False
        share = to_numpy(self.xp.mean(self.xp.astype(self.free, self.xp.float64)))
        near = np.maximum(NEAR * self.wanted, CLOSE * self.scaled.verdict.normal_b)
        return share >= FREE and (self.measured > near).any()

    def _look(self):
        """The gradient at x, and how far the items are from a solution."""
        r, self.g = self.gradient(self.x)
        self.slope, self.free = self.projected(self.x, self.g)
        self.measured = self.norm(self.slope)
        residual = self.norm(r)
        near = residual <= self.scaled.verdict.residual_tol
        self.near = near if not self.scaled.damp else np.zeros_like(near)
        self.good = (self.measured <= AIM * self.wanted) | self.near

    def _is_over(self):
        finite = np.isfinite(self.measured).all()
        return self.good.all() or not finite or self.nit >= self.task.maxiter

    def _finish(self):
        """The verdict on x as the user's dtype holds it."""
        layout, xp, units = self.layout, self.xp, self.scaled.units
        self.result = xp.astype(units.unscale_x(xp, self.x), layout.kind)
        eps = float(np.finfo(layout.dtype).eps)
        narrow = layout.dtype != np.float64
        x = units.scale_x(xp, xp.astype(self.result, xp.float64)) if narrow else self.x
        r, g = self.gradient(x)
        slope, free = self.projected(x, g, eps if narrow else 0.0)
        self.residual, self.normal = self.norm(r), self.norm(slope)
        verdict = self.scaled.verdict
        rounding = ROUNDING * eps * verdict.norm**2 * self.norm(x) if narrow else 0.0
        far = verdict.residual_tol + (rounding / verdict.norm if verdict.norm else 0.0)
        near = (self.residual <= far) & (self.scaled.damp == 0)
        self.passed = (self.normal <= self.wanted + rounding) | near
        self.active = to_numpy(xp.mean(xp.astype(~free, xp.float64), axis=1))
        ended = Status.MAXITER if self.nit >= self.task.maxiter else Status.STALLED
        ended = Status.STOPPED if self.stopped else ended
        self.items.mark_others(self.passed, ended)
        self.items.mark(~np.isfinite(self.normal), Status.NONFINITE)

    def _start(self):
        """A point that is near the solution."""
        if self.layout.x0 is not None:
            self.x = self.clip(self.scaled.residuals.wide(self.scaled.x))
            self.words = "from x0"
            return
        name = self._inner_name()
        if not METHODS[name].applies_inverse:
            self._descend()
            return
        scaled = self.scaled
        x = self._unbounded(scaled.b, scaled.damp, self.task.rtol)
        self.x = self.clip(x)
        self.words = f"the unbounded solution of {self.method}"
        if bool(self.xp.any(self.x != x)):
            self.start = self.x
        else:
            self.words += ", which is within the bounds"

    def _inner_name(self):
        """The method of the unbounded problem."""
        task, scaled = self.task, self.scaled
        if task.entry.name != "auto":
            return task.entry.name
        memory = math.inf if task.max_memory is None else task.max_memory
        choices = choose(
            scaled.working,
            damp=scaled.damp,
            batch=task.items,
            rtol=task.rtol,
            memory=memory,
            maxiter=task.maxiter,
        )
        return next(choices).name

    def _unbounded(self, b, damp, rtol):
        """The solution for data b, in scaled units, by the method of the task."""
        shape = (self.layout.batch, *self.task.op.output_shape)
        layout = Layout(self.scaled.wide, self.xp.reshape(b, shape), None)
        task = replace(
            self.task,
            op=self.scaled.wide,
            layout=layout,
            damp=damp,
            rtol=rtol,
            rtol_normal=rtol,
            atol=0.0,
            bounds=None,
        )
        outcome, _ = task.run(layout, None, lambda nit: None, False)
        self.method = outcome.method
        return self.scaled.residuals.wide(outcome.x)

    def _split(self):
        """Steps of a splitting with the exact inverse, from the unbounded solution."""
        scaled, forward = self.scaled, self.scaled.residuals.forward
        rho = PENALTY * self._curvature()
        square = scaled.damp**2 + rho
        z, u = self.start, self.xp.zeros_like(self.start)
        for _ in range(SPLITTINGS):
            center = (rho / square) * (z - u)
            rest = scaled.b - forward(center)
            x = center + self._unbounded(rest, math.sqrt(square), INNER)
            x = RELAXED * x + (1 - RELAXED) * z
            z = self.clip(x + u)
            u = u + x - z
        good = self.put(self.good)
        self.x, self.start = self.xp.where(good, self.x, z), None
        self.words += f" and {SPLITTINGS} steps of a splitting with it"

    def _curvature(self):
        """About the largest eigenvalue of the Hessian that matters for the data."""
        v = self.scaled.residuals.wide(self.scaled.gradient)
        size, found = self.norm(v), 0.0
        for _ in range(POWERS):
            v = self.hessian(v / self.put(np.where(size > 0, size, 1.0)))
            size = self.norm(v)
            found = max(found, float(size.max()))
        return found

    def _descend(self):
        """Projected gradients with Barzilai-Borwein lengths, exact along each step."""
        xp, dot = self.xp, self.vectors.dot
        x = self.x
        _, g = self.gradient(x)
        length = xp.zeros((x.shape[0],), **self.place)
        for count in range(GRADIENTS):
            slope, _ = self.projected(x, g)
            if not count:
                product = self.hessian(slope)
                length = _ratio(xp, dot(slope, slope), dot(slope, product))
            d = self.clip(x - length[:, None] * slope) - x
            product = self.hessian(d)
            curvature = dot(d, product)
            best = _ratio(xp, -dot(d, g), curvature)
            best = xp.minimum(xp.maximum(best, 0 * best), 0 * best + 1)[:, None]
            x, g = self.clip(x + best * d), g + best * product
            shorter = _ratio(xp, curvature, dot(product, product))
            length = xp.where(shorter > 0, shorter, length)
        self.x, self.method = x, "cgls"
        self.words = f"{GRADIENTS} steps of projected gradients"

    def _newton_direction(self):
        """Conjugate gradients on the free unknowns, to a share of the gradient."""
        xp, dot = self.xp, self.vectors.dot
        r = -self.slope
        goal = np.maximum(FORCING * self.measured, AIM * AIM * self.wanted)
        goal = np.where(self.good, math.inf, goal)
        s, w, gamma = r, xp.zeros_like(r), dot(r, r)
        for _ in range(LONGEST):
            left = np.sqrt(to_numpy(gamma))
            running = left > goal
            if not running.any() or self.nit >= self.task.maxiter:
                break
            product = self.hessian(s)
            alpha = _ratio(xp, gamma, dot(s, product))
            alpha = xp.where(self.put(running)[:, 0], alpha, 0 * alpha)[:, None]
            w = w + alpha * s
            r = r - alpha * xp.where(self.free, product, xp.zeros_like(product))
            before, gamma = gamma, dot(r, r)
            s = r + _ratio(xp, gamma, before)[:, None] * s
            self._count(running, np.sqrt(to_numpy(gamma)), w)
            if self.stopped:
                self.x = self.clip(self.x + w)
                break
        return w

    def _take(self, w):
        """Go along the projection of x + t w as far as the objective decreases."""
        xp, dot = self.xp, self.vectors.dot
        t = xp.where(self.put(self.good)[:, 0], 0.0, 1.0)
        moved = xp.zeros_like(w)
        for _ in range(TRIES):
            d = self.clip(self.x + t[:, None] * w) - self.x
            slope = dot(d, self.g)
            value = slope + 0.5 * dot(d, self.hessian(d))
            enough = (value <= ENOUGH * slope) & (slope < 0)
            moved = xp.where(enough[:, None] & (t > 0)[:, None], d, moved)
            t = xp.where(enough, 0 * t, SHORTER * t)
            if not bool(xp.any(t > 0)):
                break
        self._refuse_stalled(moved)
        self.x = self.clip(self.x + moved)

    def _refuse_stalled(self, moved):
        """A gradient step for items that Newton's direction does not improve."""
        xp, dot = self.xp, self.vectors.dot
        still = ~xp.any(moved != 0, axis=1) & ~self.put(self.good)[:, 0]
        if not bool(xp.any(still)):
            return
        product = self.hessian(self.slope)
        length = _ratio(xp, dot(self.slope, self.slope), dot(self.slope, product))
        d = self.clip(self.x - length[:, None] * self.slope) - self.x
        best = _ratio(xp, -dot(d, self.g), dot(d, self.hessian(d)))
        best = xp.minimum(best, 0 * best + 1)
        moved += xp.where(still, best, 0 * best)[:, None] * d

    def _count(self, running, norms, w):
        """Count an iteration, and call the callback."""
        self.nit += 1
        self.items.nit[running] += 1
        last = self.items.history[-1] if self.items.history else norms
        norms = self.scaled.units.unscale_normal_norm(norms)
        self.items.history.append(np.where(running, norms, last))
        self.tick(self.nit)
        if self.callback is not None:
            answer = self.callback(_State(self, w))
            self.stopped = isinstance(answer, (bool, np.bool_)) and bool(answer)

    def outcome(self) -> Outcome:
        """All that there is to tell, in the user's units."""
        layout, units = self.layout, self.scaled.units
        words = f"with bounds: projected Newton steps after {self.words}"
        return Outcome(
            x=self.result,
            good=self.passed,
            residual=units.unscale_residual_norm(self.residual),
            normal=units.unscale_normal_norm(self.normal),
            error=np.full(layout.batch, np.nan),
            item_nit=self.items.nit,
            item_status=self.items.status,
            history=np.array(self.items.history).reshape(-1, layout.batch),
            watches_normal=True,
            method=getattr(self, "method", self.task.entry.name),
            tried=[words if self.words else None],
            notes={},
            per_item={"active": self.active},
        )


@dataclass
class _State:
    """What a callback sees; ``x`` is made when asked for."""

    run: Any
    w: Any

    def __post_init__(self):
        self.nit = self.run.nit

    @property
    def x(self):
        run = self.run
        x = run.scaled.units.unscale_x(run.xp, run.clip(run.x + self.w))
        return run.layout.restore(run.xp.astype(x, run.layout.kind))

    @property
    def residual_norm(self):
        return self.run.layout.items(self.run.items.history[-1])


def _ratio(xp, a, b):
    """``a / b``, and 0 where b is not positive."""
    some = b > 0
    return xp.where(some, a / xp.where(some, b, 0 * b + 1), 0 * b)
