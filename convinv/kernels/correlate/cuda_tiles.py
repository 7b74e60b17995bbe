"""Launches of correlate_tiles.cu: the layers it supports, and their rectangles."""

from typing import NamedTuple

import cupy
import numpy as np

from .. import launcher

COLUMNS = 4  # neighbors that a thread computes
TILES = {"f": (1, 4, 8), "c": (1, 4)}  # channels that it computes, by kind of dtype
TAPS = (1, 3, 5)  # columns of taps for which there is a kernel without a loop
STRIDES = (1, 2)  # along the last axis
LANES = 4  # groups of channels that share the samples that a block reads
# Shared memory that every device has for a block, minus the kernels' static part.
SHARED = 47 * 1024
ENOUGH = 24 * 1024  # with more, fewer blocks fit onto a multiprocessor
LONGEST = 2**30  # positions are 32 bits wide


class Axes(NamedTuple):
    """What a product reads on each axis: ``map[stride * t + dilation * u]``."""

    maps: list
    stride: tuple
    dilation: tuple


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
        return self.tile * self.block[2]


def shape_of(dtype, kernel, channels, size, axes):
    """The `Shape` for a layer, or None if this kernel does not support it.

    `channels` are those of source and target in one group, `size` is the target's.
    """
    dtype, (source, target) = np.dtype(dtype), channels
    longest = max(len(m) + s * n for m, s, n in zip(axes.maps, axes.stride, size))
    if axes.dilation[2] != 1 or axes.stride[2] not in STRIDES or longest > LONGEST:
        return None
    tile = min(TILES[dtype.kind], key=lambda t: (-(-target // t) * (t + 1), -t))
    rows = 2 if tile * dtype.itemsize <= 16 else 1
    taps = min((t for t in TAPS if t >= kernel[2]), default=4)
    lanes = min(_power_of_two_below(-(-target // tile)), LANES)
    x = min(launcher.power_of_two(-(-size[2] // COLUMNS)), launcher.THREADS // lanes)
    most = launcher.power_of_two(-(-size[1] // rows))
    x = min(x, max(32, launcher.THREADS // lanes // most))
    while x * lanes <= launcher.THREADS:
        block = x, launcher.THREADS // lanes // x, lanes
        shape = Shape(tile, rows, taps, block, kernel[1], source, 0)
        fitted = _fit(shape, dtype, kernel, axes)
        if fitted:
            return fitted
        x *= 2
    return None


def _fit(shape, dtype, kernel, axes):
    """`shape` with as many heights and channels as fit into shared memory."""

    def size(heights, channels):
        high = (shape.rows * shape.block[1] - 1) * axes.stride[1]
        high += (heights - 1) * axes.dilation[1] + 1
        columns = padded(kernel[2], shape.taps)
        weights = heights * columns * shape.width
        samples = high * _pitch(shape, axes.stride[2], columns)
        return channels * (samples + weights) * dtype.itemsize

    heights = kernel[1]
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


def variants(dtype):
    """The defines of every kernel that may be compiled for `dtype`."""
    dtype = np.dtype(dtype)
    return [
        _defines(tile, 2 if tile * dtype.itemsize <= 16 else 1, taps, stride)
        for tile in TILES[dtype.kind]
        for taps in (*TAPS, 4)
        for stride in STRIDES
    ]


def _defines(tile, rows, taps, stride):
    return (f"-DTILE={tile}", f"-DROWS={rows}", f"-DTAPS={taps}", f"-DSTRIDE={stride}")


class Tiles:
    """One direction of a layer: table, index maps and launch.

    Parameters
    ----------
    weights : array, shape (groups, taps, source channels, target channels)
    kernel : tuple of int
        Taps along each axis.
    axes : Axes
    shape : Shape
    owned : list of ndarray of bool, or None
        The places on each axis whose products are written; all if None.
    """

    def __init__(self, weights, kernel, axes, shape, owned=None):
        self.kernel, self.axes, self.shape = kernel, axes, shape
        self.dtype, (groups, _, source, target) = weights.dtype, weights.shape
        self.groups, self.channels = groups, (source, target)
        self.parts = -(-target // shape.width)
        columns = padded(kernel[2], shape.taps)
        table = cupy.zeros(
            (groups, *kernel[:2], columns, source, self.parts * shape.width),
            dtype=weights.dtype,
        )
        table[:, :, :, : kernel[2], :, :target] = weights.reshape(
            groups, *kernel, source, target
        )
        table = table.reshape(*table.shape[:-1], self.parts, shape.width)
        self.weights = cupy.ascontiguousarray(table.transpose(0, 5, 1, 4, 2, 3, 6))
        self.maps = [cupy.asarray(m.astype(np.int32)) for m in axes.maps]
        some = owned is not None
        owned = owned or [np.ones(1, bool)] * 3
        self.owned = (*(cupy.asarray(o.astype(np.int8)) for o in owned), int(some))
        self.defines = _defines(shape.tile, shape.rows, shape.taps, axes.stride[2])

    def blocks(self, batch, size):
        """Blocks for a batch, and how many of them belong to an item."""
        x, y, _ = self.shape.block
        across = -(-size[2] // (x * COLUMNS))
        down = -(-size[1] // (y * self.shape.rows))
        each = self.groups * self.parts * size[0] * down * across
        return batch * each, each

    def launch(self, source, target, sumsq):
        """Fill `target`; return partial sums of squares ``(B, n)`` or None."""
        batch, _, *n_from = source.shape
        n_to, shape = target.shape[2:], self.shape
        blocks, each = self.blocks(batch, n_to)
        partial = cupy.empty((batch, each if sumsq else 0), dtype="float64")
        launcher.launch(
            launcher.function(
                "correlate/cuda_tiles", "tiles", self.dtype, self.defines
            ),
            (blocks,),
            shape.block,
            *(source, target, self.weights, partial),
            *(self.groups, *self.channels, *n_from, *n_to, *self.kernel, int(sumsq)),
            *(*self.maps, *map(len, self.maps), *self.axes.stride, *self.axes.dilation),
            *(*self.owned, shape.channels, shape.heights),
            shared=shape.shared,
        )
        return partial if sumsq else None
