"""Convolutions of CuPy arrays; the contract is that of `kernels.correlate`.

cuda_tiles.cu computes rectangles of a layer, for each phase of its strides; the
adjoint's are those of products with the flipped kernel. cuda.cu computes layers whose
kernel is too large for the former, and the places where a boundary folds samples
together. It is one gather for both products; they differ in the weights and in the
tables that say, for each axis, which taps and source samples contribute to a target
sample.
"""

import functools
import math

import cupy
import numpy as np

from ..._core.arrays import settled
from ..._core.geometry import axis_index, folds
from .. import launcher
from ..cuda_scratch import meeting
from .cuda_tiles import Tiles, shape_of
from .phases import adjoint_axis, forward_axis

TILES = (1, 2, 4, 8)  # channels that one thread of cuda.cu computes


class Plan:
    """The launches for both directions, created on first use."""

    def __init__(self, kernel, geometry):
        g = self.geometry = geometry
        shape = (g.c_out, g.c_in // g.groups, *g.kernel)
        launcher.check("kernel", kernel, kernel.dtype, shape)
        launcher.options(kernel.dtype)
        taps = math.prod(g.kernel)
        self.dtype = kernel.dtype
        # (group, tap, in, out): the channels of the result last
        self._weights = kernel.reshape(
            g.groups, g.c_out // g.groups, shape[1], taps
        ).transpose(0, 3, 2, 1)

    @functools.cached_property
    def forward(self):
        """The parts that fill the result together."""
        return settled(self._forward(), cupy)

    def _forward(self):
        g, weights = self.geometry, self._weights
        axes = [forward_axis(g, axis) for axis in range(3)]
        tiles = self._tiles(weights, axes, (g.input, g.output))
        if tiles:
            return (tiles,)
        maps = (cupy.asarray(axis_index(g, axis)) for axis in range(3))
        return (Gather("forward", weights, g, (*maps, *g.stride, *g.dilation)),)

    @functools.cached_property
    def adjoint(self):
        """The parts that fill the result together."""
        return settled(self._adjoint(), cupy)

    def _adjoint(self):
        g, weights = self.geometry, self._weights.transpose(0, 1, 3, 2).conj()
        axes, owned = zip(*(adjoint_axis(g, axis) for axis in range(3)))
        places = None
        if not all(o.all() for o in owned):
            places = np.flatnonzero(~np.einsum("i,j,k->ijk", *owned))
        tiles = self._tiles(
            weights, axes, (g.output, g.input), places is not None and owned
        )
        if tiles and places is None:
            return (tiles,)
        arrays = zip(*(first_taps(g, axis) for axis in range(3)))
        tables = [cupy.asarray(a) for per_axis in arrays for a in per_axis]
        common = [math.gcd(s, d) for s, d in zip(g.stride, g.dilation)]
        steps = [s // c for s, c in zip(g.stride, common)]
        steps += [d // c for d, c in zip(g.dilation, common)]
        rest = Gather("adjoint", weights, g, (*tables, *steps), tiles and places)
        return (tiles, rest) if tiles else (rest,)

    def _tiles(self, weights, axes, sizes, owned=None):
        """The launch by tiles, or None for a layer that they do not support."""
        shape = shape_of(self.dtype, weights.shape[2:], sizes, axes)
        if shape is None:
            return None
        weights = weights.reshape(-1, *self.geometry.kernel, *weights.shape[2:])
        return Tiles(weights, axes, shape, owned or None)


class Gather:
    """A launch of cuda.cu: the kernel's name and its arguments besides the data.

    `weights` end in the channels of the result, padded to a multiple of the tile.
    `places` are those that are computed, all if None.
    """

    def __init__(self, direction, weights, geometry, axes, places=None):
        *lead, channels = weights.shape
        tile = tile_of(channels)
        self.name, self.geometry = f"{direction}_{tile}", geometry
        self.tiles = -(-channels // tile)
        self.axes = axes
        self.places = None if places is None else cupy.asarray(places)
        self.weights = cupy.zeros((*lead, self.tiles * tile), dtype=weights.dtype)
        self.weights[..., :channels] = weights

    def launch(self, source, target, sumsq):
        """Fill `target`; return the sums of squares ``(B,)`` if `sumsq`."""
        groups, parts = self.geometry.groups, self.geometry.groups * self.tiles
        batch, c_from, *n_from = source.shape
        _, c_to, *n_to = target.shape
        all_places = self.places is None
        count = math.prod(n_to) if all_places else self.places.size
        blocks = min(-(-count // launcher.THREADS), launcher.MAX_X)
        grid = blocks, min(batch * parts, launcher.MAX_YZ)
        sums = cupy.empty(batch if sumsq else 0, dtype="float64")
        meet = meeting(sums, parts * blocks, batch)
        launcher.launch(
            launcher.function("correlate/cuda", self.name, target.dtype),
            grid,
            (launcher.THREADS,),
            *(source, target, self.weights, *meet),
            *(cupy.empty(0, "int64") if all_places else self.places, count),
            *(int(all_places), batch, groups, c_from // groups, c_to // groups),
            *(*n_from, *n_to, *self.geometry.kernel, int(sumsq)),
            *self.axes,
        )
        return sums if sumsq else None


def prepare(kernel, geometry) -> Plan:
    return Plan(kernel, geometry)


def forward(plan: Plan, x, sumsq: bool = False, out=None):
    g = plan.geometry
    launcher.check("x", x, plan.dtype, (*x.shape[:1], g.c_in, *g.input))
    y = _result(out, plan, (x.shape[0], g.c_out, *g.output))
    return y, _product(plan.forward, x, y, sumsq)


def adjoint(plan: Plan, y, sumsq: bool = False, out=None):
    g = plan.geometry
    launcher.check("y", y, plan.dtype, (*y.shape[:1], g.c_out, *g.output))
    x = _result(out, plan, (y.shape[0], g.c_in, *g.input))
    return x, _product(plan.adjoint, y, x, sumsq)


def _result(out, plan, shape):
    """The array to write to: `out`, if it is given and fits."""
    if out is None:
        return cupy.empty(shape, dtype=plan.dtype)
    launcher.check("out", out, plan.dtype, shape)
    return out


def tile_of(channels: int) -> int:
    """Channels per thread: a tile costs one load, and one product for each channel."""
    return min(TILES, key=lambda t: (-(-channels // t) * (t + 1), -t))


def first_taps(geometry, axis: int):
    """How the adjoint finds outputs on an axis: ``(start, tap, index)``.

    Input sample p stands at padded positions q. A tap u and output index i reach one
    where ``stride * i + dilation * u == q``; for every q with such a pair, entries
    ``start[p]`` to ``start[p + 1]`` hold the pair of the smallest tap.
    """
    n, out = geometry.input[axis], geometry.output[axis]
    stride, dilation = geometry.stride[axis], geometry.dilation[axis]
    start, q = folds(axis_index(geometry, axis), n)
    tap = np.full(q.shape, -1)
    for u in range(geometry.kernel[axis]):
        i, rest = np.divmod(q - dilation * u, stride)
        tap[(tap < 0) & (rest == 0) & (i >= 0) & (i < out)] = u
    reached = tap >= 0
    kept = np.concatenate(([0], np.cumsum(reached)))
    tap = tap[reached]
    return kept[start], tap, (q[reached] - dilation * tap) // stride


def _product(parts, source, target, sumsq):
    """Fill `target`; return the sums of its squares if they are wanted."""
    sums = [part.launch(source, target, sumsq) for part in parts]
    return sum(sums[1:], sums[0]) if sumsq else None
