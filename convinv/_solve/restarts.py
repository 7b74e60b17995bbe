"""One solve: the methods to try, started until an answer holds."""

import time
from typing import NamedTuple

import numpy as np

from .._core.arrays import to_numpy
from .._core.errors import MemoryLimit
from .._core.pulse import Ended, beating
from .._core.result import Status
from .._problem.items import STOPPED
from .._problem.monitor import Monitor
from .._problem.preconditioner import preconditioner as make_preconditioner
from .._problem.problem import Unsuitable
from ..precondition import Schwarz
from ..solvers import METHODS
from ..spectra._smallest import has_full_rank
from .item_states import ItemStates
from .outcome import Outcome

# A method is started again, from the residual of what it returned, while each start
# brings the measure of the check down to this share.
PROGRESS = 0.5
# An answer with a residual below this share is better, whatever its normal residual is.
NEARER = 0.999
SILENCE = 0.5  # seconds of a set-up after which the callback is called
LONG = 1000  # a limit of iterations of which half is kept for double precision

OUTSIDE_RANGE = "b is not in the range of A: x is a least-squares solution"


class Run:
    """One solve: starts the method until its answer holds or no progress is made.

    Attributes
    ----------
    x : array
        The answer in the user's units, with its `check` and the norms `x_norm` of the
        scaled one; None before `solve` or `leave_unsolved`.
    items : ItemStates
    nit, maxiter, limit : int
        Iterations made; and allowed, in all and to the choice.
    stopped, watches_normal : bool
        Whether the callback has asked to stop, and whether the history holds normal
        residuals.
    tried : list of str or None
        One sentence on each choice tried.
    notes : dict
        Notes of the methods for the result.
    choice, entry, preconditioner
        The choice at work, its method and the function that preconditions it.
    fresh, finest, may_refine : bool
        Whether the choice has not run yet, is to apply its finest inverse, and may.
    may_widen : bool
        Whether double precision may follow single precision.
    monitor : Monitor or None
        That of the method at work.
    heard : float
        The time of the last call of the callback.
    """

    def __init__(self, scaled, layout, maxiter, rng, callback, tick, conlim=None):
        self.scaled, self.layout, self.callback = scaled, layout, callback
        self.maxiter, self.rng, self.tick, self.conlim = maxiter, rng, tick, conlim
        self.x = self.check = self.x_norm = None
        self.items = ItemStates.before(layout.batch)
        self.nit, self.limit = 0, maxiter
        self.stopped = self.watches_normal = False
        self.tried: list = []
        self.notes: dict = {}
        self.choice = self.entry = self.preconditioner = None
        self.fresh, self.finest, self.may_refine = True, False, False
        self.may_widen = False
        self.monitor, self.heard = None, 0.0

    def select(self, choice):
        """Take a choice: a method, its options and its preconditioner."""
        self.choice, self.entry = choice, METHODS[choice.name].at(choice.options)
        self.preconditioner, self.fresh, self.finest = None, True, False
        own = "accuracy" in choice.options and not choice.reason
        self.may_refine = self.entry.applies_inverse and not own
        self.limit = self.maxiter
        if choice.budget is not None:
            self.limit = min(self.maxiter, self.nit + choice.budget)
        if choice.preconditioner is not None:
            self.preconditioner = self._precondition(choice.preconditioner)

    def _precondition(self, given):
        equations = "normal"
        if self.entry.square:
            equations = "hermitian" if self.entry.hermitian else "plain"
        return make_preconditioner(self.scaled, given, equations)

    def solve(self, choices, may_widen=True):
        """Try the choices in order until one satisfies the tolerance.

        Where none does in single precision, they are tried again in double.
        """
        total, check = self.maxiter, self.scaled.check()
        self.may_widen = may_widen
        if may_widen and total >= LONG and self.scaled.is_single:
            self.maxiter = total // 2
        with beating(self._beat):
            check = self._try(choices(), check)
        self.maxiter = total
        if may_widen and not self._is_over(check) and self.scaled.widen():
            with beating(self._beat):
                check = self._try(choices(), self.scaled.check())
        self.x, self.check = self._finalize(check)

    def _is_over(self, check):
        """Whether nothing is left to be tried."""
        ended = check.good.all() or self.nit >= self.maxiter
        given_up = {Status.STOPPED, Status.ILL_CONDITIONED}
        return ended or not given_up.isdisjoint(self.items.status)

    def _beat(self):
        """Call the callback where a set-up has been silent for long."""
        now = time.perf_counter()
        if self.callback is None or now - self.heard < SILENCE:
            return
        monitor = self.monitor
        if monitor is not None and monitor.latest is not None:
            ended = self._report(monitor, monitor.latest, monitor.items.last)
        else:
            check = self.scaled.check()
            watched = check.normal if self.watches_normal else check.residual
            checked = _Checked(self.nit, self.watches_normal)
            ended = self._report(checked, None, watched)
        if ended:
            raise Ended

    def _try(self, choices, check):
        self.heard, self.monitor = time.perf_counter(), None
        try:
            return self._try_all(choices, check)
        except Ended:
            check = self.scaled.check()
            self.items.mark(~check.good, Status.STOPPED)
            return check

    def _try_all(self, choices, check):
        unsuitable = False
        for choice in choices:
            try:
                if choice.regular and not self._is_regular(choice, unsuitable):
                    continue
                applied = False
                self.select(choice)
                check = self._converge(check)
                applied = True
            except (Unsuitable, np.linalg.LinAlgError) as reason:
                if not (choice.reason or isinstance(reason, Unsuitable)):
                    raise  # of what the user gave
                unsuitable = True
                self._unsuitable(check, str(reason))
            except MemoryLimit as reason:
                if not choice.reason:  # the user's own
                    raise ValueError(str(reason)) from None
                self._unsuitable(check, str(reason))
            self.tried.append(self._outcome(choice))
            if self._is_over(check) or (applied and self._needs_double()):
                break
        return check

    def _needs_double(self):
        """Whether an exact inverse is at the end of single precision."""
        return self.may_widen and self.entry.applies_inverse and self.scaled.is_single

    def _is_regular(self, choice, doubtful):
        """Whether there is one solution, or a preconditioner leaves the least norm.

        N may be singular in the layer's interior, and regular with its own boundary.
        """
        op, damp = self.scaled.working, self.scaled.damp
        if damp:
            return True
        if choice.preconditioner == "circulant":
            return True  # it is chosen where the rank is known
        M = op.cached(
            ("preconditioner schwarz", damp, "normal"),
            lambda: Schwarz._named(op, damp, "normal"),
        )
        if not (doubtful or M.shift):
            return True
        return op.cached(("full rank",), lambda: has_full_rank(op, M.gram_inverse))

    def leave_unsolved(self):
        """Leave all items where they start, as if a method had been stopped there."""
        check = self.scaled.check()
        self.items.mark_others(check.good, Status.STOPPED)
        self.x, self.check = self._finalize(check)

    def _unsuitable(self, check, reason):
        self.notes["message"] = reason
        self.items.mark_others(check.good, Status.BREAKDOWN)

    def _outcome(self, choice):
        """One sentence on a choice and what came of it."""
        note = self.notes.pop("message", None)
        if not choice.reason:  # the user's own
            return note
        with_ = f" with {choice.preconditioner}" if choice.preconditioner else ""
        words = f"{choice.name}{with_}: {choice.reason}"
        return f"{words}; {note}" if note else words

    def _converge(self, check):
        """Run the method until its answer holds or it makes no more progress."""
        scaled, items = self.scaled, self.items
        while True:
            items.mark(check.good, Status.CONVERGED)
            if check.good.all() or self.nit >= self.limit:
                break
            if not self.fresh:
                scaled.hold_wide()
            before, x_before = check, scaled.x
            running = self._start(check)
            check = scaled.check()
            if self.stopped or (
                self.entry.applies_inverse and self._record_check(check)
            ):
                break
            worse = running & self._worse(check, before)
            # keep the best; who stops a method wants what was seen last
            if worse.any() and not self.stopped:
                scaled.restore(x_before, worse)
                check = scaled.check()
            stuck = ~(check.measure <= PROGRESS * before.measure)
            if self._takes_finest(running & ~check.good & stuck):
                continue
            failed = running & ~check.good
            items.mark(failed & items.converged & stuck, Status.STALLED)
            if not (items.converged & ~check.good).any():
                items.mark(check.good, Status.CONVERGED)
                break
        ended = Status.MAXITER if self.nit >= self.limit else Status.STALLED
        items.mark(~check.good & items.converged, ended)
        return check

    def _takes_finest(self, stuck):
        """Whether items that make no progress are to have an inverse that is finer."""
        if self.finest or not (self.may_refine and stuck.any()):
            return False
        self.finest = True
        return True

    def _worse(self, check, before):
        """Items that are farther from the tolerance, and from the data too."""
        farther = ~(check.measure <= before.measure)
        if self.scaled.damp:  # the residual is not all that is to be small
            return farther
        return farther & ~(check.residual < NEARER * before.residual)

    def _start(self, check):
        """Run the method once from the present residual; returns the items it ran."""
        scaled = self.scaled
        running = ~check.good
        if not self.fresh:  # only items that claim to have converged start again
            running &= self.items.converged
        problem = scaled.problem(
            check, self.preconditioner, self.limit - self.nit, self.rng, self.finest
        )
        active = problem.xp.asarray(running, **problem.place)
        report = None if self.callback is None else self._report
        goals = scaled.goals(check, self.conlim).times(self.choice.aim)
        self.monitor = monitor = Monitor(
            problem, goals, active, report, self.nit, self.tick, self.choice.watch
        )
        try:
            d, notes = self.entry.function(problem, monitor, **self.choice.options)
        except Ended:
            if monitor.latest is None:
                self.items.mark(running, Status.STOPPED)
                return running
            monitor.end(monitor.active, STOPPED)
            d, notes = monitor.latest, {}
        finally:
            self.monitor = None
        self.fresh = False
        self.notes.update(notes)
        finite = scaled.advance(d, active)
        if self.entry.applies_inverse:
            self._count_application(running, finite, notes)
            return running
        if not (scaled.damp and self.layout.x0 is not None):
            # of a part of x0 that A does not see a method knows nothing
            scaled.verdict.learn(to_numpy(monitor.items.smallest), running)
        self.nit = monitor.nit
        self.watches_normal = monitor.watches_normal
        self.items.history += [
            _unscaled(norms, scaled.units, self.watches_normal)
            for norms in _on_host(problem.xp, monitor.history)
        ]
        codes, counts = to_numpy(monitor.items.code), to_numpy(monitor.items.nit)
        statuses = list(Status)
        for i in np.flatnonzero(running):
            code = int(codes[i])
            self.items.status[i] = statuses[code] if code >= 0 else Status.MAXITER
        self.items.mark(running & ~finite, Status.NONFINITE)
        self.items.nit[running] += counts[running].astype(int)
        return running

    def _count_application(self, running, finite, notes):
        """Count an application of an inverse; the check says how good it was."""
        self.nit += 1
        self.tick(self.nit)
        self.items.mark(running & finite, Status.CONVERGED)
        self.items.mark(running & ~finite, Status.NONFINITE)
        self.items.nit[running] += 1
        self._learn(notes.get("smallest_singular_value"), running)

    def _learn(self, least, running):
        """Take in the smallest singular value of ``[A; damp I]``, in user's units."""
        if least is None:
            return
        verdict = self.scaled.verdict
        least = self.scaled.units.scale_damp(least)
        sigma = np.sqrt(max(least**2 - verdict.damp**2, 0.0))
        verdict.learn(np.full(self.layout.batch, sigma), running)
        verdict.certain = float(sigma)
        largest = np.hypot(verdict.norm, verdict.damp)
        if self.conlim is not None and largest > self.conlim * least:
            self.items.mark(running, Status.ILL_CONDITIONED)

    def _record_check(self, check):
        """Record an application's check; True if the callback asks to stop."""
        self.watches_normal = self.scaled.wide.has_adjoint
        watched = check.normal if self.watches_normal else check.residual
        self.items.history.append(
            _unscaled(watched, self.scaled.units, self.watches_normal)
        )
        if self.callback is None:
            return False
        monitor = _Checked(self.nit, self.watches_normal)
        if not self._report(monitor, None, watched):
            return False
        self.items.mark(~check.good, Status.STOPPED)
        return True

    def _finalize(self, check):
        """x in the user's units, checked once more where they can't hold it."""
        scaled = self.scaled
        x, lost = scaled.deliver()
        self.x_norm = scaled.x_norm(scaled.x)
        if lost is not None:
            passed = check.good
            check = scaled.check(lost, eps=np.finfo(self.layout.dtype).eps)
            check.good &= passed
            failed = self.items.converged & ~check.good
            whole = np.isfinite(check.residual)
            self.items.mark(failed & whole, Status.STALLED)
            self.items.mark(failed & ~whole, Status.NONFINITE)
        return x, check

    def _report(self, monitor, d, watched):
        self.heard = time.perf_counter()
        answer = self.callback(_State(self, monitor, d, watched))
        stop = isinstance(answer, (bool, np.bool_)) and bool(answer)
        self.stopped = self.stopped or stop
        return stop

    def outcome(self) -> Outcome:
        """All that there is to tell, in the user's units."""
        if self.check.outside.any() and not self.scaled.verdict.loose:
            words = [self.notes.get("message"), OUTSIDE_RANGE]
            self.notes["message"] = "; ".join(filter(None, words))
        check, units = self.check, self.scaled.units
        eps = float(np.finfo(self.layout.dtype).eps)
        return Outcome(
            x=self.x,
            good=check.good,
            residual=units.unscale_residual_norm(check.residual),
            normal=units.unscale_normal_norm(check.normal),
            error=self.scaled.verdict.error_bound(check, self.x_norm, eps),
            item_nit=self.items.nit,
            item_status=self.items.status,
            history=np.array(self.items.history).reshape(-1, self.layout.batch),
            watches_normal=self.watches_normal,
            method=self.entry.name if self.tried else "",
            tried=self.tried,
            notes=self.notes,
        )


class _Checked(NamedTuple):
    """What a callback's state is made of where there is no monitor."""

    nit: int
    watches_normal: bool


class _State:
    """What a callback sees; ``x`` and the norm are made when asked for."""

    def __init__(self, run, monitor, d, watched):
        self._run, self._d, self._watched = run, d, watched
        self.nit, self._normal = monitor.nit, monitor.watches_normal

    @property
    def x(self):
        d = self._d() if callable(self._d) else self._d
        return self._run.layout.restore(self._run.scaled.solution(d))

    @property
    def residual_norm(self):
        units = self._run.scaled.units
        norm = _unscaled(self._watched, units, self._normal)
        return self._run.layout.items(norm)


def _on_host(xp, history):
    """The rows of a history; those on a device come in one copy."""
    return to_numpy(xp.stack(history)) if history and xp is not np else history


def _unscaled(norms, units, are_normal):
    """Norms that a method watches, on the host and in the user's units."""
    if are_normal:
        return units.unscale_normal_norm(to_numpy(norms))
    return units.unscale_residual_norm(to_numpy(norms))
