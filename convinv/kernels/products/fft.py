"""The convolution and its adjoint by FFT; the contract is that of `kernels.correlate`.

A layer is cut into tori (``fft_tiles.py``), on which it is a matrix at every frequency
(`kernels.circulant`): tiles by overlap-save, the phases of a stride as channels, the
phases of a dilation as tiles. The adjoint is cut in the same way, with the conjugate
matrices. Boundaries other than "zero" are added around the images before the product
and folded back after it, unless the boundary makes an axis a ring.
"""

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from ..._core.arrays import to_numpy
from ..._core.threads import thread_count
from .. import load
from ..circulant.arguments import Copy, Part
from .edges import Edges
from .fft_tiles import choose

PADDED = 2**25  # bytes of padded images that exist at a time


class Direction(NamedTuple):
    """One of the two products."""

    plan: Any  # of the circulant kernel
    parts: list  # to apply it to
    covered: bool  # whether the parts write every sample of the result


class Plan:
    """Transforms of the kernel for both directions, computed on first use."""

    def __init__(self, xp, kernel, geometry, torus=None):
        self.xp, self.geometry, self.dtype = xp, geometry, np.dtype(kernel.dtype)
        self.torus = torus or choose(geometry, self.dtype)
        self._kernel = kernel
        self._circulant, self._vectors = load("circulant", xp), load("vectors", xp)
        self._edges = Edges(geometry, self.torus.padded)

    @functools.cached_property
    def _forward(self):
        return self._direction(adjoint=False)

    @functools.cached_property
    def _adjoint(self):
        return self._direction(adjoint=True)

    def _direction(self, adjoint):
        torus, g = self.torus, self.geometry
        kernel = _on_torus(to_numpy(self._kernel), g, torus, adjoint)
        transform = scipy.fft.rfftn if kernel.dtype.kind == "f" else scipy.fft.fftn
        blocks = transform(kernel, axes=(3, 4, 5), workers=self._workers())
        lengths = [torus.lengths[i] for i in torus.order]
        tiles = [
            (
                axis.rows(rows, adjoint)
                if axis.kernel == 1
                else axis.tiles(length, adjoint)
            )
            for axis, length, rows in zip(torus.axes, torus.lengths, torus.rows)
        ]
        phases = [torus.axes[i].phases for i in torus.order]
        tiles = [tiles[i] for i in torus.order]
        size = self._edges.shape if adjoint else g.output
        parts = [_part(tile, phases) for tile in itertools.product(*tiles)]
        covered = sum(map(_written, parts)) == math.prod(size)
        plan = self._circulant.prepare(blocks, lengths, self.dtype)
        return Direction(plan, parts, covered)

    @property
    def nbytes(self):
        """Bytes of the transforms of the kernel for both directions, about."""
        g, torus = self.geometry, self.torus
        phases = math.prod(axis.phases for axis in torus.axes)
        blocks = g.c_out * (g.c_in // g.groups) * phases
        return 2 * blocks * math.prod(torus.lengths) * self.dtype.itemsize

    def _workers(self):
        """The number of threads that transform the kernel on the host."""
        if self.xp is not np:
            return None
        return thread_count()

    def forward(self, x, sumsq=False, out=None):
        g, xp = self.geometry, self.xp
        shape = (len(x), g.c_out, *g.output)
        y = xp.empty(shape, dtype=self.dtype) if out is None else out
        if not self.torus.padded:
            self._apply(self._forward, x, y)
            return y, self._sumsq(y, sumsq)
        for items in self._pieces(len(x)):
            self._apply(self._forward, self._edges.pad(xp, x[items]), y[items])
        return y, self._sumsq(y, sumsq)

    def adjoint(self, y, sumsq=False, out=None):
        g, xp = self.geometry, self.xp
        shape = (len(y), g.c_in, *g.input)
        x = xp.empty(shape, dtype=self.dtype) if out is None else out
        if not self.torus.padded:
            self._apply(self._adjoint, y, x)
            return x, self._sumsq(x, sumsq)
        for items in self._pieces(len(y)):
            shape = (items.stop - items.start, g.c_in, *self._edges.shape)
            padded = xp.empty(shape, dtype=self.dtype)
            self._apply(self._adjoint, y[items], padded)
            x[items] = self._edges.fold(padded)
        return x, self._sumsq(x, sumsq)

    def scratch_bytes(self, batch):
        """A bound of a product's memory besides its argument and its result."""
        g, torus = self.geometry, self.torus
        phases = math.prod(axis.phases for axis in torus.axes)
        shape = g.c_out // g.groups, g.c_in // g.groups * phases
        lengths = [torus.lengths[i] for i in torus.order]
        items = batch * math.prod(
            axis.outputs if axis.kernel == 1 else math.ceil(axis.tiles_of(length))
            for axis, length in zip(torus.axes, torus.lengths)
        )
        found = self._circulant.scratch_bytes(
            g.groups, shape, lengths, self.dtype, items
        )
        padded = min(batch, self._padded_together()) * self._padded_bytes()
        return found + padded * bool(self.torus.padded)

    def _padded_bytes(self):
        """Bytes of one padded image."""
        return self.geometry.c_in * math.prod(self._edges.shape) * self.dtype.itemsize

    def _padded_together(self):
        """The number of items that are padded together."""
        return max(PADDED // self._padded_bytes(), 1)

    def _pieces(self, batch):
        size = self._padded_together()
        return [slice(i, min(i + size, batch)) for i in range(0, batch, size)]

    def _apply(self, direction, source, target):
        """Fill `target`, ``(B, channels, *size)``."""
        groups, order = self.geometry.groups, self.torus.order
        source, target = (
            a.reshape((len(a), groups, a.shape[1] // groups, *a.shape[2:]))
            for a in (source, target)
        )
        plan = direction.plan
        if not direction.covered:
            target[...] = 0
        if order == (0, 1, 2) and _simple(direction, source.shape, target.shape):
            self._circulant.apply(plan, source, target.shape[3:], target)
            return
        axes = (0, 1, 2, *(3 + i for i in order))
        source, target = source.transpose(axes), target.transpose(axes)
        self._circulant.apply_parts(plan, source, target, direction.parts)

    def _sumsq(self, result, wanted):
        if not wanted:
            return None
        return self._vectors.sumsq(result.reshape((len(result), -1)))


def _part(tiles, phases):
    """The part of one tile per axis; `phases` are the numbers of phases."""

    def copies(per_axis):
        found = []
        for one in itertools.product(*per_axis):
            phase = 0
            for count, copy in zip(phases, one):
                phase = phase * count + copy.phase
            places = tuple(copy.places for copy in one)
            cells = tuple(copy.cells for copy in one)
            found.append(Copy(phase, places, cells))
        return tuple(found)

    return Part(
        copies(tile.reads for tile in tiles),
        tuple(tile.given for tile in tiles),
        tuple(tile.wanted for tile in tiles),
        copies(tile.writes for tile in tiles),
    )


def _written(part):
    """The number of samples that a part writes."""
    return sum(math.prod(c.stop - c.start for c in copy.cells) for copy in part.writes)


def _simple(direction, source, target):
    """Whether one part reads the whole source and writes the whole target."""
    part, *others = direction.parts or [None]
    if others or part is None or len(part.reads) != 1 or len(part.writes) != 1:
        return False
    sizes = zip(source[3:], target[3:], direction.plan.torus)
    return (
        direction.plan.shape == (target[2], source[2])
        and part.given == source[3:]
        and part.wanted == tuple(slice(0, n) for n in target[3:])
        and all(max(n, m) <= length for n, m, length in sizes)
    )


def _on_torus(kernel, g, torus, adjoint):
    """The matrix of each group at every place of the torus, in double precision.

    `circulant.prepare` takes its transform: result by source channels, including the
    phases of a stride; for the adjoint source by result channels.
    """
    groups, order = g.groups, torus.order
    kernel = kernel.reshape(
        groups, g.c_out // groups, g.c_in // groups, *g.kernel
    ).astype(np.result_type(kernel.dtype, np.float64))
    for i in range(3):  # each axis of taps becomes an axis of phases and one of places
        axis, length = torus.axes[i], torus.lengths[i]
        places = [p * length + q for p, q in axis.positions(length, adjoint)]
        placed = np.zeros(
            (axis.phases * length, *np.delete(kernel.shape, 3 + i)), kernel.dtype
        )
        np.add.at(placed, places, np.moveaxis(kernel, 3 + i, 0))
        kernel = np.moveaxis(placed, 0, 3 + i)
    split = [
        n for axis, length in zip(torus.axes, torus.lengths)
        for n in (axis.phases, length)
    ]  # fmt: skip
    kernel = kernel.reshape(*kernel.shape[:3], *split)
    phases, cells = [3 + 2 * i for i in order], [4 + 2 * i for i in order]
    lengths = [torus.lengths[i] for i in order]
    if adjoint:
        kernel = kernel.transpose(0, *phases, 2, 1, *cells).conj()
        return kernel.reshape(groups, -1, g.c_out // groups, *lengths)
    kernel = kernel.transpose(0, 1, *phases, 2, *cells)
    return kernel.reshape(groups, g.c_out // groups, -1, *lengths)
