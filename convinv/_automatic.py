"""What method="auto" does: the order in which methods are tried, and why."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ._banded import block_cells
from ._exact import gram_of, side_of
from ._polyphase import Polyphase
from ._torus import decay
from .solvers.direct import MEMORY

# Seconds of this package's kernels on two cores; only their ratios matter.
PRODUCT_RATE = {4: 60e9, 8: 30e9}  # multiply-adds of matrix products in a second
FACTOR_RATE = 16e9  # the same in the recursion, in double precision
BANDWIDTH = 12e9  # bytes in a second
CALL = 6e-6  # a small matrix product and its bookkeeping
TRANSFORM = {4: 2e-9, 8: 4e-9}  # a number's way through an FFT pair, per log2
CHANNEL = {4: 0.4e-9, 8: 0.8e-9}  # one multiplication by the symbol's inverse
START = 0.05  # seconds to look at a layer and to set its bands up
# Iterations of a preconditioned method that gets there at all, and of one that may.
BUDGET, LONG = 300, 3000
SCHWARZ: dict = {"preconditioner": "schwarz"}
SAME = 30  # rounding errors that two products may differ by
CHEAP = 0.05  # seconds below which no alternative is looked at


@dataclass(frozen=True)
class Choice:
    """A method with its options, and the reason why it was taken.

    `budget` is the number of iterations after which the next choice has its turn. A
    choice for `regular` operators would lose the solution of least norm of others.
    """

    name: str
    reason: str
    options: dict = field(default_factory=dict)
    preconditioner: str | None = None
    budget: int | None = None
    regular: bool = False


def choose(op, *, damp=0.0, batch=1) -> Iterator[Choice]:
    """The methods that "auto" tries, in order; the next one where one fails.

    A choice is made when it is asked for: what the later ones cost to find is not spent
    where an earlier one succeeds.
    """
    if not hasattr(op, "layer"):
        yield from _general(op)
    elif Polyphase(op.layer.geometry).is_torus:
        reason = "the layer is periodic: one small matrix per frequency"
        yield Choice("spectral", reason)
        yield Choice("cgls", "the spectral solution does not satisfy the tolerance")
    elif _wraps(op.layer.geometry):
        reason = "the layer wraps around the image and is no torus"
        if damp:  # without it a preconditioner might lose the least norm
            yield Choice("cgls", reason, preconditioner="schwarz", budget=BUDGET)
        yield Choice("cgls", reason)
    else:
        exact = _exact(op, damp, batch)
        yield exact
        if exact.name != "cgls":
            yield from _after_exact(op, damp)


def _general(op):
    square = op.shape[0] == op.shape[1]
    if square and not op.has_adjoint:
        yield Choice("gmres", "the operator is square and has no adjoint")
        return
    yield Choice("cgls", "the operator is no convolution")
    yield Choice("lsmr", "cgls does not get there")


def _exact(op, damp, batch):
    """The exact inverse that costs least, or cgls where there is none."""
    direct, axis = direct_seconds(op, batch)
    if direct < CHEAP:
        reason = "lines are so short that two sweeps of matrix products cost least"
        return Choice("direct", reason, {"axis": axis})
    tori = schwarz_seconds(op, damp, batch)
    if direct == tori == math.inf:
        reason = "the inverse decays too slowly for corrections along the borders"
        return Choice("cgls", reason)
    words = f"(estimates: direct {direct:.2g} s, schwarz {tori:.2g} s)"
    if direct <= tori:
        reason = f"two sweeps of matrix products cost least {words}"
        return Choice("direct", reason, {"axis": axis})
    return Choice(
        "schwarz", f"FFTs and corrections along the borders cost least {words}"
    )


def _after_exact(op, damp):
    """What is left where an exact inverse is not to be had or does not suffice."""
    reason = "the exact inverse alone makes no progress"
    if not damp and _is_hermitian(op):
        words = f"{reason}, and the layer is Hermitian"
        yield Choice("cg", words, budget=BUDGET, regular=True, **SCHWARZ)
        yield Choice("cg", words, budget=LONG, regular=True)
    yield Choice("cgls", reason, budget=BUDGET, regular=True, **SCHWARZ)
    yield Choice("cgls", "the exact inverse can't be had")


def _is_hermitian(op):
    """Whether ``<u, A v> = <A u, v>`` for random u and v."""
    if op.input_shape != op.output_shape:
        return False
    rng, xp = np.random.default_rng(0), op.xp
    u, v = (
        xp.asarray(rng.standard_normal((1, *op.input_shape)), dtype=op.dtype)
        for _ in range(2)
    )
    a_u, a_v = op._forward(u), op._forward(v)
    difference = xp.vdot(u, a_v) - xp.vdot(a_u, v)
    size = xp.linalg.norm(a_u.ravel()) * xp.linalg.norm(v.ravel())
    eps = float(np.finfo(op.dtype).eps)
    return bool(abs(difference) <= SAME * eps * size)


def _wraps(g):
    return g.boundary == "periodic" and any(g.before + g.after)


def direct_seconds(op, batch):
    """The cheapest axis for `direct`: ``(seconds, axis)``, set-up included."""
    op = op.layer  # N is the same for the adjoint
    g = op.geometry
    layer = Polyphase(g)
    if side_of(op) == "input":
        grid, channels = layer.cells, layer.channels
    else:
        grid, channels = g.output, layer.filters
    costs = []
    for axis in range(3 - g.ndim, 3):
        reach = g.dilation[axis] * (g.kernel[axis] - 1) // g.stride[axis]
        line = channels * math.prod(n for a, n in enumerate(grid) if a != axis)
        costs.append((_sweeps(op, line, reach, grid[axis], batch), axis - 3 + g.ndim))
    return min(costs)


def _sweeps(op, line, reach, length, batch):
    """Seconds to factor and solve with lines of so many unknowns; inf if too large."""
    step = block_cells(line, reach, length)
    width, count = line * step, -(-length // step)
    band = min(-(-reach // step), max(count - 1, 0))
    rows = min(count, 40 // step + 4)
    size = op.dtype.itemsize
    groups = op.geometry.groups
    if rows * (2 * band + 1) * groups * width**2 * size > MEMORY:
        return math.inf
    real = size if op.dtype.kind == "f" else size // 2
    work = (size // real) ** 2 * groups
    numbers = (2 * band + 1) * width**2
    factor = rows * (3 * band + 2 + 2 * (band > 1)) * width**3 * work / FACTOR_RATE
    row = max(
        batch * numbers * work / PRODUCT_RATE[real], groups * numbers * size / BANDWIDTH
    )
    return factor + count * (row + 2 * groups * CALL)


def schwarz_seconds(op, damp, batch):
    """Seconds of `schwarz`, set-up included."""
    op = op.layer
    g, gram = op.geometry, gram_of(op, side_of(op))
    if None in decay(gram, damp):
        return math.inf
    frame = [max(r, b) for r, b in zip(gram.reach, gram.border)]
    depth = [d + f for d, f in zip(decay(gram, damp), frame)]
    long = [n > 2 * (d + f) + 1 for n, d, f in zip(gram.grid, depth, frame)]
    if sum(long) < 2:  # bands would meet: it is a factor of the whole
        return direct_seconds(op, batch)[0]
    real = op.dtype.itemsize // (1 if op.dtype.kind == "f" else 2)
    numbers = gram.groups * gram.channels * math.prod(gram.grid)
    transform = TRANSFORM[real] * math.log2(max(math.prod(gram.grid), 2))
    once = batch * numbers * (transform + CHANNEL[real] * gram.channels)
    bands = 0.0
    for axis in range(3 - g.ndim, 3):
        along = [a for a in range(3) if a != axis]
        long = max(along, key=lambda a: gram.grid[a])
        short = math.prod(gram.grid[a] for a in along if a != long)
        line = gram.channels * depth[axis] * short
        bands += 2 * _sweeps(op, line, gram.reach[long], gram.grid[long], 2 * batch)
    return START + 2 * once + bands + 20e-9 * math.prod(gram.grid) * gram.channels**2
