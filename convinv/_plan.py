"""Which way to solve a layer's problems costs least, with what earlier calls have paid.

Iterations need no set-up; exact inverses need one, the coarser the cheaper, and are
refined. A plan compares what they are expected to take in all. What a way without its
set-up would have saved is remembered with the operator: once that exceeds the set-up,
the next call makes it. So a sequence of calls never pays much more than twice what it
would have paid had it been known in advance.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import NamedTuple

from . import _costs
from ._accuracy import FINEST, FULL, at, levels
from ._exact import MEMORY, gram_of, is_kept, side_of
from ._torus import condition, look

MOST = 20000  # iterations that are expected at most
FEWER = 0.3  # of them, where the problem is damped or of least norm
PREFER = 1.15  # an exact inverse, which serves later calls too, may cost so much more
LOOSE = 3.0  # what an application leaves, in units of its accuracy
TIGHTEST = 1e-14  # a tolerance


@dataclass
class Way:
    """A method with its options, and what it is expected to cost."""

    name: str
    cost: _costs.Cost
    applications: int
    options: dict = field(default_factory=dict)
    kept: bool = False  # whether its set-up has been made

    @property
    def running(self):
        return self.applications * self.cost.once

    @property
    def seconds(self):
        return self.running + (0.0 if self.kept else self.cost.setup)

    @property
    def key(self):
        return self.name, *sorted(self.options.items())


@dataclass
class _Past:
    """What earlier calls with the same layer and damp have found."""

    iterations: dict = field(default_factory=dict)  # of cgls, by tolerance
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
    """

    def __init__(self, op, damp, batch, rtol, memory=math.inf):
        self.op, self.damp, self.batch = op, damp, batch
        self.rtol = min(max(rtol, TIGHTEST), 0.1)
        self.memory = min(memory, MEMORY)
        self.gram = gram_of(op, side_of(op))
        self.step = _costs.iteration(op, batch, damp)
        self.check = _costs.check(op, batch)
        probing, nbytes = _costs.stencil(self.gram)
        self.probing = 0.0 if "stencil" in vars(self.gram) else probing
        self.may_probe = self.gram.local and nbytes <= self.memory
        # what an exact inverse takes at least
        looking = _costs.looking(self.gram)
        self.floor = _costs.LOOK + self.probing + looking + self.check
        self.past = op.layer._kept(("past", damp), _Past)

    @functools.cached_property
    def iterations(self):
        """Iterations of cgls: as many as last time, else from the condition."""
        known = self.past.iterations.get(self.rtol)
        if known is not None:
            return known
        if self.past.condition is None:
            self.past.condition = condition(self.gram, self.damp)
        root = math.sqrt(self.past.condition)
        count = root * math.log(2 / self.rtol)
        tall = self.gram.side == "input" and not self.damp
        return min(count if tall else FEWER * count, MOST)

    def cgls(self) -> Way:
        """Iterations without any set-up."""
        step = _costs.Cost(0.0, self.step, 0.0)
        return Way("cgls", step, math.ceil(self.iterations), kept=True)

    def first(self) -> Way:
        """What to begin with; to be asked once in a call."""
        cgls, past = self.cgls(), self.past
        if cgls.seconds + past.regret < self.floor:
            past.regret += cgls.seconds
            return cgls
        ways = [*self.exact_ways(), cgls]
        best = min(ways, key=lambda w: w.seconds / (1 if w is cgls else PREFER))
        least = min(ways, key=lambda w: w.running)
        past.regret += best.running - least.running
        if past.regret > least.seconds:
            best, past.regret = least, 0.0
        return best

    def instead(self, made, remaining) -> Way | None:
        """What takes over after `made` iterations, with so many to come."""
        self.iterations = made + min(remaining, MOST)
        self.past.iterations[self.rtol] = self.iterations
        seconds = remaining * self.step
        if seconds < self.floor:
            return None
        way = self.exact()
        return None if way is None or way.seconds > seconds else way

    def exact(self, name=None, **options) -> Way | None:
        """The exact inverse that costs least, None where there is none.

        `name` and `options` leave only those that have them.
        """
        ways = [
            way
            for way in self.exact_ways()
            if name in (None, way.name) and options.items() <= way.options.items()
        ]
        return min(ways, key=lambda way: way.seconds, default=None)

    def exact_ways(self) -> list[Way]:
        """All exact inverses that may be had."""
        if not self.may_probe:
            return []
        seen = look(self.gram, self.damp)
        if not seen.profiles:
            return []
        on_device = self.op.xp.__name__ != "numpy"
        found = []
        for decay in [FINEST] if on_device else levels(seen.rcond):
            for name, cost in self._costs(at(decay, seen.rcond)):
                way = self._way(name, cost, decay)
                possible = way.cost.nbytes <= self.memory
                if possible and way.key not in self.past.failed:
                    found.append(way)
        return found

    def _costs(self, accuracy):
        gram, damp, batch = self.gram, self.damp, self.batch
        yield "direct", _costs.direct(gram, damp, batch, accuracy)
        yield "schwarz", _costs.schwarz(gram, damp, batch, accuracy)

    def _way(self, name, cost, decay):
        """With the refinements that the tolerance takes."""
        rate = min(LOOSE * decay, 0.3)
        count = max(math.ceil(math.log(self.rtol / LOOSE) / math.log(rate)), 1)
        options = {"accuracy": decay}
        if name == "direct":
            options["axis"] = cost.axis
            count = 1 if decay == FINEST else count
        cost = cost._replace(
            setup=cost.setup + self.probing, once=cost.once + self.check
        )
        return Way(name, cost, count, options, is_kept(self.op, self.damp, name, options))

    def fails(self, way):
        """Take it that a way is not to be had."""
        self.past.failed.add(way.key)

    def finish(self, made):
        """Take in how many iterations of cgls there have been in this call so far."""
        self.past.iterations[self.rtol] = made

    def words(self, way) -> str:
        """The estimates by which it was taken."""
        cgls = self.cgls()
        words = f"cgls {cgls.seconds:.2g} s in {cgls.applications} iterations"
        if way.name == "cgls":
            return f"iterations cost least (estimate: {words})"
        return (
            f"an exact inverse costs least (estimates: {way.seconds:.2g} s with "
            f"{way.applications} applications; {words})"
        )


def accuracy_of(problem, given, name, **options):
    """The accuracy of an exact inverse: the user's, or the cheapest for a problem."""
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise TypeError(f"accuracy must be a number, got {given!r}")
        if not 0 < given < 1:
            raise ValueError(f"accuracy must be between 0 and 1, got {given!r}")
    if problem.finest:
        return FINEST
    if given is not None:
        return float(given)
    plan = Plan(problem.op, problem.damp, problem.batch, problem.rtol)
    way = plan.exact(name, **options)
    return FINEST if way is None else way.options["accuracy"]
