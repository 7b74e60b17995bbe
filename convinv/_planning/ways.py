"""The cheapest way to solve a layer's problems, considering what earlier calls cost.

Iterations need no set-up. Exact inverses need one, the coarser the cheaper, and are
refined. Preconditioned iterations lie between. A plan compares their expected total
times. If a way without a set-up runs longer than another way would have, the difference
is added up with the operator; when the sum exceeds the other's set-up, the next call
makes that set-up. The cost of a sequence of calls is therefore not much more than twice
the cost with perfect knowledge of the sequence.
"""

import functools
import math
from dataclasses import dataclass, field, replace

import numpy as np

from .._closed_forms.forms import closed_form
from .._core.byte_counts import bytes_text
from .._core.errors import MARGIN
from .._inverse.accuracy import (
    FINEST,
    FULL,
    at,
    left_by_border_correction,
    left_by_factor,
    levels,
)
from .._inverse.circulant import condition, look
from .._inverse.embedding import is_embedded
from .._inverse.gram_inverse import (
    MEMORY,
    gram_of,
    is_kept,
    shift_for,
    shifted,
    side_of,
)
from ..operators._cells import keeper
from . import costs

MOST = 20000  # largest estimate of iterations
FEW = 15  # iterations, too cheap to compute the condition for
FEWER = 0.3  # factor if few singular values are small, or x is of least norm
MORE = 1.5  # factor if unknowns at the borders have few data
DAMPED = 0.5  # damp, in units of the least singular value, above which it dominates
GUESS = {"schwarz": 15, "circulant": 60}  # preconditioned iterations
# Iterations of `embedding` for each digit, around a box of data and with gaps in it.
EMBEDDED, GAPS = 1.5, 7
ITERATED = 4  # applications of a shifted inverse
LOOKS = 12  # least gain that justifies a look, in units of its time
REGRET = 2  # lost time after which a set-up is made, in units of its time
RANK = 60  # products needed to determine the rank of a layer
PREFER = 1.15  # an exact inverse, also for later calls, may cost this factor more
CHANGE = 0.7  # another way must take less than this part of the remaining time
SPENT = 4  # and less than this multiple of the time spent so far
DOUBTFUL, DOUBT = 1000, 3  # iterations of square layers that may be more, a factor
SLOWEST = 0.3  # largest reduction factor of a refinement
WIDENED = 2.0  # extra cost of several refinements in single precision, in checks
TIGHTEST = 1e-14  # smallest tolerance
# Iterations stop when the error of x is about ERROR, or at a residual of FLOOR.
ERROR, FLOOR, SMALLEST = 1e-5, 1e-12, 1e-2


@dataclass
class Way:
    """A method with its options and its expected cost."""

    name: str
    cost: costs.Cost
    applications: float
    options: dict = field(default_factory=dict)
    preconditioner: str | None = None
    kept: bool = False  # whether its set-up exists
    regular: bool = False  # whether it loses least norm for singular operators
    rounding: float = 0.0  # seconds for keeping x in double and for rounding it
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
        iterates = self.iterates or self.name == "embedding"
        steps = "iterations" if iterates else "applications"
        count = math.ceil(self.applications)
        return f"{self.name}{with_} {self.seconds:.2g} s, {count} {steps}"


@dataclass
class _Past:
    """Results of earlier calls with the same layer and damp."""

    iterations: dict = field(default_factory=dict)  # by tolerance and preconditioner
    condition: float | None = None  # of N's interior
    failed: set = field(default_factory=set)  # keys of ways
    regret: float = 0.0  # seconds lost compared with a way with a set-up


