"""Costs of products, iterations and exact inverses in seconds, from sizes alone.

Multiplications, numbers and calls are counted, so that a choice by cost is the same in
every run. The rates that convert counts to seconds are those of `_core.rates`; what
set-ups take, most of which the host makes, is here, in seconds of two cores. Only
ratios matter.
"""

import math
from typing import NamedTuple

import numpy as np

from .._core.errors import MemoryLimit
from .._core.rates import HOST, rates_of
from .._core.threads import thread_count
from .._inverse.accuracy import FULL
from .._inverse.block_cholesky import block_cells, stored_matrices
from .._inverse.border_correction import circulant_pays
from .._inverse.circulant import DEEP, FIRST, SLOW, beyond_bands, look, pieces
from .._inverse.embedding import added_filters, torus_of
from .._inverse.recursion import WIDE
from .._linalg.small_inverses import SMALL
from ..kernels.products.route_costs import (
    count_taps,
    direct_nanoseconds,
    fft_torus,
    takes_winograd,
    winograd_nanoseconds,
)
from ..operators._cells import parts_of

TOUCH = 3e9  # bytes in a second of which entries are gathered and rearranged
SPECTRUM = 2.6e-8  # a number of the matrices of all frequencies, made and packed
ROW, DEVICE_ROW = 120e-6, 5e-3  # one row of a factor's recursion
LOOK = 2e-3  # fixed cost of planning a set-up
# The last computed row is where the inverse has decayed to the square root of this.
DECAYED = {4: 1.5e-8, 8: 1e-12}
FACE = 3e-3  # fixed cost of a band's set-up
# On a device, parts of the rates of products of matrices and of copies that products
# with layers reach.
MULTIPLYING, STREAMING = 0.45, 0.37


class Cost(NamedTuple):
    """Seconds of a set-up and of one application, and the bytes that are kept."""

    setup: float
    once: float
    nbytes: float
    axis: int = 0  # of a factor

    def total(self, applications):
        return self.setup + applications * self.once


NEVER = Cost(math.inf, math.inf, math.inf)


def real_size(dtype) -> int:
    """Bytes of a real number of that precision."""
    return dtype.itemsize // (1 if dtype.kind == "f" else 2)


def product(op, batch, dtype=None, rates=None):
    """Seconds of one product with a layer or a stack, by the route of its products."""
    dtype = op.dtype if dtype is None else np.dtype(dtype)
    rates = rates_of(op.xp) if rates is None else rates
    on_host = rates is HOST
    nanoseconds, one = _on_host if on_host else _on_device, 0.0
    key = (f"nanoseconds {dtype}", on_host)
    for part in parts_of(op):
        one += part.cached(key, lambda part=part: nanoseconds(part, dtype))
    threads = thread_count() if on_host else 1
    return rates.product * len(parts_of(op)) + 1e-9 * batch * one / threads


def _on_host(layer, dtype):
    """Nanoseconds of one image on one core."""
    if takes_winograd(layer.geometry, layer.kernel.astype(dtype)):
        return winograd_nanoseconds(layer.geometry, dtype)
    taps = count_taps(layer.kernel)
    torus = fft_torus(layer.geometry, dtype, taps)
    if torus is not None:
        return torus.nanoseconds
    return direct_nanoseconds(layer.geometry, dtype, taps)


