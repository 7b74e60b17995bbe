"""The monitor of a method's iterations."""

import numpy as np

from .._core.arrays import to_numpy
from .items import NOISE, STALLED, STOPPED, Items
from .recurrence import recurrence

# On a device, host synchronizations cost more than iterations: the stopping test is
# read once in this many iterations. Finished items are frozen in the meantime.
DEVICE_CHECK = 8


class Monitor:
    """Decides when items are finished; called once per iteration.

    Parameters
    ----------
    problem : Problem
    goals : Goals
        The norms at which to stop.
    active : array of bool, shape (B,)
    report : callable or None
        Calls the callback.
    nit : int
        Iterations that the solve has made.
    tick : callable
        Called with the number of iterations.
    watch : callable, optional
        Called at every look at the stopping test with how many times its tolerance the
        norm of the worst item is, and with the iterations since the last look; returns
        whether another method takes over. Needs norms of the normal residual.

    Attributes
    ----------
    items : Items
        The states of the items, the monitor's part in recurrences.
    nit : int
        Iterations over all restarts of the solve.
    watches_normal : bool
        Whether the history holds norms of the normal residual.
    stopped : bool
        Whether the last iteration or `recheck` stopped the method.
    latest : array or None
        The d of the last iteration.
    recording : bool
        Whether iterations are being captured, not computed: nothing is tested then.
    """

    def __init__(self, problem, goals, active, report, nit, tick, watch=None):
        self.xp, self.maxiter, self.goals = problem.xp, problem.maxiter, goals
        eps = NOISE * float(self.xp.finfo(problem.b.dtype).eps)
        known = problem.preconditioner is None
        watched = watch is not None
        self.items = Items(active, goals, eps, known, watched, problem.xp)
        self.start = self.nit = self.looked = nit
        self.history, self.latest = [], None
        self.watches_normal = self.stopped = self.recording = False
        self.report, self.tick, self.watch = report, tick, watch
        device = self.xp is not np
        self.check_every = DEVICE_CHECK if device and report is None else 1

    @property
    def active(self):
        """Items still running: methods freeze the others by zero coefficients."""
        return self.items.active

    def end(self, items, code):
        """End those of `items` (bool array) that still run, with a status code."""
        self.items.end(items, code)

    def update(self, d, residual=None, normal=None) -> bool:
        """Count an iteration; returns True when the method has to stop.

        `residual` and `normal` are ``(B,)`` norms of the residual and the normal
        residual if the method has them; the history records the first of them.
        """
        _judge(self.xp, self.items, residual, normal)
        return self.count(d, residual, normal)

    def count(self, d, residual=None, normal=None) -> bool:
        """`update` for norms that `items.judge` has seen in a recurrence."""
        items = self.items
        self.nit += 1
        self.watches_normal = residual is None
        self.history.append(items.last)
        if self.recording:
            return False
        stop = False
        self.latest = d
        if self.report is not None and self.report(self, d, items.last):
            items.end(items.active, STOPPED)
            stop = True
        elif self._done() % self.check_every == 0:
            stop = self._taken_over()
        self.tick(self.nit)
        self.stopped = stop or self._over()
        return self.stopped

    def _taken_over(self):
        """Whether another method takes over, which ends all items."""
        if self.watch is None:
            return False
        xp, items = self.xp, self.items
        left = float(xp.max(xp.where(items.active, items.left, 0.0)))
        since, self.looked = self.nit - self.looked, self.nit
        if not self.watch(left, since):
            return False
        items.end(items.active, STALLED)
        return True

    def replayed(self, norms):
        """Record iterations made without `update`: their rows of the history."""
        self.history += list(norms)
        stop = self._taken_over()
        self.tick(self.nit)
        over = self._done() >= self.maxiter
        self.stopped = stop or over or not self.any_active()

    def recheck(self):
        """Stop if no item runs any more: for steps that end items after `update`."""
        if not self.recording:
            self.stopped = self.stopped or not self.any_active()

    def _done(self):
        """Iterations that the method has made."""
        return self.nit - self.start

    def _over(self):
        if self._done() >= self.maxiter:
            return True
        return self._done() % self.check_every == 0 and not self.any_active()

    def any_active(self) -> bool:
        return bool(to_numpy(self.xp.any(self.active)))


@recurrence
def _judge(xp, items, residual, normal):
    items.judge(residual, normal)
