"""Launches of cuda_tiles.cu: the layers it supports, and their rectangles."""

import math
from typing import NamedTuple

import cupy
import numpy as np

from .. import launcher
from ..cuda_scratch import meeting
from .phases import STRIDES, Axis

COLUMNS = 4  # neighbors that a thread computes
# channels that it computes, by dtype
TILES = {"float32": (1, 3, 4, 8), "float64": (1, 3, 4)}
COMPLEX_TILES = (1, 2)
TAPS = (1, 2, 3, 5)  # columns of taps for which there is a kernel without a loop
LANES = 4  # groups of channels that share the samples that a block reads
# Shared memory that every device has for a block, minus the kernels' static part.
SHARED = 47 * 1024
ENOUGH = 24 * 1024  # with more, fewer blocks fit onto a multiprocessor
LONGEST = 2**30  # positions are 32 bits wide
PLANE = 2**31  # bytes of a plane, as well


class Shape(NamedTuple):
    """A product's kernel and launch, apart from the batch.

    `block` has the threads along columns, rows and channels, `rows` the number of rows
    that a thread computes, `heights` and `channels` the sizes of the part that is
    copied to shared memory at once.
    """

    tile: int
    rows: int
    taps: int
    block: tuple
    heights: int
    channels: int
    shared: int

    @property
    def width(self):
        """Channels of a block."""
        return self.tile * self.block[2]