def _on_device(layer, dtype):
    """Nanoseconds of one image by what limits the product, memory or arithmetic."""
    rates, g, taps = rates_of(layer.xp), layer.geometry, count_taps(layer.kernel)
    torus = fft_torus(g, dtype, taps, gpu=True)
    if torus is not None:
        return torus.nanoseconds * rates.transform[4] / HOST.transform[4]
    real = real_size(dtype)
    products = math.prod(g.output) * g.c_out * g.c_in // g.groups * taps
    arithmetic = 2 * products * (dtype.itemsize // real) / rates.multiply[real]
    memory = sum(layer.shape) * dtype.itemsize / rates.bandwidth
    return 1e9 * max(arithmetic / MULTIPLYING, memory / STREAMING)


def iteration(op, batch, damp=0.0):
    """Seconds of one iteration of cgls."""
    m, n = op.shape
    numbers = batch * (4 * m + (6 + 2 * bool(damp)) * n)
    rates = rates_of(op.xp)
    calls = rates.step * (1 + bool(damp))
    moved = numbers * op.dtype.itemsize / rates.bandwidth
    return 2 * product(op, batch) + moved + calls


def check(op, batch):
    """Seconds of a residual, a normal residual and the update of x, in double."""
    m, n = op.shape
    wide = np.result_type(op.dtype, np.float64)
    rates = rates_of(op.xp)
    moved = batch * (2 * m + 4 * n) * wide.itemsize / rates.bandwidth
    return rates.check + 2 * product(op, batch, wide) + moved


def stencil(gram):
    """Seconds and bytes of finding N's entries at the borders."""
    op, template = gram.op, math.prod(gram.template)
    probes = math.prod(min(2 * r + 1, n) for r, n in zip(gram.reach, gram.template))
    share = template / max(math.prod(gram.grid), 1)
    offsets = math.prod(2 * r + 1 for r in gram.reach)
    count = probes * gram.channels
    entries = gram.groups * gram.channels**2 * template
    nbytes = 8 * entries * (2 * offsets + 2 * probes)
    wide = np.result_type(op.dtype, np.float64)
    probing = 2 * share * count * (product(op, 1, wide, HOST) - HOST.product)
    return LOOK / 2 + 2 * probing + nbytes / TOUCH, nbytes


def looking(gram):
    """Seconds of a look at N's interior, about: an inverse at each frequency."""
    cells = (2 * FIRST) ** sum(n > 1 for n in gram.grid)
    return LOOK / 2 + 1.5 * _matrices(gram, cells)


def _matrices(gram, cells):
    """Seconds of inverting N at the frequencies of a torus of `cells` cells."""
    matrix = 16e-9 * gram.channels**2
    if gram.channels > SMALL:
        matrix += 6e-6 + 3e-9 * gram.channels**3
    return cells / 2 * gram.groups * matrix


def direct(gram, damp, batch, accuracy) -> Cost:
    """The cost of a factor along the cheapest axis."""
    found = [
        factor(gram, damp, batch, accuracy, axis) for axis in range(3 - gram.ndim, 3)
    ]
    return min(found, key=lambda cost: cost.total(2))


def factor(gram, damp, batch, accuracy, axis) -> Cost:
    """The cost of a factor along one of the three axes."""
    line = gram.channels * math.prod(gram.grid) // gram.grid[axis]
    length = gram.grid[axis]
    setup, once, nbytes = sweeps(gram, damp, batch, accuracy, line, axis, length)
    return Cost(setup, once, nbytes, axis - 3 + gram.ndim)


def refuse_large(gram, damp, accuracy, axis, memory):
    """Raise MemoryLimit for a factor that takes too much, before any of it is made."""
    needed = factor(gram, damp, 1, accuracy, axis).nbytes
    settles = _settled(gram, damp, axis, accuracy) < gram.grid[axis]
    if needed > memory * (1 + settles):  # it may settle earlier
        line = gram.channels * math.prod(gram.grid) // gram.grid[axis]
        width = line * block_cells(line, gram.reach[axis], gram.grid[axis])
        raise MemoryLimit.of(width, needed, memory, least=not settles)


def sweeps(gram, damp, batch, accuracy, line, axis, length):
    """The cost of a factor along `axis` with lines of `line` unknowns."""
    reach, size = gram.reach[axis], _size(gram, accuracy)
    step = block_cells(line, reach, length)
    width, count = line * step, -(-length // step)
    band = min(-(-reach // step), max(count - 1, 0))
    cells = 2 * gram.border[axis] + _settled(gram, damp, axis, accuracy)
    rows = min(count, cells // step + band)
    work = gram.groups * (4 if gram.dtype.kind == "c" else 1)
    # products at full rate, inverses at a third of it
    operations = (2 * (3 * band + 2 * (band > 1)) + 6) * width**3 * work
    computed = 4 if accuracy.narrow else 8
    entries = (2 * band + 1) * width**2 * gram.groups
    rates, gathered = rates_of(gram.op.xp), 2 * entries * 8 / TOUCH
    if rates.wait and width > WIDE:  # made on the device, but for different entries
        setup = rows * (DEVICE_ROW * gram.groups + operations / _rate(rates, width, 8))
        setup += min(rows, 2 * (gram.border[axis] + gram.reach[axis]) + 1) * gathered
    else:
        setup = ROW * gram.groups**0.5 + operations / _rate(HOST, width, computed)
        setup = rows * (setup + gathered)
    moved = entries * size / rates.cached
    times = batch * 2 * (2 * band + 1) * width**2 * work
    times /= _rate(rates, min(width, 8 * batch), min(size, 8))
    calls = _calls(rates, width, band)
    once = count * (calls + max(moved, times if batch > 1 else 0))
    kept = stored_matrices(rows, count, band) * width**2 * gram.groups * size
    return setup, once, kept


def _calls(rates, width, band):
    """What starting the steps of a block row's sweeps takes, or waiting for them."""
    if not rates.wait:
        return (2 + band) * rates.call
    return 2 * (rates.call if width > WIDE else rates.wait)


def schwarz(gram, damp, batch, accuracy) -> Cost:
    """The cost of `schwarz`; NEVER if the inverse does not decay that far."""
    far = depths(gram, damp, accuracy.decay)
    if far is None:
        return NEVER
    depth = [f + e if n > 1 else 1 for n, f, e in zip(gram.grid, far, _frame(gram))]
    further = beyond_bands(accuracy.decay)
    halo = [math.ceil(further * f) if n > 1 else 0 for n, f in zip(gram.grid, far)]
    return _tori(gram, damp, batch, accuracy, depth, halo)


def slow(gram, damp, batch) -> Cost:
    """The cost of `schwarz` if the inverse decays slowly."""
    depth = [1 if n == 1 else SLOW + f for n, f in zip(gram.grid, _frame(gram))]
    return _tori(gram, damp, batch, FULL, depth, None)


def _frame(gram):
    """Cells near the ends where N differs from its interior, or reaches such cells."""
    return [max(r, b) for r, b in zip(gram.reach, gram.border)]


def _tori(gram, damp, batch, accuracy, depth, halo) -> Cost:
    """The cost of `schwarz` with bands of depth `depth` and tiles with halos."""
    frame = _frame(gram)
    sizes = zip(gram.grid, depth, frame)
    long = [a for a, (n, d, f) in enumerate(sizes) if n > 2 * (d + f) + 1]
    if not long:  # bands would meet: a factor of the whole
        return direct(gram, damp, batch, accuracy)
    if len(long) == 1:
        axis = long[0]
        line = gram.channels * math.prod(gram.grid) // gram.grid[axis]
        if not circulant_pays(line, gram.reach[axis], gram.grid[axis]):
            return direct(gram, damp, batch, accuracy)
    inside = circulant(gram, batch, accuracy, halo)
    setup, once, kept = inside.setup, inside.once, inside.nbytes
    for axis in long:
        others = [a for a in range(3) if a != axis and gram.grid[a] > 1]
        along = max(others, key=lambda a: gram.grid[a], default=axis)
        line = gram.channels * (depth[axis] if along != axis else 1)
        line *= math.prod(gram.grid[a] for a in others if a != along)
        length = gram.grid[along] if along != axis else depth[axis]
        band = sweeps(gram, damp, batch, accuracy, line, along, length)
        setup, once, kept = (
            total + 2 * part for total, part in zip((setup + FACE, once, kept), band)
        )
    thick = sum(
        2 * (frame[a] + gram.reach[a] + gram.border[a]) / gram.grid[a] for a in long
    )
    calls = 8 * len(long) * rates_of(gram.op.xp).call
    patches = 2 * thick * product(gram.op, batch) + calls
    return Cost(setup, once + patches, kept)


def circulant(gram, batch, accuracy=FULL, halo=None) -> Cost:
    """The cost of the inverse on a torus, or in tiles with halos that share one."""
    cut = [pieces(n, h) for n, h in zip(gram.grid, halo or [None] * 3)]
    torus = gram.grid
    if max(cut) > 1:
        torus = [-(-n // k) + 2 * h for n, k, h in zip(gram.grid, cut, halo)]
    real, cells = min(_size(gram, accuracy), 8), math.prod(torus)
    numbers = batch * gram.groups * gram.channels * cells * math.prod(cut)
    rates = rates_of(gram.op.xp)
    once = 2 * rates.transform[real] * math.log2(max(cells, 2))
    once += rates.channel[real] * gram.channels
    kept = real * cells * gram.groups * gram.channels**2
    return Cost(LOOK + _matrices(gram, cells), numbers * once + rates.apply, kept)


def embedding(op, batch) -> Cost:
    """The cost of an iteration on the rows that a torus adds, and of its set-up."""
    torus = math.prod(torus_of(op))
    channels, filters = op.input_shape[0], added_filters(op)
    real = real_size(op.dtype)
    rates = rates_of(op.xp)
    transform = rates.transform[real] * math.log2(max(torus, 2))
    numbers = batch * torus * filters
    passes = 12 * numbers * op.dtype.itemsize / rates.bandwidth
    spectra = torus * (channels + filters) ** 2
    setup, nbytes = 4 * LOOK + SPECTRUM * spectra, 2 * spectra * real
    inverses = added_slabs(op)
    setup += inverses.setup
    once = 2 * numbers * transform + passes + rates.step + inverses.once
    return Cost(setup, once, nbytes + inverses.nbytes)


def added_slabs(op) -> Cost:
    """The cost of the inverses in the slabs of added rows, about."""
    torus, setup, nbytes = torus_of(op), 0.0, 0.0
    for axis, n in enumerate(torus):
        width = 0
        for g in (convolution.geometry for convolution, _ in op.weighted_convolutions):
            inside = g.input[axis] - g.dilation[axis] * (g.kernel[axis] - 1)
            width += g.c_out * (n - (n if g.wraps else inside))
        frequencies = math.prod(torus) / n / 2
        setup += frequencies * 24 * width**3 / _rate(HOST, max(width, 1), 8)
        nbytes += frequencies * width**2 * 2 * real_size(op.dtype)
    return Cost(setup, nbytes / rates_of(op.xp).cached, nbytes)


def depths(gram, damp, target):
    """Cells per axis after which the inverse has decayed, None if it does not."""
    found = []
    for size, profile in zip(gram.grid, look(gram, damp).profiles):
        far = _decayed(profile, target) if size > 1 else 1
        if far is None:
            return None
        found.append(far)
    return found if len(found) == 3 else None


def _decayed(profile, target):
    """Cells after which it has decayed to the target, None if that takes too many.

    Beyond the measured cells the decay is extrapolated.
    """
    beyond = (profile > target).nonzero()[0]
    last = int(beyond[-1])
    if last < len(profile) - 1:
        return last + 1
    rate = math.log(profile[-1]) / (len(profile) - 1) if profile[-1] < 1 else 0.0
    far = math.ceil(math.log(target) / rate) if rate else DEEP + 1
    return far if far <= DEEP else None


def _settled(gram, damp, axis, accuracy):
    """Rows after which the recursion repeats itself, about: the decay squared."""
    profiles = look(gram, damp).profiles
    if not profiles:
        return gram.grid[axis]
    target = math.sqrt(accuracy.settle or DECAYED[real_size(gram.dtype)])
    if gram.grid[axis] == 1:
        return 1
    return _decayed(profiles[axis], target) or gram.grid[axis]


def _size(gram, accuracy):
    """Bytes of a number of a factor."""
    halved = accuracy.single and real_size(gram.dtype) == 8
    return gram.dtype.itemsize // (1 + halved)


def _rate(rates, width, size):
    """Operations per second in products of blocks of that width."""
    return rates.multiply[4 if size < 8 else 8] * width / (width + rates.half)
