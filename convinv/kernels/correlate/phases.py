"""The axes of a product by tiles: the samples and taps behind every place.

Places that lie a stride or a dilation apart use the same taps, at neighboring samples
of a part of the source. They are a phase. So every phase is a product with stride 1 and
without dilation, or with those that the kernel knows, and has a map of its own.
"""

import math
from typing import NamedTuple

import numpy as np

from ..._core.geometry import axis_index, folds

STRIDES = (1, 2)  # along the last axis, that the kernel knows


class Axis(NamedTuple):
    """What a product adds up along an axis.

    Place ``spread * t + phase`` is the sum over all residues r, and over i, of tap
    ``taps[phase, r, i]`` times sample ``maps[phase, r, stride * t + dilation * i]``. A
    phase has its taps first; where it has no more they are -1. Samples are -1 where
    there is none.
    """

    maps: np.ndarray
    taps: np.ndarray
    stride: int = 1
    dilation: int = 1

    @property
    def spread(self):
        return len(self.maps)

    @property
    def counts(self):
        """The taps of each phase, for the residue that has most."""
        return np.max(np.sum(self.taps >= 0, axis=2), axis=1)

    def steps(self, places):
        """Places of the largest phase."""
        return -(-places // self.spread)


def forward_axis(geometry, axis: int) -> Axis:
    """An axis of the convolution.

    Along the last axis the samples of a stride are divided, too: sample
    ``stride * i + dilation * u`` has the residue of u, so that the taps of each residue
    read neighbors.
    """
    g = geometry
    stride, dilation, taps = (a[axis] for a in (g.stride, g.dilation, g.kernel))
    index = axis_index(g, axis)
    if axis < 2 or dilation == 1 and stride in STRIDES:
        return Axis(index[None, None], np.arange(taps)[None, None], stride, dilation)
    common = math.gcd(stride, dilation)
    spread, apart = dilation // common, stride // common
    residues, most = min(apart, taps), -(-taps // apart)
    places = np.arange(-(-g.output[axis] // spread) + most - 1)
    position = spread * stride * places + stride * np.arange(spread)[:, None, None]
    position = position + dilation * np.arange(residues)[:, None]
    inside = position < len(index)
    maps = np.where(inside, index[np.where(inside, position, 0)], -1)
    used = apart * np.arange(most) + np.arange(residues)[:, None]
    used = np.where(used < taps, used, -1)
    return Axis(maps, np.broadcast_to(used, (spread, *used.shape)))


def adjoint_axis(geometry, axis: int) -> tuple[Axis, np.ndarray]:
    """An axis of the adjoint, and the places for which that is all.

    Elsewhere samples appear at several padded positions.
    """
    g = geometry
    n, out, taps = g.input[axis], g.output[axis], g.kernel[axis]
    stride, dilation = g.stride[axis], g.dilation[axis]
    apart = stride // math.gcd(stride, dilation)
    step = dilation * apart // stride  # of the outputs that successive taps read
    skip, spread = (step, stride * step) if axis == 2 else (1, stride)
    most = -(-taps // apart)
    length = -(-n // spread) + (most - 1) * step // skip
    index = np.full((spread, 1, length), -1)
    used = np.full((spread, 1, most), -1)
    for phase in range(spread):
        position = phase + g.before[axis]
        reach = np.arange(taps)[::-1]
        reach = reach[(position - dilation * reach) % stride == 0]
        if len(reach):
            used[phase, 0, : len(reach)] = reach
            first = (position - dilation * reach[0]) // stride
            index[phase, 0] = first + skip * np.arange(length)
    if g.boundary == "periodic" and n == stride * out:  # no two taps coincide
        return Axis(index % out, used, 1, step // skip), np.ones(n, bool)
    start, _ = folds(axis_index(g, axis), n)
    maps = np.where((index >= 0) & (index < out), index, -1)
    return Axis(maps, used, 1, step // skip), np.diff(start) == 1