class Plan:
    """The ways to solve with a layer, for a batch and a tolerance.

    Parameters
    ----------
    op : ConvLinearOperator, its adjoint, or a stack of them
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
        self.memory = MEMORY if memory == math.inf else memory
        self.maxiter = maxiter
        self.gram = gram_of(op, side_of(op))
        self.step = costs.iteration(op, batch, damp)
        self.check = costs.check(op, batch)
        probing, nbytes = costs.stencil(self.gram)
        found = "stencil" in vars(self.gram)
        self.probing, self.probes = (0.0, 0.0) if found else (probing, nbytes)
        self.may_probe = self.gram.banded and self.probes <= self.memory
        # the least that any way except plain iterations takes
        looking = LOOKS * costs.looking(self.gram)
        self.floor = costs.LOOK + looking + self.check
        self.past = keeper(op).cached(("past", damp), _Past)
        self.used: set = set()  # keys of ways that failed
        self.smallest: Way | None = None  # the exact inverse of least memory
        self.is_compared = False  # whether other ways were compared with iterations

    @functools.cached_property
    def condition(self):
        """The condition number of A (of ``[A; damp I]``) in the interior."""
        if self.past.condition is None:
            self.past.condition = math.sqrt(condition(self.gram, self.damp))
        return self.past.condition

    @property
    def aim(self):
        """The factor by which iterations go below the tolerance, for the error of x."""
        if self.damp or np.finfo(self.op.dtype).eps > FLOOR:
            return 1.0
        wanted = max(ERROR / min(self.condition, 1e15), FLOOR) / self.rtol
        return min(max(wanted, SMALLEST), 1.0)

    def iterations(self, preconditioner=None):
        """Iterations of cgls: those of the last call, or an estimate."""
        known = self.past.iterations.get((self.rtol, preconditioner))
        if known is not None:
            return known
        count = self.condition * math.log(2 / (self.rtol * self.aim))
        count = min(self._share() * count, MOST)
        if preconditioner is not None:
            return min(count, GUESS[preconditioner])
        return count

    def _share(self):
        """Usual number of iterations in units of the bound by the condition."""
        if self.gram.side == "output":
            return FEWER
        if len(self.gram.geometries) > 1:
            return FEWER  # a penalty moves the singular values of fine details alone
        if self.damp * self.condition > DAMPED * math.sqrt(self.gram.bound):
            return FEWER  # most singular values are much larger
        padded = any(any(g.before + g.after) for g in self.gram.geometries)
        return 1.0 if padded else MORE

    def cgls(self) -> Way:
        """Iterations without any set-up."""
        step = costs.Cost(0.0, self.step, 0.0)
        count = self.iterations()
        if self._is_doubtful(count):
            count = min(DOUBT * count, MOST)
        return Way("cgls", step, count, kept=True)

    def _is_doubtful(self, count):
        """Whether an estimate of so many iterations may be much too small.

        It comes from the layer's interior. At the borders of a square layer, which has
        no data to spare, singular values may be much smaller.
        """
        known = (self.rtol, None) in self.past.iterations
        square = self.op.shape[0] == self.op.shape[1]
        return square and not (self.damp or known) and count > DOUBTFUL

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

    @functools.cached_property
    def embedding(self) -> Way | None:
        """CG on the rows that a torus adds, of a stack that a penalty makes regular."""
        if len(self.gram.geometries) == 1 or not is_embedded(self.op):
            return None
        cost = costs.embedding(self.op, self.batch)
        cost = cost._replace(setup=cost.setup + self.check)
        parts = self.op.weighted_convolutions
        is_box = all(max(part.stride) == 1 and w is None for part, w in parts)
        count = (EMBEDDED if is_box else GAPS) * -math.log10(self.rtol)
        kept = is_kept(self.op, "embedding", self.damp)
        return Way("embedding", cost, count, kept=kept)

    def first(self) -> Way:
        """The way to begin with; call this once per call of `solve`."""
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
        """Whether its number of iterations is only a guess."""
        known = (self.rtol, way.preconditioner) in self.past.iterations
        return way.preconditioner is not None and not known

    def instead(self, way, made, remaining) -> Way | None:
        """The way that replaces `way` after `made` iterations, None to continue.

        Early rates of convergence mislead: the new way must not cost much more than the
        iterations so far.
        """
        self.finish(way, made + min(remaining, MOST))
        seconds = min(CHANGE * remaining, SPENT * made) * way.cost.once
        if seconds < self.floor:
            return None
        others = [other for other in self.ways() if other.key != way.key]
        if (self.rtol, None) not in self.past.iterations:
            # the estimate of few plain iterations is only a guess
            others = [other for other in others if other.key != self.cgls().key]
        best = min(others, key=lambda other: other.seconds, default=None)
        return None if best is None or best.seconds > seconds else best

    def after(self, way) -> Way | None:
        """The next way after one that failed."""
        self.used.add(way.key)
        ways = self.ways()
        return min(ways, key=lambda other: other.seconds, default=None)

    def fails(self, way):
        """Record that a way is not available, also for later calls."""
        self.past.failed.add(way.key)

    def finish(self, way, made):
        """Record how many iterations a way takes."""
        self.past.iterations[self.rtol, way.preconditioner] = made

    def exact(self, name, **options) -> Way | None:
        """The cheapest exact inverse of a kind, None if there is none."""
        ways = [
            way
            for way in self.exact_ways
            if name == way.name and options.items() <= way.options.items()
        ]
        return min(ways, key=lambda way: way.seconds, default=None)

    def ways(self, guesses=True) -> list[Way]:
        """All ways that are available and have not failed, within maxiter if possible.

        Without `guesses`, only those whose number of iterations is not a guess.
        """
        found = [self.cgls()] + ([self.spectral] if self.spectral else [])
        if not (self.spectral and self.spectral.seconds < self.floor):
            found += [*self.exact_ways, *self._preconditioned()]
            found += [self.embedding] if self.embedding else []
        found = [w for w in found if w.key not in self.past.failed | self.used]
        if not guesses:
            found = [way for way in found if not self._is_guess(way)]
        ending = [way for way in found if way.applications <= self.maxiter]
        return ending or found

    @functools.cached_property
    def exact_ways(self) -> list[Way]:
        """All available exact inverses."""
        if not self.may_probe:
            return []
        seen = look(self.gram, self.damp)
        # a device's applications take milliseconds, the refinements of coarse ones more
        coarse = seen.profiles and self.op.xp is np
        found = []
        for decay in levels(seen.rcond) if coarse else [FINEST]:
            accuracy = at(decay, seen.rcond)
            cost = costs.direct(self.gram, self.damp, self.batch, accuracy)
            left = left_by_factor(decay, seen.rcond or 1.0)
            found.append(self._exact("direct", cost, decay, left))
            cost = costs.schwarz(self.gram, self.damp, self.batch, accuracy)
            left = left_by_border_correction(decay, seen.rcond or 1.0)
            found.append(self._exact("schwarz", cost, decay, left))
        if not (seen.profiles or self.damp):
            found.append(self._regularized(found[0]))
        memory = self.memory - self.probes
        self.smallest = min(found, key=lambda way: way.cost.nbytes)
        return [way for way in found if way.cost.nbytes <= memory]

    def _regularized(self, way):
        """The iterated factor of a singular N plus a shift."""
        shift = shift_for(self.rtol)
        damp = shifted(self.op, 0.0, shift)
        kept = is_kept(self.op, "direct", damp, FINEST, way.cost.axis)
        options = {**way.options, "shift": shift}
        return Way("direct", way.cost, ITERATED, options, kept=kept)

    def _exact(self, name, cost, decay, left):
        """A way with the refinements for the tolerance, each with reduction `left`."""
        count = 1
        if left > self.rtol:
            rate = math.log(min(left, SLOWEST))
            count = math.ceil(math.log(self.rtol) / rate)
        options = {"accuracy": decay}
        if name == "direct":
            options["axis"] = cost.axis
            if self.memory > MEMORY:
                options["memory"] = self.memory
        cost = cost._replace(
            setup=cost.setup + self.probing, once=cost.once + self.check
        )
        key = (name, self.damp, decay, *([cost.axis] if name == "direct" else []))
        single = np.finfo(self.op.dtype).eps > FLOOR
        rounding = WIDENED * self.check if single and count > 1 else 0.0
        kept = is_kept(self.op, *key)
        return Way(name, cost, count, options, kept=kept, rounding=rounding)

    def _preconditioned(self):
        """Iterations with a circulant, alone or with bands along the borders."""
        for way in self._preconditioners:
            yield replace(way, applications=self.iterations(way.preconditioner))

    @functools.cached_property
    def _preconditioners(self):
        """The preconditioned ways with the cost of one iteration each."""
        return list(self._each_preconditioner())

    def _each_preconditioner(self):
        gram, batch, regular = self.gram, self.batch, not self.damp
        rank = RANK * (costs.product(self.op, 1) * 2) if regular else 0.0
        names = []
        boundary = gram.geometries[0].boundary
        # the rank of a part of a Toeplitz matrix is known, that of others needs bands
        known = gram.side == "output" and boundary == "zero"
        if not regular or known or len(gram.geometries) > 1:
            names.append("circulant")
        if self.may_probe:
            names.append("schwarz")
        for name in names:
            cost = costs.circulant(gram, batch)
            if name == "schwarz":
                cost = costs.schwarz(gram, self.damp, batch, FULL)
                if cost is costs.NEVER:  # bands have their largest depth
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
        """The estimates that decided for it."""
        words = [str(way)]
        if self.is_compared and way.key != self.cgls().key:
            words.append(str(self.cgls()))
        return f"{way.reason} (estimates: {'; '.join(words)}){self._left_out(way)}"

    def _left_out(self, way):
        """What would help iterations that may be many."""
        exact = self.smallest
        if exact is None or not way.iterates or way.applications < DOUBTFUL:
            return ""
        needed = exact.cost.nbytes + self.probes
        if needed <= self.memory:
            return ""
        return (
            f", an exact inverse would take more than the {bytes_text(self.memory)} "
            f"allowed, and {exact.seconds:.2g} s: "
            f"max_memory={bytes_text(MARGIN * needed)!r} lets one be made"
        )


def accuracy_of(problem, given, name, **options):
    """The accuracy of an exact inverse: the user's, or the cheapest for a problem."""
    if problem.finest:
        return FINEST
    if given is not None:
        return float(given)
    plan = Plan(problem.op, problem.damp, problem.batch, problem.rtol)
    way = plan.exact(name, **options)
    return FINEST if way is None else way.options["accuracy"]
