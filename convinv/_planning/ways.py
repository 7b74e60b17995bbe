"""Which way to solve a layer's problems costs least, with what earlier calls have paid.

Iterations need no set-up; exact inverses need one, the coarser the cheaper, and are
refined; preconditioned iterations lie between. A plan compares what they are expected
to take in all. What a way without its set-up has run longer than another would have is
remembered with the operator: once that exceeds the other's set-up, the next call makes
it. So a sequence of calls never pays much more than twice what it would have paid had
it been known in advance.
"""

import functools
import math
from dataclasses import dataclass, field, replace

import numpy as np

from .._closed_forms.forms import closed_form
from .._inverse.accuracy import (
    FINEST,
    FULL,
    at,
    left_by_factor,
    left_by_tori,
    levels,
)
from .._inverse.circulant import condition, look
from .._inverse.gram_inverse import (
    MEMORY,
    gram_of,
    is_kept,
    shift_for,
    shifted,
    side_of,
)
from . import costs

MOST = 20000  # iterations that are expected at most
FEW = 15  # of them, which cost too little to ask for the condition
FEWER = 0.3  # of them, where few singular values are small, or x is of least norm
MORE = 1.5  # the same, where unknowns at the borders have few data
DAMPED = 0.5  # a damp, in units of the least singular value, that dominates
GUESS = {"schwarz": 15, "circulant": 60}  # of them, preconditioned
ITERATED = 4  # applications of an inverse that is shifted
LOOKS = 12  # times what a look takes that there must be to gain
REGRET = 2  # times a set-up that later calls must have regretted
RANK = 60  # products that the rank of a layer takes to be seen
PREFER = 1.15  # an exact inverse, which serves later calls too, may cost so much more
CHANGE = 0.7  # of the time to go, that makes another way worth the change
SPENT = 4  # the same, in units of the time that iterations have taken
SLOWEST = 0.3  # what a refinement leaves at most
WIDENED = 2.0  # checks, what several refinements in single precision take besides
TIGHTEST = 1e-14  # a tolerance
# Iterations end at residuals that leave an error of x of about ERROR, or at FLOOR.
ERROR, FLOOR, SMALLEST = 1e-5, 1e-12, 1e-2


@dataclass
class Way:
    """A method with its options, and what it is expected to cost."""

    name: str
    cost: costs.Cost
    applications: float
    options: dict = field(default_factory=dict)
    preconditioner: str | None = None
    kept: bool = False  # whether its set-up has been made
    regular: bool = False  # whether it loses the least norm of singular operators
    rounding: float = 0.0  # seconds of keeping x in double and of rounding it
    reason: str = "it costs least"

    @property
    def iterates(self):
        return self.name == "cgls"

    @property
    def running(self):
        return self.applications * self.cost.once + self.rounding

    @property
    def seconds(self):
        return self.running + (0.0 if self.kept else self.cost.setup)

    @property
    def key(self):
        return self.name, self.preconditioner, *sorted(self.options.items())

    def __str__(self):
        with_ = f" with {self.preconditioner}" if self.preconditioner else ""
        steps = "iterations" if self.iterates else "applications"
        count = math.ceil(self.applications)
        return f"{self.name}{with_} {self.seconds:.2g} s, {count} {steps}"


@dataclass
class _Past:
    """What earlier calls with the same layer and damp have found."""

    iterations: dict = field(default_factory=dict)  # by tolerance and preconditioner
    condition: float | None = None  # of N's interior
    failed: set = field(default_factory=set)  # keys of ways
    regret: float = 0.0  # seconds more than a way with a set-up would have run


