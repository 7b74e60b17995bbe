"""The torus of a product by FFT: the cheapest by a small model of its cost.

Larger tiles have less overlap, smaller ones stay in a cache and take less room for the
transform of the kernel, which is counted at `REUSED` products. The constants are
nanoseconds of one core with AVX-512 (a 2.x GHz Xeon), fitted to the times of some 300
products with float32 and float64 data, 1 to 16 channels, 2-D and 3-D: three quarters of
the products take within 20 % of the model's time. ``python -m benchmarks.products``
prints model and time side by side.
"""

import math
from typing import NamedTuple

import numpy as np

from ..._core.geometry import Geometry
from .fft_axes import Axis

# Per sample, by bytes of a real number: transforms, for each factor of two; copies; and
# each product of a matrix.
TRANSFORM = {4: 0.12, 8: 0.11}
COPY = {4: 0.96, 8: 2.6}
MATRIX = {4: 0.33, 8: 0.65}
PART = 40e3  # of a part, whatever its size
# Added for each factor of two, up to three, by which samples of a part and matrices
# exceed the caches of a core.
FAR, SAMPLES = 0.7, 2**21
FETCH, MATRICES = 0.35, 2**23
SETUP, REUSED = 30.0, 200  # per number of the matrices, once
# Most bytes of the matrices of a direction, unless the kernel itself is that large.
MOST, TIMES = 2**26, 8
ROWS = 2**18  # bytes of a part whose rows share a matrix


class Torus(NamedTuple):
    """The division of a layer into tori.

    `order` lists the axes that are not transformed before those that are. `lengths` are
    those of the torus, `rows` the cells of a part on axes with one tap, both in the
    order of the geometry.
    """

    axes: tuple  # of Axis
    lengths: tuple
    rows: tuple
    padded: tuple  # axes whose padding is put around the image first
    order: tuple
    nanoseconds: float  # of a product with one image


def choose(geometry: Geometry, dtype) -> Torus:
    """The torus that is cheapest by the model."""
    g, dtype = geometry, np.dtype(dtype)
    made = [_axis(g, axis) for axis in range(3)]
    axes, padded = zip(*made)
    padded = tuple(axis for axis in range(3) if padded[axis])
    real = dtype.kind == "f"
    order = _order(axes)
    choices = [
        [(1, 1.0)] if axis.kernel == 1 else axis.lengths(even=real and i == order[2])
        for i, axis in enumerate(axes)
    ]
    lengths, counts = zip(*(zip(*choice) for choice in choices))
    lengths, counts = np.ix_(*lengths), np.ix_(*counts)
    cost = _cost(g, dtype, axes, lengths, counts)
    best = np.unravel_index(np.argmin(cost), cost.shape)
    chosen = tuple(int(choice[i][0]) for choice, i in zip(choices, best))
    nanoseconds = float(cost[best])
    if padded:
        nanoseconds += 2 * COPY[real_size(dtype)] * g.c_in * math.prod(g.padded)
    return Torus(
        axes, chosen, _rows(g, dtype, axes, chosen), padded, order, nanoseconds
    )


def _axis(g, axis):
    """``(Axis, whether its padding is made first)``."""
    n, before, after = g.input[axis], g.before[axis], g.after[axis]
    sizes = (g.output[axis], g.kernel[axis], g.stride[axis], g.dilation[axis])
    if g.boundary == "zero" or not before + after:
        return Axis(n, *sizes, before), False
    same = g.stride[axis] == 1 and g.output[axis] == n
    if g.boundary == "periodic" and same and _smooth(n) and g.kernel[axis] > 1:
        return Axis(n, *sizes, before, ring=True), False
    return Axis(before + n + after, *sizes, 0), True


def _smooth(n):
    """Whether FFTs of this length are fast."""
    for factor in (2, 3, 5, 7, 11):
        while n % factor == 0:
            n //= factor
    return n == 1


def _order(axes):
    """Axes of one tap first, then the transformed ones; an even ring goes last."""

    def key(i):
        axis = axes[i]
        return (axis.kernel > 1, not (axis.ring and axis.length % 2), i)

    return tuple(sorted(range(3), key=key))


def real_size(dtype):
    """Bytes of a real number of this precision."""
    return np.empty(0, dtype).real.dtype.itemsize


def _cost(g, dtype, axes, lengths, counts):
    """Nanoseconds of one core for a product with one image, for every torus.

    `lengths` and `counts`, of tiles, are arrays for each axis that broadcast.
    """
    size, components = real_size(dtype), dtype.itemsize // real_size(dtype)
    samples, tiles = math.prod(lengths), math.prod(counts)
    q = g.c_in // g.groups * math.prod(axis.phases for axis in axes)
    p = g.c_out // g.groups
    rows = math.prod(axis.outputs for axis in axes if axis.kernel == 1)
    item = samples * (dtype.itemsize * g.groups * max(p, q))
    matrices = samples * (dtype.itemsize * g.groups * p * q)
    transform = TRANSFORM[size] * (1 + FAR * _beyond(item, SAMPLES))
    each = transform * np.log2(np.maximum(samples, 2)) + COPY[size]
    product = p * q * MATRIX[size] * (1 + FETCH * _beyond(matrices, MATRICES))
    one = g.groups * components * samples * ((p + q) * each + product)
    parts = rows / np.clip(ROWS // item, 1, rows)
    setup = SETUP / REUSED * matrices / size
    most = max(MOST, TIMES * dtype.itemsize * g.c_out * q * math.prod(g.kernel))
    setup = setup + np.where(matrices > most, 1e3 * setup, 0)
    return tiles * (rows * one + parts * PART) + setup


def _beyond(nbytes, limit):
    """Factors of two by which sizes exceed a limit, at most three."""
    return np.clip(np.log2(nbytes / limit), 0, 3)


def _rows(g, dtype, axes, lengths):
    """Cells per part on the axes of one tap, so that its samples stay in a cache."""
    samples = math.prod(lengths) * g.c_in * math.prod(a.phases for a in axes)
    room = max(ROWS // (samples * dtype.itemsize), 1)
    rows = [1, 1, 1]
    for i in (2, 1, 0):
        if axes[i].kernel == 1:
            rows[i] = max(min(axes[i].outputs, room), 1)
            room = max(room // rows[i], 1)
    return tuple(rows)
