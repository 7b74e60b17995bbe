"""One solve: the methods to try, started until an answer holds."""

import time
from typing import NamedTuple

import numpy as np

from .._core.arrays import to_numpy
from .._core.errors import MemoryLimit
from .._core.pulse import Ended, beating
from .._core.result import Status
from .._problem.preconditioner import preconditioner as make_preconditioner
from .._problem.problem import STOPPED, Monitor, Unsuitable
from ..precondition import Schwarz
from ..solvers import METHODS
from ..spectra._smallest import has_full_rank
from .outcome import Outcome

# A method may be started again from the residual of what it returned; it is, as long as
# that makes progress.
PROGRESS = 0.5
# An answer with so much smaller a residual is better, whatever its normal residual is.
NEARER = 0.999
SILENCE = 0.5  # seconds of a set-up after which the callback is called
LONG = 1000  # a limit of iterations of which half is kept for double precision

OUTSIDE_RANGE = "b is not in the range of A: x is a least-squares solution"


class Run:
    """One solve: starts the method until its answer holds or no progress is made."""

    def __init__(self, scaled, layout, maxiter, rng, callback, tick, conlim=None):
        self.scaled, self.layout, self.callback = scaled, layout, callback
        self.maxiter, self.rng, self.tick, self.conlim = maxiter, rng, tick, conlim
        self.nit, self.history, self.notes = 0, [], {}
        self.watches_normal = self.stopped = False
        batch = layout.batch
        self.item_nit = np.zeros(batch, int)
        self.item_status = [Status.MAXITER] * batch
        self.tried: list = []

    def use(self, choice):
        """Take a choice: a method, its options and its preconditioner."""
        self.options = choice.options
        self.entry = METHODS[choice.name].at(choice.options)
        self.preconditioner, self.fresh = None, True
        self.watch, self.aim, self.finest = choice.watch, choice.aim, False
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
        self.x, self.check = self._delivered(check)

    def _is_over(self, check):
        """Whether nothing is left to be tried."""
        ended = check.good.all() or self.nit >= self.maxiter
        given_up = {Status.STOPPED, Status.ILL_CONDITIONED}
        return ended or not given_up.isdisjoint(self.item_status)

    def _beat(self):
        """Call the callback where a set-up has been silent for long."""
        now = time.perf_counter()
        if self.callback is None or now - self.heard < SILENCE:
            return
        monitor = self.monitor
        if monitor is not None and monitor.last is not None:
            ended = self._report(monitor, monitor.latest, monitor.last)
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
            self._end(~check.good)
            return check

    def _end(self, items):
        """Take it that the callback has stopped some items."""
        for i in np.flatnonzero(items):
            self.item_status[i] = Status.STOPPED

    def _try_all(self, choices, check):
        unsuitable = False
        for choice in choices:
            try:
                if choice.regular and not self._is_regular(choice, unsuitable):
                    continue
                applied = False
                self.use(choice)
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

    def stand(self):
        """Leave all items where they start, as if a method had been stopped there."""
        check = self.scaled.check()
        for i, good in enumerate(check.good):
            self.item_status[i] = Status.CONVERGED if good else Status.STOPPED
        self.x, self.check = self._delivered(check)

    def _unsuitable(self, check, reason):
        self.notes["message"] = reason
        for i, good in enumerate(check.good):
            self.item_status[i] = Status.CONVERGED if good else Status.BREAKDOWN

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
        scaled = self.scaled
        while True:
            for i in np.flatnonzero(check.good):
                self.item_status[i] = Status.CONVERGED
            if check.good.all() or self.nit >= self.limit:
                break
            if not self.fresh:
                scaled.hold_wide()
            before, x_before = check, scaled.x
            running = self._start(check)
            check = scaled.check()
            if self.stopped or (self.entry.applies_inverse and self._stopped(check)):
                break
            worse = running & self._worse(check, before)
            # keep the best; who stops a method wants what was seen last
            if worse.any() and not self.stopped:
                scaled.restore(x_before, worse)
                check = scaled.check()
            stuck = ~(check.measure <= PROGRESS * before.measure)
            if self._takes_finest(running & ~check.good & stuck):
                continue
            for i in np.flatnonzero(running & ~check.good):
                if self.item_status[i] is Status.CONVERGED and stuck[i]:
                    self.item_status[i] = Status.STALLED
            again = [s is Status.CONVERGED for s in self.item_status]
            if not (np.array(again) & ~check.good).any():
                for i in np.flatnonzero(check.good):
                    self.item_status[i] = Status.CONVERGED
                break
        for i in np.flatnonzero(~check.good):
            if self.item_status[i] is Status.CONVERGED:
                ended = self.nit >= self.limit
                self.item_status[i] = Status.MAXITER if ended else Status.STALLED
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
            claim = [s is Status.CONVERGED for s in self.item_status]
            running &= np.array(claim)
        problem = scaled.problem(
            check, self.preconditioner, self.limit - self.nit, self.rng, self.finest
        )
        active = problem.xp.asarray(running, **problem.place)
        report = None if self.callback is None else self._report
        goals = scaled.goals(check, self.conlim).times(self.aim)
        monitor = Monitor(problem, goals, active, report, self.nit, self.tick)
        monitor.watch, self.monitor = self.watch, monitor
        try:
            d, notes = self.entry.function(problem, monitor, **self.options)
        except Ended:
            if monitor.latest is None:
                self._end(running)
                return running
            monitor.end(monitor.active, STOPPED)
            d, notes = monitor.latest, {}
        finally:
            self.monitor = None
        self.fresh = False
        self.notes.update(notes)
        finite = scaled.advance(d, active)
        if self.entry.applies_inverse:
            self._count(running, finite, notes)
            return running
        if not (scaled.damp and self.layout.x0 is not None):
            # of a part of x0 that A does not see a method knows nothing
            scaled.verdict.learn(to_numpy(monitor.smallest), running)
        self.nit = monitor.nit
        unit = self.scaled.data_scale
        self.watches_normal = monitor.watches_normal
        if monitor.watches_normal:
            unit = unit * self.scaled.kernel_scale
        self.history += [to_numpy(h) / unit for h in monitor.history]
        codes, counts = to_numpy(monitor.code), to_numpy(monitor.item_nit)
        statuses = list(Status)
        for i in np.flatnonzero(running):
            code = int(codes[i])
            self.item_status[i] = statuses[code] if code >= 0 else Status.MAXITER
            if not finite[i]:
                self.item_status[i] = Status.NONFINITE
            self.item_nit[i] += int(counts[i])
        return running

    def _count(self, running, finite, notes):
        """Count an application of an inverse; the check says how good it was."""
        self.nit += 1
        self.tick(self.nit)
        for i in np.flatnonzero(running):
            self.item_status[i] = Status.CONVERGED if finite[i] else Status.NONFINITE
            self.item_nit[i] += 1
        self._learn(notes.get("smallest_singular_value"), running)

    def _learn(self, least, running):
        """Take in the smallest singular value of ``[A; damp I]``, in user's units."""
        if least is None:
            return
        verdict = self.scaled.verdict
        least = least * self.scaled.kernel_scale
        sigma = np.sqrt(max(least**2 - verdict.damp**2, 0.0))
        verdict.learn(np.full(self.layout.batch, sigma), running)
        verdict.certain = float(sigma)
        largest = np.hypot(verdict.norm, verdict.damp)
        if self.conlim is not None and largest > self.conlim * least:
            for i in np.flatnonzero(running):
                self.item_status[i] = Status.ILL_CONDITIONED

    def _stopped(self, check):
        """Record an application's check; True if the callback asks to stop."""
        unit = self.scaled.data_scale
        watched = check.residual
        self.watches_normal = self.scaled.wide.has_adjoint
        if self.scaled.wide.has_adjoint:
            watched, unit = check.normal, unit * self.scaled.kernel_scale
        self.history.append(watched / unit)
        if self.callback is None:
            return False
        monitor = _Checked(self.nit, self.scaled.wide.has_adjoint)
        if not self._report(monitor, None, watched):
            return False
        self._end(~check.good)
        return True

    def _delivered(self, check):
        """x in the user's units, checked once more where they can't hold it."""
        scaled = self.scaled
        x, lost = scaled.deliver()
        self.x_norm = scaled.x_norm(scaled.x)
        if lost is not None:
            passed = check.good
            check = scaled.check(lost, eps=np.finfo(self.layout.dtype).eps)
            check.good &= passed
            for i in np.flatnonzero(~check.good):
                if self.item_status[i] is Status.CONVERGED:
                    whole = np.isfinite(check.residual[i])
                    self.item_status[i] = Status.STALLED if whole else Status.NONFINITE
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
        check, scale = self.check, self.scaled.data_scale
        eps = float(np.finfo(self.layout.dtype).eps)
        return Outcome(
            x=self.x,
            good=check.good,
            residual=check.residual / scale,
            normal=check.normal / scale / self.scaled.kernel_scale,
            error=self.scaled.verdict.error_bound(check, self.x_norm, eps),
            item_nit=self.item_nit,
            item_status=self.item_status,
            history=np.array(self.history).reshape(-1, self.layout.batch),
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
        scaled = self._run.scaled
        norm = to_numpy(self._watched) / scaled.data_scale
        return self._run.layout.items(norm / scaled.kernel_scale**self._normal)
