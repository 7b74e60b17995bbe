"""What method="auto" does: the order in which methods are tried, and why."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._closed_forms.forms import closed_form
from .._core.errors import MemoryLimit
from .._inverse.accuracy import FINEST
from .._inverse.embedding import is_embedded
from .._planning.ways import MOST, Plan, Way
from .._problem.problem import Unsuitable
from ..operators._cells import is_tall_stack
from ..solvers.direct import factored
from ..solvers.schwarz import border_corrected

# Iteration limits of a preconditioned method that usually converges, and of the last.
BUDGET, LONG = 300, 3000
# Iterations before the first look at the rate of convergence, by preconditioner.
AT_FIRST = {None: 6, "schwarz": 15, "circulant": 30}
SCHWARZ: dict = {"preconditioner": "schwarz"}
EXACT: dict = {"direct": factored, "schwarz": border_corrected}
LONGER = 1.3  # times the iterations to the tolerance that may be made for a lower aim
TIGHT = 1e-12  # a tolerance that asks for a few refinements
SAME = 30  # rounding errors that two products may differ by


@dataclass(frozen=True)
class MethodChoice:
    """A method with its options, and the reason why it was taken.

    `budget` is the number of iterations after which the next choice has its turn. A
    choice for `regular` operators would lose the solution of least norm of others.
    `watch` is asked at each look at the stopping test whether the next choice is to go
    on, and `aim` lowers the tolerance of iterations.
    """

    name: str
    reason: str
    options: dict = field(default_factory=dict)
    preconditioner: Any = None
    budget: int | None = None
    regular: bool = False
    watch: Callable | None = None
    aim: float = 1.0


def choose(
    op, *, damp=0.0, batch=1, rtol=1e-6, memory=math.inf, maxiter=math.inf
) -> Iterator[MethodChoice]:
    """The methods that "auto" tries, in order; the next one where one fails.

    A choice is made when it is asked for: what the later ones cost to find is not spent
    where an earlier one succeeds. `memory` bounds the bytes of set-ups, `maxiter` the
    iterations.
    """
    if not is_planned(op):
        if _is_regular(op, damp):
            yield from _weighted(op)
        yield from _general(op)
    else:
        yield from _by_costs(op, Plan(op, damp, batch, rtol, memory, maxiter))


def is_planned(op) -> bool:
    """Whether costs decide: for layers, their adjoints and tall stacks of them."""
    return op.layer is not None or is_tall_stack(op)


def candidates(op, preconditioner=None) -> list[MethodChoice]:
    """All choices that `choose` may yield, for estimates of memory."""
    if preconditioner is not None:
        return [given(op, preconditioner)]
    if not is_planned(op):
        return [*_weighted(op), *_general(op)]
    names = [*EXACT] + ["spectral"] * (closed_form(op) is not None)
    return [
        *(MethodChoice(name, "") for name in names),
        MethodChoice("cgls", "", **SCHWARZ),
        *[MethodChoice("embedding", "")] * is_embedded(op),
    ]


def given(op, preconditioner) -> MethodChoice:
    """The choice for a preconditioner that the user gave."""
    name = "cgls" if op.has_adjoint else "gmres"
    return MethodChoice(
        name, "a preconditioner was given", preconditioner=preconditioner
    )


def exact_choices(op, *, damp=0.0, batch=1, rtol=None) -> list[MethodChoice]:
    """The available exact inverses of full accuracy, the cheapest first.

    With `rtol`, the one that costs least with its refinements to that tolerance, of
    whatever accuracy, before them.
    """
    fine = [
        way
        for way in _exact(op, damp, batch, TIGHT)
        if way.options["accuracy"] == FINEST
    ]
    first = [] if rtol is None else _exact(op, damp, batch, rtol)[:1]
    return [_choice(way) for way in first + fine]


def _exact(op, damp, batch, rtol) -> list[Way]:
    """Exact inverses without a shift, the cheapest first."""
    ways = Plan(op, damp, batch, rtol).exact_ways
    return sorted((w for w in ways if "shift" not in w.options), key=_seconds)


def prepare(op, damp, choice):
    """Make the `GramInverse` of an exact choice, which is kept with the layer."""
    return EXACT[choice.name](op, damp, **choice.options)


def _general(op):
    square = op.shape[0] == op.shape[1]
    if square and not op.has_adjoint:
        yield MethodChoice("gmres", "the operator is square and has no adjoint")
        return
    yield MethodChoice("cgls", "the operator is no convolution")
    yield MethodChoice("lsmr", "cgls does not get there")


def _weighted(op):
    """Convolutions whose rows have weights."""
    if not op.weighted_convolutions:
        return
    if is_embedded(op):
        words = "convolutions on a torus, of which some rows are left out"
        yield MethodChoice("embedding", words, budget=BUDGET)
    words = "rows have weights, and the convolutions with equal ones precondition"
    yield MethodChoice("cgls", words, preconditioner="circulant", budget=BUDGET)


def _is_regular(op, damp):
    """Whether weighted convolutions have enough rows, so that x is likely unique."""
    counts = sum(
        layer.shape[0] if weights is None else int((weights != 0).sum())
        for layer, weights in op.weighted_convolutions
    )
    return bool(op.weighted_convolutions) and (damp > 0 or counts >= op.shape[1])


def _by_costs(op, plan):
    """The cheapest way first; the next one if it fails or turns out to be slow."""
    way = plan.first()
    while way is not None:
        aim = plan.aim if way.iterates else 1.0
        watch = _Watch(op, plan, way, aim) if way.iterates else None
        yield _choice(way, plan.words(way), watch, aim)
        if watch and watch.is_over_aim:
            yield _choice(way, "the tolerance was nearly reached")
        found = watch.found if watch else None
        way = plan.after(way) if found is None else found
    yield from _hermitian(op, plan)
    yield MethodChoice("cgls", "nothing else suffices")


def _choice(way: Way, reason="", watch=None, aim=1.0) -> MethodChoice:
    return MethodChoice(
        way.name,
        reason,
        way.options,
        way.preconditioner,
        budget=BUDGET if way.name == "embedding" else None,
        regular=way.regular,
        watch=watch,
        aim=aim,
    )


def _seconds(way: Way) -> float:
    return way.seconds


class _Watch:
    """Looks at the progress of iterations, and for what would cost less than the rest.

    Called with how far the worst item is from what is aimed at, and with the iterations
    since the last call; true when `found` is ready to take over, or when the tolerance
    has been reached and to go on to a lower aim would take too long. An inverse is made
    before, so that iterations go on where that fails.
    """

    def __init__(self, op, plan, way, aim):
        self.op, self.plan, self.way, self.found = op, plan, way, None
        self.logs, self.next = [], AT_FIRST[way.preconditioner]
        self.aim, self.reached, self.is_over_aim = aim, None, False

    def __call__(self, left, since=1):
        log = math.log(max(left, 1e-300))
        if not self.logs:  # one call tells no rate
            self.next = max(self.next, since + 1)
        before = self.logs[-1] if self.logs else log
        self.logs += [before + i * (log - before) / since for i in range(1, since)]
        self.logs.append(log)
        made = len(self.logs)
        over = made > 2 and made >= self.plan.maxiter and left > 1
        self.plan.finish(self.way, made + (min(self._remaining(), MOST) if over else 0))
        if left <= 1 / self.aim:
            self.reached = made if self.reached is None else self.reached
            self.is_over_aim = made > LONGER * self.reached and left > 1
            return self.is_over_aim
        if made < self.next:
            return False
        self.next = made + max(2, made // 4)
        found = self.plan.instead(self.way, made, self._remaining())
        if found is None:
            return False
        try:
            if found.name in EXACT:
                prepare(self.op, self.plan.damp, _choice(found))
        except (Unsuitable, MemoryLimit, np.linalg.LinAlgError):
            self.plan.fails(found)
            return False
        if self.way.preconditioner:  # it has had its turn
            self.plan.used.add(self.way.key)
        self.found = found
        return True

    def _remaining(self):
        """Iterations still needed, at the rate of the second half of those made."""
        best = np.minimum.accumulate(self.logs)
        half = len(best) // 2
        slope = (best[half] - best[-1]) / (len(best) - 1 - half)
        return best[-1] / slope if slope > 0 else math.inf


def _hermitian(op, plan):
    """Conjugate gradients for Hermitian layers: the condition is not squared."""
    if plan.may_probe and not plan.damp and _is_hermitian(op):
        words = "nothing else suffices, and the layer is Hermitian"
        yield MethodChoice("cg", words, budget=BUDGET, regular=True, **SCHWARZ)
        yield MethodChoice("cg", words, budget=LONG, regular=True)


def _is_hermitian(op):
    """Whether ``<u, A v> = <A u, v>`` for random u and v."""
    if op.input_shape != op.output_shape:
        return False
    rng, xp = np.random.default_rng(0), op.xp
    u, v = (
        xp.asarray(rng.standard_normal((1, *op.input_shape)), dtype=op.dtype)
        for _ in range(2)
    )
    a_u, a_v = op.apply(u), op.apply(v)
    difference = xp.vdot(u, a_v) - xp.vdot(a_u, v)
    size = xp.linalg.norm(a_u.ravel()) * xp.linalg.norm(v.ravel())
    eps = float(np.finfo(op.dtype).eps)
    return bool(abs(difference) <= SAME * eps * size)
