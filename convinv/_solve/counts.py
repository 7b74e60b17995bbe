"""Runs a method whose objective is the likelihood of Poisson counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.arrays import contiguous, copy, placement, to_numpy
from .._core.result import Status
from .._problem.batch import Layout
from .._problem.items import Goals
from .._problem.monitor import Monitor
from .._problem.poisson import AIM, PoissonProblem, refuse_negative
from .._problem.scaled_operator import scale_operator
from .._problem.scaling import DATA_POWER
from .._problem.units import Units
from ..operators._scale import powers, size_of
from .item_states import ItemStates
from .outcome import Outcome

PROGRESS = 0.5  # a start that leaves more of the distance is the last
FLAT = (
    "a flat x has a deviance below 1 per datum: b holds nothing but noise, or is not "
    "in counts; for data in other units use stopping='change'"
)
OBJECTIVE = ("background", "tv", "stopping")  # options that belong to the problem


def refuse(op, layout: Layout, request):
    """Raise for tolerances, data and operators that a likelihood has no use for."""
    for name, value, other in (
        ("atol", request.atol, 0.0),
        ("rtol_normal", request.rtol_normal, request.rtol),
    ):
        if value != other:
            raise ValueError(
                f"method {request.method!r} takes no {name}, got {value!r}: its option "
                "stopping says what rtol bounds"
            )
    refuse_negative(op, layout, None, _background(layout, request.options))


def _background(layout, options):
    return layout.like_data(options.get("background", 0.0), "background")


def run(task, layout, callback, tick, stopped):
    """The outcome of some items, and whether the callback has asked to stop."""
    found = _Run(task, layout, callback, tick)
    if stopped:
        found.leave_unsolved()
    else:
        found.solve()
    return found.outcome(), found.stopped


class _Run:
    """One solve: starts the method until its answer holds or no progress is made."""

    def __init__(self, task, layout: Layout, callback, tick):
        self.task, self.layout, self.callback, self.tick = task, layout, callback, tick
        self.xp, self.entry = layout.xp, task.entry
        self.stopped, self.nit = False, 0
        self.items = ItemStates.before(layout.batch)
        self.notes: dict = {}
        op = task.op
        power, _ = size_of(op, layout.b)
        self.units = Units(power, powers(to_numpy(layout.extent[0]), DATA_POWER))
        self.scaled = scale_operator(op, power)
        self.wide = self._problem()
        self.x = self._start()
        self.check: Any = None

    def _problem(self):
        """The problem in double precision."""
        xp, layout, options = self.xp, self.layout, self.task.options
        given = {name: options.get(name) for name in OBJECTIVE}
        double = lambda a: xp.astype(a, xp.float64)  # noqa: E731
        background = _background(layout, options)
        rows = layout.batch if self.units.data.any() else 1
        m = layout.b.shape[1]
        background = background + xp.zeros(
            (rows, m), dtype=xp.float64, **placement(layout.b)
        )
        if self.units.data.any():
            background = self.units.scale_b(xp, background)
        return PoissonProblem(
            self.scaled,
            double(self.units.scale_b(xp, layout.b)),
            weights=self._weights(),
            background=background,
            tv=(given["tv"] or 0.0) * self.units.operator_scale,
            stopping=given["stopping"],
            rtol=self.task.rtol,
            maxiter=self.task.maxiter,
            units=self.units,
        )

    def _weights(self):
        """Those of the data, (1 or B, m), or None."""
        layout, given = self.layout, self.task.weights
        if given is None:
            return None
        row = self.xp.zeros_like(layout.b[:1, :], dtype=self.xp.float64)
        return layout.like_data(given, "weights") + row

    def _start(self):
        """x0 without what is negative, or a flat x."""
        if self.layout.x0 is None:
            return self.wide.flat()
        x = self.xp.astype(self.layout.x0, self.xp.float64)
        return self.units.scale_x(self.xp, self.xp.maximum(x, 0 * x))

    def leave_unsolved(self):
        """Leave all items where they start, as if the method had been stopped there."""
        self.check = self.wide.check(self.x)
        self.items.mark_others(self.check.good, Status.STOPPED)

    def solve(self):
        """Start the method, in single precision first if that is the data's."""
        self.check = self.wide.check(self.x)
        self.items.mark(self.check.good, Status.CONVERGED)
        flat = self.layout.x0 is None and self.wide.stopping == "discrepancy"
        if flat and self.check.good.any():
            self.notes["message"] = FLAT
        precise = self.layout.dtype == np.float64
        while not (self.check.good.all() or self.stopped):
            before = self.check.distance
            running = ~self.check.good
            self._iterate(running, self.wide if precise else self._narrow())
            self.check = self.wide.check(self.x)
            self.items.mark(self.check.good, Status.CONVERGED)
            if self.nit >= self.task.maxiter:
                break
            stuck = ~(self.check.distance <= PROGRESS * before)
            if precise and not (running & ~self.check.good & ~stuck).any():
                break
            precise = precise or bool((running & stuck).any())
        ended = Status.MAXITER if self.nit >= self.task.maxiter else Status.STALLED
        self.items.mark(self.items.converged & ~self.check.good, ended)
        self._round()

    def _narrow(self):
        op, layout = self.scaled, self.layout
        if op.layer is not None:
            op = op.astype(layout.dtype)
        return self.wide.narrowed(op, layout.kind)

    def _iterate(self, running, problem):
        """Run the method from the present x."""
        xp, place = self.xp, placement(self.layout.b)
        problem.maxiter = self.task.maxiter - self.nit
        problem.x0 = copy(xp.astype(self.x, problem.b.dtype))
        goal = problem.goal if problem.stopping == "discrepancy" else AIM * problem.goal
        goal, never = problem.fill(goal), problem.fill(-1.0)
        active = xp.asarray(running, **place)
        report = None if self.callback is None else self._report
        monitor = Monitor(
            problem, Goals(goal, never, never), active, report, self.nit, self.tick
        )
        x, notes = self.entry.function(problem, monitor, **self.task.options)
        self.notes.update(notes)
        self.nit = monitor.nit
        self.items.history += [to_numpy(norm) for norm in monitor.history]
        codes, counts = to_numpy(monitor.items.code), to_numpy(monitor.items.nit)
        for i in np.flatnonzero(running):
            code = int(codes[i])
            self.items.status[i] = list(Status)[code] if code >= 0 else Status.MAXITER
        self.items.nit[running] += counts[running].astype(int)
        finite = xp.all(xp.isfinite(x), axis=1)
        self.items.mark(running & ~to_numpy(finite), Status.NONFINITE)
        keep = (active & finite)[:, None]
        self.x = xp.where(keep, xp.astype(x, xp.float64), self.x)

    def _round(self):
        """Check x once more where the user's dtype does not hold it."""
        xp = self.xp
        given = xp.astype(self.restored(self.x), xp.float64)
        back = self.units.scale_x(xp, given)
        if bool(xp.all(back == self.x)):
            return
        passed, eps = self.check.good, float(np.finfo(self.layout.dtype).eps)
        self.check = self.wide.check(back, eps)
        self.check.good &= passed
        lost = passed & ~self.check.good
        self.items.mark(lost, Status.STALLED)

    def _report(self, monitor, x, watched):
        answer = self.callback(_State(self, monitor.nit, x, watched))
        stop = isinstance(answer, (bool, np.bool_)) and bool(answer)
        self.stopped = self.stopped or stop
        return stop

    def restored(self, x):
        """An x in the user's units and dtype, (B, n)."""
        x = self.units.unscale_x(self.xp, x)
        return contiguous(self.xp.astype(x, self.layout.kind))

    def outcome(self) -> Outcome:
        """All that there is to tell, in the user's units."""
        check, layout = self.check, self.layout
        return Outcome(
            x=self.restored(self.x),
            good=check.good,
            residual=self.units.unscale_residual_norm(check.residual),
            normal=check.normal * np.ldexp(1.0, self.units.operator),
            error=np.full(layout.batch, np.nan),
            item_nit=self.items.nit,
            item_status=self.items.status,
            history=np.array(self.items.history).reshape(-1, layout.batch),
            watches_normal=False,
            method=self.entry.name,
            tried=[self.notes.pop("message", None)],
            notes=self.notes,
            per_item={"deviance": check.deviance, "distance": check.distance},
        )


class _State:
    """What a callback sees; ``x`` is made when asked for."""

    def __init__(self, run, nit, x, watched):
        self._run, self._x, self._watched, self.nit = run, x, watched, nit

    @property
    def x(self):
        return self._run.layout.restore(self._run.restored(self._x))

    @property
    def residual_norm(self):
        return self._run.layout.items(to_numpy(self._watched))