def shape_of(dtype, channels, sizes, axes):
    """The `Shape` for a layer, or None if this kernel does not support it.

    `channels` are those of source and target in one group, `sizes` the samples of
    both along each axis.
    """
    dtype, (source, target) = np.dtype(dtype), channels
    steps = [axis.steps(n) for axis, n in zip(axes, sizes[1])]
    reach = [a.maps.shape[2] + a.stride * n for a, n in zip(axes, steps)]
    plane = max(math.prod(size[1:]) for size in sizes) * dtype.itemsize
    if max(reach) > LONGEST or plane > PLANE:
        return None
    tile = min(_tiles(dtype), key=lambda t: (-(-target // t) * (t + 1), -t))
    rows = _rows(tile, dtype)
    taps = min((t for t in TAPS if t >= axes[2].taps.shape[2]), default=4)
    lanes = min(_power_of_two_below(-(-target // tile)), LANES)
    x = min(launcher.power_of_two(-(-steps[2] // COLUMNS)), launcher.THREADS // lanes)
    most = launcher.power_of_two(-(-steps[1] // rows))
    x = min(x, max(32, launcher.THREADS // lanes // most))
    while x * lanes <= launcher.THREADS:
        block = x, launcher.THREADS // lanes // x, lanes
        shape = Shape(tile, rows, taps, block, axes[1].taps.shape[2], source, 0)
        fitted = _fit(shape, dtype, axes)
        if fitted:
            return fitted
        x *= 2
    return None


def _fit(shape, dtype, axes):
    """`shape` with as many heights and channels as fit into shared memory."""
    columns = padded(axes[2].taps.shape[2], shape.taps)
    pitch = _pitch(shape, axes[2].stride, columns)

    def size(heights, channels):
        high = (shape.rows * shape.block[1] - 1) * axes[1].stride
        high += (heights - 1) * axes[1].dilation + 1
        weights = heights * columns * shape.block[2] * _stored(shape.tile)
        return channels * (high * pitch + weights) * dtype.itemsize

    heights = shape.heights
    while heights > 1 and size(heights, 1) > ENOUGH:
        heights -= 1
    if size(heights, 1) > SHARED:
        return None
    channels = min(max(ENOUGH // size(heights, 1), 1), shape.channels)
    exchange = launcher.THREADS * COLUMNS * dtype.itemsize
    return shape._replace(
        heights=heights,
        channels=channels,
        shared=max(size(heights, channels), exchange),
    )


def padded(taps, at_once):
    """Columns of taps in the table, filled up with zeros."""
    return -(-taps // at_once) * at_once


def _pitch(shape, stride, columns):
    last = COLUMNS * stride * (shape.block[0] - 1) + columns - shape.taps
    window = (COLUMNS - 1) * stride + shape.taps
    return last + -(-window // 4) * 4


def _power_of_two_below(n):
    """The largest power of two that is at most `n`."""
    return 1 << (n.bit_length() - 1)


def _tiles(dtype):
    return TILES.get(dtype.name, COMPLEX_TILES)


def _rows(tile, dtype):
    """Rows of a thread: registers hold its sums, and the samples behind them."""
    sums = 32 if dtype.itemsize == 4 else 16
    return min(max(sums // (tile * dtype.itemsize), 1), 4)


def _stored(tile):
    """Weights in the table for `tile` channels: reads of three are aligned as four."""
    return 4 if tile == 3 else tile


def variants(dtype):
    """The defines of every kernel that may be compiled for `dtype`."""
    dtype = np.dtype(dtype)
    return [
        _defines(tile, _rows(tile, dtype), taps, stride)
        for tile in _tiles(dtype)
        for taps in (*TAPS, 4)
        for stride in STRIDES
    ]


def _defines(tile, rows, taps, stride):
    return (f"-DTILE={tile}", f"-DROWS={rows}", f"-DTAPS={taps}", f"-DSTRIDE={stride}")


def divisor(n: int) -> tuple[int, int]:
    """How a kernel divides numbers below 2**31 by `n`: see Divisor there."""
    shift = 31 + (n - 1).bit_length()
    return n, (2**shift // n + 1) | shift << 32


class Tiles:
    """One direction of a layer: table, index maps and launch.

    Parameters
    ----------
    weights : array, shape (groups, depths, rows, columns, source, target channels)
        By the kernel's taps.
    axes : sequence of Axis
    shape : Shape
    owned : list of ndarray of bool, or None
        The places on each axis whose products are written; all if None.
    """

    def __init__(self, weights, axes: list[Axis], shape, owned=None):
        self.axes, self.shape, self.dtype = axes, shape, weights.dtype
        self.groups, self.channels = weights.shape[0], weights.shape[4:]
        self.parts = -(-self.channels[1] // shape.width)
        columns, table = np.unique(axes[2].taps, axis=0, return_inverse=True)
        self.weights, self.tables = self._table(weights, columns), len(columns)
        self.residues = axes[2].maps.shape[1]
        self.maps = [cupy.asarray(a.maps.astype(np.int32)) for a in axes]
        counts = np.concatenate([*(a.counts for a in axes), table.ravel()])
        self.counts = cupy.asarray(counts.astype(np.int32))
        some = owned is not None
        owned = owned or [np.ones(1, bool)] * 3
        self.owned = (*(cupy.asarray(o.astype(np.int8)) for o in owned), int(some))
        self.defines = _defines(shape.tile, shape.rows, shape.taps, axes[2].stride)

    def _table(self, weights, w):
        """The weights by group, part, phases, taps along depth, residue, channel, taps
        along rows, lane, column and channel of a thread. `w` are the distinct taps of
        the phases of the columns."""
        columns, stored = w.shape[2], _stored(self.shape.tile)
        lanes, tile = self.shape.block[2], self.shape.tile
        extra = padded(columns, self.shape.taps) - columns
        d, h = (a.taps[:, 0] for a in self.axes[:2])
        w = np.pad(w, [(0, 0), (0, 0), (0, extra)], constant_values=-1)
        source, target = self.channels
        room = self.parts * self.shape.width
        # one more tap, and more channels, of zeros
        shape = (self.groups, *(n + 1 for n in weights.shape[1:4]), source, room)
        table = cupy.zeros(shape, dtype=weights.dtype)
        table[:, :-1, :-1, :-1, :, :target] = weights
        for axis, taps in ((1, d), (3, h), (5, w)):  # each becomes (phases, taps)
            taken = table.take(cupy.asarray(taps.ravel() % table.shape[axis]), axis)
            lead = table.shape[:axis]
            table = taken.reshape(*lead, len(taps), -1, *table.shape[axis + 1 :])
        # (group, phases d, taps d, phases h, taps h, phases w, residue and taps w, ...)
        residues, taken = w.shape[1:]
        table = table.reshape(
            *table.shape[:6], residues, taken, source, self.parts, lanes, tile
        ).transpose(0, 9, 1, 3, 5, 2, 6, 8, 4, 10, 7, 11)
        full = cupy.zeros((*table.shape[:-1], stored), dtype=weights.dtype)
        full[..., :tile] = table
        return full

    def grid(self, size):
        """Blocks of an item, and what divides their number."""
        (x, y, _), axes = self.shape.block, self.axes
        depths, rows, columns = (a.steps(n) for a, n in zip(axes, size))
        across = -(-columns // (x * COLUMNS))
        down = -(-rows // (y * self.shape.rows))
        spread = [a.spread for a in axes]
        factors = (self.parts, *spread[:0:-1], across, down, spread[0], depths)
        return self.groups * math.prod(factors), (*factors, self.groups)

    def launch(self, source, target, sumsq):
        """Fill `target`; return the sums of squares ``(B,)`` if `sumsq`."""
        batch, _, *n_from = source.shape
        n_to, shape, axes = target.shape[2:], self.shape, self.axes
        blocks, factors = self.grid(n_to)
        sums = cupy.empty(batch if sumsq else 0, dtype="float64")
        meet = meeting(sums, blocks, batch)
        launcher.launch(
            launcher.function(
                "correlate/cuda_tiles", "tiles", self.dtype, self.defines
            ),
            (batch * blocks,),
            shape.block,
            *(source, target, self.weights, *meet, self.counts),
            *(*self.channels, self.residues, *n_from, *n_to, int(sumsq)),
            *(a.taps.shape[2] for a in axes),
            *(*self.maps, *(a.maps.shape[2] for a in axes)),
            *(*(a.stride for a in axes), *(a.dilation for a in axes)),
            *(*self.owned, shape.channels, shape.heights),
            *(self.tables, math.prod(self.weights.shape[5:])),
            *(number for n in (*factors, blocks) for number in divisor(n)),
            shared=shape.shared,
        )
        return sums if sumsq else None