class Plan:
    """The ways to solve with a layer, for a batch and a tolerance.

    Parameters
    ----------
    op : ConvLinearOperator or its adjoint
    damp : float
    batch : int
    rtol : float
    memory : float
        Bytes that set-ups may take.
    maxiter : int
    """

    def __init__(self, op, damp, batch, rtol, memory=math.inf, maxiter=math.inf):
        self.op, self.damp, self.batch = op, damp, batch
        self.rtol = min(max(rtol, TIGHTEST), 0.1)
        self.memory, self.maxiter = min(memory, MEMORY), maxiter
        self.gram = gram_of(op, side_of(op))
        self.step = costs.iteration(op, batch, damp)
        self.check = costs.check(op, batch)
        probing, nbytes = costs.stencil(self.gram)
        found = "stencil" in vars(self.gram)
        self.probing, self.probes = (0.0, 0.0) if found else (probing, nbytes)
        self.may_probe = self.gram.local and self.probes <= self.memory
        # what anything but plain iterations takes at least
        looking = LOOKS * costs.looking(self.gram)
        self.floor = costs.LOOK + looking + self.check
        self.past = op.layer._kept(("past", damp), _Past)
        self.used: set = set()  # keys of ways that did not suffice
        self.is_compared = False  # whether anything was, with iterations

    @functools.cached_property
    def condition(self):
        """The condition number of A (of ``[A; damp I]``) in the interior."""
        if self.past.condition is None:
            self.past.condition = math.sqrt(condition(self.gram, self.damp))
        return self.past.condition

    @property
    def aim(self):
        """By how much iterations are to go below the tolerance, for the error of x."""
        if self.damp or np.finfo(self.op.dtype).eps > FLOOR:
            return 1.0
        wanted = max(ERROR / min(self.condition, 1e15), FLOOR) / self.rtol
        return min(max(wanted, SMALLEST), 1.0)

    def iterations(self, preconditioner=None):
        """Iterations of cgls: as many as last time, else from the condition."""
        known = self.past.iterations.get((self.rtol, preconditioner))
        if known is not None:
            return known
        count = self.condition * math.log(2 / (self.rtol * self.aim))
        count = min(self._share() * count, MOST)
        if preconditioner is not None:
            return min(count, GUESS[preconditioner])
        return count

    def _share(self):
        """Iterations in units of what the condition bounds them by, as a rule."""
        if self.gram.side == "output":
            return FEWER
        if self.damp * self.condition > DAMPED * math.sqrt(self.gram.bound):
            return FEWER  # most singular values are much larger
        g = self.op.layer.geometry
        return 1.0 if any(g.before + g.after) else MORE

    def cgls(self) -> Way:
        """Iterations without any set-up."""
        step = costs.Cost(0.0, self.step, 0.0)
        return Way("cgls", step, self.iterations(), kept=True)

    @functools.cached_property
    def spectral(self) -> Way | None:
        """The closed form of the layer, if it has one."""
        form = closed_form(self.op)
        if form is None or (self.damp and not form.orthonormal):
            return None
        single = np.finfo(self.op.dtype).eps > FLOOR
        cost = costs.Cost(
            form.setup, form.application(self.batch) + self.check, form.nbytes
        )
        kept = is_kept(self.op, "spectral", self.op.dtype, self.damp)
        return Way("spectral", cost, 1 + single, kept=kept, reason=form.reason)

    def first(self) -> Way:
        """What to begin with; to be asked once in a call."""
        if self.spectral and self.spectral.seconds < FEW * self.step:
            return self.spectral
        self.is_compared = True
        cgls, past = self.cgls(), self.past
        floor = min(self.floor, self.spectral.seconds if self.spectral else math.inf)
        within = cgls.applications <= self.maxiter
        if within and cgls.seconds + past.regret < floor:
            past.regret += cgls.seconds
            return cgls
        ways = self.ways(guesses=False)
        best = min(ways, key=lambda way: way.seconds / (1 if way.iterates else PREFER))
        least = min(ways, key=lambda way: way.running)
        past.regret += best.running - least.running
        if past.regret > REGRET * least.seconds:
            best, past.regret = least, 0.0
        return best

    def _is_guess(self, way):
        """Whether nothing but a guess says how many iterations it takes."""
        known = (self.rtol, way.preconditioner) in self.past.iterations
        return way.preconditioner is not None and not known

    def instead(self, way, made, remaining) -> Way | None:
        """What takes over after `made` iterations of `way`, with so many to come.

        Early rates of convergence mislead: it must not cost much more than what the
        iterations have already.
        """
        self.finish(way, made + min(remaining, MOST))
        seconds = min(CHANGE * remaining, SPENT * made) * way.cost.once
        if seconds < self.floor:
            return None
        others = [other for other in self.ways() if other.key != way.key]
        if (self.rtol, None) not in self.past.iterations:
            # that plain iterations are few is no more than a guess
            others = [other for other in others if other.key != self.cgls().key]
        best = min(others, key=lambda other: other.seconds, default=None)
        return None if best is None or best.seconds > seconds else best

    def after(self, way) -> Way | None:
        """What is left after a way that did not suffice."""
        self.used.add(way.key)
        ways = self.ways()
        return min(ways, key=lambda other: other.seconds, default=None)

    def fails(self, way):
        """Take it that a way is not to be had, in later calls either."""
        self.past.failed.add(way.key)

    def finish(self, way, made):
        """Take in how many iterations a way takes."""
        self.past.iterations[self.rtol, way.preconditioner] = made

    def exact(self, name, **options) -> Way | None:
        """The exact inverse of a kind that costs least, None where there is none."""
        ways = [
            way
            for way in self.exact_ways
            if name == way.name and options.items() <= way.options.items()
        ]
        return min(ways, key=lambda way: way.seconds, default=None)

    def ways(self, guesses=True) -> list[Way]:
        """All that may be had and has not failed, if there is a choice within maxiter.

        Without `guesses`, only those whose number of iterations is not just guessed.
        """
        found = [self.cgls()] + ([self.spectral] if self.spectral else [])
        if not (self.spectral and self.spectral.seconds < self.floor):
            found += [*self.exact_ways, *self._preconditioned()]
        found = [w for w in found if w.key not in self.past.failed | self.used]
        if not guesses:
            found = [way for way in found if not self._is_guess(way)]
        ending = [way for way in found if way.applications <= self.maxiter]
        return ending or found

    @functools.cached_property
    def exact_ways(self) -> list[Way]:
        """All exact inverses that may be had."""
        if not self.may_probe:
            return []
        seen = look(self.gram, self.damp)
        on_device = self.op.xp is not np
        coarse = seen.profiles and not on_device
        found = []
        for decay in levels(seen.rcond) if coarse else [FINEST]:
            accuracy = at(decay, seen.rcond)
            cost = costs.direct(self.gram, self.damp, self.batch, accuracy)
            left = left_by_factor(decay, seen.rcond or 1.0)
            found.append(self._exact("direct", cost, decay, left))
            cost = costs.schwarz(self.gram, self.damp, self.batch, accuracy)
            left = left_by_tori(decay, seen.rcond or 1.0)
            found.append(self._exact("schwarz", cost, decay, left))
        if not (seen.profiles or self.damp or on_device):
            found.append(self._regularized(found[0]))
        memory = self.memory - self.probes
        return [way for way in found if way.cost.nbytes <= memory]

    def _regularized(self, way):
        """The factor of a singular N plus a shift, which is iterated."""
        shift = shift_for(self.rtol)
        damp = shifted(self.op, 0.0, shift)
        kept = is_kept(self.op, "direct", damp, FINEST, way.cost.axis)
        options = {**way.options, "shift": shift}
        return Way("direct", way.cost, ITERATED, options, kept=kept)

    def _exact(self, name, cost, decay, left):
        """With the refinements that the tolerance takes; one leaves `left`."""
        count = 1
        if left > self.rtol:
            rate = math.log(min(left, SLOWEST))
            count = math.ceil(math.log(self.rtol) / rate)
        options = {"accuracy": decay}
        if name == "direct":
            options["axis"] = cost.axis
        cost = cost._replace(
            setup=cost.setup + self.probing, once=cost.once + self.check
        )
        key = (name, self.damp, decay, *([cost.axis] if name == "direct" else []))
        single = np.finfo(self.op.dtype).eps > FLOOR
        rounding = WIDENED * self.check if single and count > 1 else 0.0
        kept = is_kept(self.op, *key)
        return Way(name, cost, count, options, kept=kept, rounding=rounding)

    def _preconditioned(self):
        """Iterations with a circulant, or with bands along the borders besides."""
        for way in self._preconditioners:
            yield replace(way, applications=self.iterations(way.preconditioner))

    @functools.cached_property
    def _preconditioners(self):
        """The same, for an iteration each."""
        return list(self._each_preconditioner())

    def _each_preconditioner(self):
        gram, batch, regular = self.gram, self.batch, not self.damp
        rank = RANK * (costs.product(self.op, 1) * 2) if regular else 0.0
        names = []
        boundary = self.op.layer.geometry.boundary
        # of a part of a Toeplitz matrix the rank is known, of others it takes bands
        if not regular or (gram.side == "output" and boundary == "zero"):
            names.append("circulant")
        if self.may_probe and self.op.xp is np:
            names.append("schwarz")
        for name in names:
            cost = costs.circulant(gram, batch)
            if name == "schwarz":
                cost = costs.schwarz(gram, self.damp, batch, FULL)
                if cost is costs.NEVER:  # bands are as deep as they may be
                    cost = costs.slow(gram, self.damp, batch)
                setup = cost.setup + self.probing
                cost = cost._replace(setup=setup, once=2 * cost.once)
            kept = is_kept(self.op, f"preconditioner {name}", self.damp, "normal")
            once = cost.once + self.step
            if regular and gram.side == "output":  # A^H (A A^H)^-2 A is applied
                once += cost.once + 2 * costs.product(self.op, batch)
            cost = cost._replace(setup=cost.setup + rank, once=once)
            if cost.nbytes <= self.memory:
                yield Way("cgls", cost, 1, {}, name, kept=kept, regular=regular)

    def words(self, way) -> str:
        """The estimates by which it was taken."""
        words = [str(way)]
        if self.is_compared and way.key != self.cgls().key:
            words.append(str(self.cgls()))
        return f"{way.reason} (estimates: {'; '.join(words)})"


def accuracy_of(problem, given, name, **options):
    """The accuracy of an exact inverse: the user's, or the cheapest for a problem."""
    if problem.finest:
        return FINEST
    if given is not None:
        return float(given)
    plan = Plan(problem.op, problem.damp, problem.batch, problem.rtol)
    way = plan.exact(name, **options)
    return FINEST if way is None else way.options["accuracy"]
