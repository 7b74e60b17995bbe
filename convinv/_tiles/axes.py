"""Intervals along one axis: cores, boxes, and what a convolution couples them to.

Positions are those of the samples of x. On a cyclic axis they may be any integers,
taken modulo the axis's length, and rows likewise.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .._core.boundaries import BOUNDARIES
from .._core.geometry import Geometry
from ..kernels.products.fft_axes import fast_length

Interval = tuple[int, int]  # start and stop


class Reach(NamedTuple):
    """One axis of a convolution: which rows read which samples.

    Row i reads the positions ``stride i - before + dilation j`` of its taps j, which
    span ``span + 1`` samples.
    """

    samples: int
    rows: int
    stride: int
    span: int
    before: int
    after: int
    boundary: str

    @classmethod
    def of(cls, g: Geometry, axis: int) -> Reach:
        """That of one of the three stored axes of a layer."""
        span = g.dilation[axis] * (g.kernel[axis] - 1)
        size = g.input[axis], g.output[axis], g.stride[axis]
        return cls(*size, span, g.before[axis], g.after[axis], g.boundary)

    @property
    def wraps(self) -> bool:
        """Whether rows read around the end of the axis."""
        return BOUNDARIES[self.boundary].wraps and self.before + self.after > 0

    @property
    def is_cyclic(self) -> bool:
        """Whether the rows are those of a convolution around the ring."""
        return self.rows * self.stride == self.samples and (
            self.wraps or self.span == 0
        )

    @property
    def fold(self) -> int:
        """Samples from an end within which rows read folded ones."""
        if self.boundary == "zero":
            return 0
        wide = max(self.before, self.after)
        return self.samples if wide >= self.samples else wide + 1

    def touching(self, box: Interval) -> Interval:
        """The rows whose taps span a position of the box, on an endless axis."""
        start, stop = box
        first = -((self.span - self.before - start) // self.stride)
        return first, (stop - 1 + self.before) // self.stride + 1

    def read(self, rows: Interval) -> Interval:
        """The positions that rows span."""
        first, stop = rows
        last = (stop - 1) * self.stride - self.before + self.span
        return first * self.stride - self.before, last + 1

    def owned(self, core: Interval, cyclic: bool) -> Interval:
        """The rows that count for a core: those whose middle tap lies in it."""
        ends = [
            -((self.span // 2 - self.before - edge) // self.stride) for edge in core
        ]
        if not cyclic:
            start, stop = core
            ends[0] = 0 if start <= 0 else min(max(ends[0], 0), self.rows)
            ends[1] = (
                self.rows if stop >= self.samples else min(max(ends[1], 0), self.rows)
            )
        return ends[0], ends[1]


class Part(NamedTuple):
    """What one convolution has to do with a box.

    Attributes
    ----------
    rows : (first, stop)
        The rows that read a position of the box.
    owned : slice
        Of these, the rows that count for the core.
    index : slice or ndarray of int
        For each position that the rows span, the place in the samples that are read;
        -1 for a zero.
    """

    rows: Interval
    owned: slice
    index: Any

    @property
    def length(self) -> int:
        return self.rows[1] - self.rows[0]


class Segment(NamedTuple):
    """A tile along one axis.

    Attributes
    ----------
    core, box, read : (start, stop)
        What the tile answers for; the unknowns of its local problem; the samples of x
        that the residuals of these need.
    open_low, open_high : bool
        Whether an end of the box is an end of the image.
    parts : tuple of Part
        For each convolution.
    """

    core: Interval
    box: Interval
    read: Interval
    open_low: bool
    open_high: bool
    parts: tuple[Part, ...]

    @property
    def inner(self) -> slice:
        """The core within the box."""
        return slice(self.core[0] - self.box[0], self.core[1] - self.box[0])

    @property
    def in_read(self) -> slice:
        """The box within the samples that are read."""
        return slice(self.box[0] - self.read[0], self.box[1] - self.read[0])


class Axis:
    """One axis of the image, with the reaches of all convolutions.

    Attributes
    ----------
    size : int
    cyclic : bool
        Whether the axis is a ring for all convolutions, and positions are endless.
    whole : bool
        Whether it cannot be cut: it is a ring for some of them only.
    step : int
        The least common stride: edges of tiles are multiples of it.
    """

    def __init__(self, geometries, axis: int):
        self.reaches = tuple(Reach.of(g, axis) for g in geometries)
        self.size = self.reaches[0].samples
        ring = any(reach.wraps for reach in self.reaches)
        self.cyclic = ring and all(reach.is_cyclic for reach in self.reaches)
        self.whole = ring and not self.cyclic
        self.step = int(np.lcm.reduce([reach.stride for reach in self.reaches]))
        self.span = max(reach.span for reach in self.reaches)
        self.fold = max(reach.fold for reach in self.reaches)

    def cuts(self, tile: int, unit: int = 1) -> list[Interval]:
        """The cores of tiles of about this size.

        They are as equal as the step allows, but for larger tiles than `unit` samples
        their edges are multiples of that.
        """
        if self.whole or tile >= self.size:
            return [(0, self.size)]
        unit = math.lcm(unit, self.step)
        if unit > tile:
            count = min(-(-self.size // tile), -(-self.size // self.step))
            cells = -(-self.size // self.step)
            edges = [cells * i // count * self.step for i in range(count)]
        else:
            edges = list(range(0, self.size, tile // unit * unit))
        return list(zip(edges, [*edges[1:], self.size]))

    def length(self, least: int) -> int:
        """The least length of a box from which on its transforms are fast."""
        return self.step * fast_length(-(-least // self.step), even=True)

    def segment(self, core: Interval, halo: int, length: int = 0) -> Segment:
        """The tile with this core and a box of `halo` samples around it.

        Boxes are at least `length` long where the image allows that, so that tiles have
        local problems of equal shape.
        """
        box, low, high = self._box(core, halo, length)
        found, read = [], box
        for reach in self.reaches:
            rows = reach.touching(box)
            if not self.cyclic:
                # rows at an end may read nothing but padding, or fold into the box
                first = 0 if low else max(rows[0], 0)
                last = reach.rows if high else min(rows[1], reach.rows)
                rows = first, max(last, first)
            found.append((reach, rows))
            read = self._joined(reach, rows, read)
        parts = tuple(self._part(reach, rows, core, read) for reach, rows in found)
        return Segment(core, box, read, low, high, parts)

    def _box(self, core, halo, length):
        halo = -(-halo // self.step) * self.step
        start, stop = core[0] - halo, core[1] + halo
        if self.cyclic:
            return (start, max(stop, start + length)), False, False
        if self.whole:
            return (0, self.size), True, True
        low, high = start <= self.fold, stop >= self.size - self.fold
        start, stop = 0 if low else start, self.size if high else stop
        if not high:
            stop = min(max(stop, start + length), self.size)
        start = max(min(start, (stop - length) // self.step * self.step), 0)
        low, high = start <= self.fold, stop >= self.size - self.fold
        return (0 if low else start, self.size if high else stop), low, high

    def _joined(self, reach, rows, read):
        """`read` with the samples that rows of a convolution take."""
        if rows[0] == rows[1]:
            return read
        spanned = reach.read(rows)
        if not self.cyclic:
            index = self._index(reach, spanned)
            index = index[index >= 0]
            if not index.size:
                return read
            spanned = int(index.min()), int(index.max()) + 1
        return min(read[0], spanned[0]), max(read[1], spanned[1])

    def _index(self, reach, spanned):
        q = np.arange(*spanned)
        inside = (q >= 0) & (q < self.size)
        padded = BOUNDARIES[reach.boundary].index(q, self.size)
        return np.where(inside, q, padded)

    def _part(self, reach, rows, core, read):
        owned = reach.owned(core, self.cyclic)
        owned = [min(max(row, rows[0]), rows[1]) - rows[0] for row in owned]
        spanned = reach.read(rows) if rows[0] < rows[1] else (read[0], read[0])
        start, stop = spanned
        if self.cyclic or (start >= 0 and stop <= self.size):
            index: Any = slice(start - read[0], stop - read[0])
        else:
            index = self._index(reach, spanned)
            index = np.where(index >= 0, index - read[0], -1)
        return Part(rows, slice(*owned), index)


def runs(interval: Interval, size: int) -> tuple[slice, ...]:
    """Slices of an axis of `size` that a possibly cyclic interval covers, in order."""
    start, stop = interval
    found = []
    while start < stop:
        first = start % size
        length = min(size - first, stop - start)
        found.append(slice(first, first + length))
        start += length
    return tuple(found)
