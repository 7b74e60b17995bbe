"""Which torus a product by FFT takes: the cheapest by a small model of its cost.

Larger tiles have less overlap, smaller ones stay in a cache and take up less room for
the transform of the kernel. The constants are nanoseconds of one core, measured by
``python -m benchmarks.products --fit``.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

from .._geometry import Geometry
from ._fft_axes import Axis

CACHE = 2**21  # bytes of a tile's samples that stay near a core
# Nanoseconds per sample: of each transform and factor of two, in float32 and float64
# and beyond the cache; of copies; of a multiply-add of the matrices.
TRANSFORM = {4: 0.30, 8: 0.50}
FAR = 1.6
COPY = {4: 0.9, 8: 1.6}
MATRIX = {4: 0.10, 8: 0.20}
PART = 60e3  # nanoseconds of a part, whatever its size
ROWS = 2**18  # bytes of a part whose rows are not transformed along the axis


class Torus(NamedTuple):
    """How a layer is cut into tori.

    `order` has the axes that are not transformed before those that are; `lengths` are
    those of the torus and `rows` the cells of a part on axes of one tap, in the order
    of the geometry.
    """

    axes: tuple  # of Axis
    lengths: tuple
    rows: tuple
    padded: tuple  # axes whose padding is put around the image first
    order: tuple
    nanoseconds: float  # of a product with one image


def choose(geometry: Geometry, dtype) -> Torus:
    """The torus that the model takes for the cheapest."""
    g, dtype = geometry, np.dtype(dtype)
    made = [_axis(g, axis) for axis in range(3)]
    axes, padded = zip(*made)
    padded = tuple(axis for axis in range(3) if padded[axis])
    real = dtype.kind == "f"
    order = _order(axes)
    choices = [
        [(1, 0)]
        if axis.kernel == 1
        else axis.lengths(even=real and i == order[2])
        for i, axis in enumerate(axes)
    ]
    best = min(
        ((_cost(g, dtype, axes, lengths), lengths)
         for lengths in itertools.product(*choices)),
        key=lambda found: found[0],
    )  # fmt: skip
    nanoseconds, chosen = best
    lengths = tuple(length for length, _ in chosen)
    rows = _rows(g, dtype, axes, lengths)
    if padded:
        nanoseconds += 2 * COPY[_size(dtype)] * g.c_in * math.prod(g.padded)
    return Torus(axes, lengths, rows, padded, order, nanoseconds)


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


def _size(dtype):
    return np.empty(0, dtype).real.dtype.itemsize


def _cost(g, dtype, axes, chosen):
    """Nanoseconds of one core for a product with one image."""
    size, lengths = _size(dtype), [length for length, _ in chosen]
    samples = math.prod(lengths)
    q = g.c_in // g.groups * math.prod(axis.phases for axis in axes)
    p = g.c_out // g.groups
    rows = math.prod(axis.outputs for axis in axes if axis.kernel == 1)
    tiles = math.prod(count for length, count in chosen if count)
    components = 2 if dtype.kind == "c" else 1
    transform = TRANSFORM[size] * components
    near = min(rows, max(ROWS // (samples * dtype.itemsize * max(p, q)), 1))
    if samples * dtype.itemsize * g.groups * max(p, q) > CACHE:
        transform *= FAR
    each = transform * math.log2(max(samples, 2)) + COPY[size] * components
    matrix = MATRIX[size] * components * p * q
    one = g.groups * samples * ((p + q) * each + matrix)
    return tiles * (rows * one + rows / near * PART)


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
