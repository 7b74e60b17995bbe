"""How fast the inverse of the Gram matrix decays: how far a tile has to look."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._core.arrays import to_numpy
from ..kernels.products.fft_axes import fast_length
from ..operators._convolution import ConvLinearOperator
from ..operators._stacked import StackedOperator
from .local_inverse import TorusInverse

# Cells of the torus on which the decay is measured, by number of axes; it is doubled
# up to MOST until the inverse has decayed to FAR.
FIRST = (256, 96, 32)
MOST = (8192, 768, 64)
FAR = 1e-9
# Numbers in all matrices of the torus at most; the least size of it all the same.
NUMBERS, LEAST = 2**23, 16
DELTAS = 16  # unknowns of a cell whose responses are looked at
END = 0.8  # part of the half torus that is free of the other side's response


class Decay(NamedTuple):
    """What is left of the inverse beyond a distance, along the axis of slowest decay.

    Attributes
    ----------
    left : ndarray
        By distance in samples, from 1 where the whole response counts.
    rate : float
        The factor per sample at the end of what was measured, for larger distances.
    """

    left: np.ndarray
    rate: float

    def at(self, distance: int) -> float:
        """What is left beyond a distance."""
        if distance < len(self.left):
            return float(self.left[distance])
        return float(self.left[-1]) * self.rate ** (distance - len(self.left) + 1)

    def reach(self, left: float) -> float:
        """The distance at which this much is left; infinite if that never happens."""
        near = np.flatnonzero(self.left <= left)
        if near.size:
            return int(near[0])
        if self.rate >= 1:
            return math.inf
        beyond = math.log(left / self.left[-1]) / math.log(self.rate)
        return len(self.left) - 1 + math.ceil(beyond)


def measured_decay(parts, axes, damp) -> Decay:
    """The decay of the inverse in the interior of an image.

    Raises Singular where the matrix of a frequency is singular.
    """
    long = [axis for axis in axes if axis.span and axis.size > 1]
    kind = max(len(long), 1) - 1
    most = min(MOST[kind], max(2 * max(axis.size for axis in axes), 8))
    channels = parts[0].op.input_shape[0] * math.prod(axis.step for axis in axes)
    work = NUMBERS * math.prod(axis.step for axis in axes) / channels**2
    most = min(most, max(int(work ** (1 / (kind + 1))), LEAST))
    size = min(FIRST[kind], most)
    while True:
        found = _measured(parts, axes, damp, size)
        if found.left[-1] <= FAR or size >= most:
            return found
        size = min(2 * size, most)


def _measured(parts, axes, damp, size):
    grid = tuple(
        (
            axis.step
            * fast_length(-(-max(size, 4 * axis.span) // axis.step), even=True)
            if axis.span and axis.size > 1
            else axis.step
        )
        for axis in axes
    )
    op = _padded(parts, axes, grid)
    inverse = TorusInverse(op, damp)
    deltas = _deltas(op.input_shape, axes, op.dtype)
    responses = inverse.apply(op.xp.asarray(deltas))
    power = np.abs(to_numpy(responses)) ** 2
    worst, rate = None, 0.0
    for a, axis in enumerate(axes):
        if not (axis.span and axis.size > 1):
            continue
        left, slope = _left(power, 2 + a, grid[a], axis.step)
        if worst is None or len(left) and left[-1] > worst[-1]:
            worst, rate = left, slope
    if worst is None:
        return Decay(np.zeros(1), 0.0)
    return Decay(worst, rate)


def _padded(parts, axes, grid):
    """The convolutions in double precision, on an image of this grid."""
    found = []
    for part in parts:
        op = part.op
        options = {**op.options, "boundary": "zero"}
        spans = [
            d * (k - 1) for d, k in zip(op.dilation, op.kernel.shape[2:], strict=True)
        ]
        options["padding"] = tuple((span, span) for span in spans)
        wide = np.result_type(op.dtype, np.float64)
        kernel = op.kernel.astype(wide)
        found.append(ConvLinearOperator(kernel, (op.input_shape[0], *grid), **options))
    return found[0] if len(found) == 1 else StackedOperator(found)


def _deltas(shape, axes, dtype):
    """Units at the unknowns of one cell, the first ones of many."""
    cell = [range(axis.step) for axis in axes]
    unknowns = [
        (channel, *place)
        for channel in range(shape[0])
        for place in np.ndindex(*(len(along) for along in cell))
    ]
    step = -(-len(unknowns) // DELTAS)
    chosen = unknowns[::step]
    deltas = np.zeros((len(chosen), *shape), dtype=dtype)
    for number, place in enumerate(chosen):
        deltas[(number, *place)] = 1
    return deltas


def _left(power, axis, size, step):
    """What is left beyond each distance along an axis, and the factor per sample."""
    others = tuple(a for a in range(power.ndim) if a not in (0, axis))
    profiles = np.sqrt(power.sum(axis=others))  # by response and place
    distance = np.minimum(np.arange(size), size - np.arange(size))
    profile = np.zeros(size // 2 + 1)
    np.maximum.at(profile, distance, profiles.max(axis=0))
    seen = max(int(END * len(profile)), min(len(profile), 2))
    beyond = np.cumsum(profile[::-1])[::-1]
    left = np.append(beyond[1:], 0.0)[:seen] / beyond[0]
    left = np.maximum(left, 1e-300)
    back = max(seen // 4, min(step, seen - 1), 1)
    rate = (left[-1] / left[max(seen - 1 - back, 0)]) ** (1 / back) if seen > 1 else 0.0
    return left, min(float(rate), 1.0)
