"""A strided layer as one of stride 1 between grids of cells.

A cell is a block of ``stride`` samples per axis; its samples become channels. With
``s`` the stride, the tap at position ``t = dilation * a - before`` reads phase ``t mod
s`` of the cell that is ``floor(t / s)`` cells away from the output's own.
"""

import math

import numpy as np

from .._core.arrays import contiguous, namespace, to_numpy


class Polyphase:
    """The cells of a layer's input.

    Attributes
    ----------
    groups : int
    channels : int
        Unknowns of a cell in one group, ``C_in / groups * prod(stride)``, ordered as
        (channel, phase, phase, phase).
    filters : int
        Output channels of one group.
    cells : tuple of int
        Cells per axis (always three axes); the last ones may stick out of the input.
    """

    def __init__(self, geometry):
        self.geometry = g = geometry
        self.groups, self.filters = g.groups, g.c_out // g.groups
        self.channels = g.c_in // g.groups * math.prod(g.stride)
        d, h, w = (-(-n // s) for n, s in zip(g.input, g.stride))
        self.cells = (d, h, w)

    def pack(self, x):
        """``(B, n)`` or shaped samples -> ``(B, groups, channels, *cells)``.

        Samples of cells that stick out are 0. With stride 1 it is a view.
        """
        g, xp = self.geometry, namespace(x)
        batch = x.shape[0]
        x = xp.reshape(x, (batch, g.c_in, *g.input))
        if math.prod(g.stride) > 1:
            whole = [c * s for c, s in zip(self.cells, g.stride)]
            if tuple(whole) != g.input:
                wide = xp.zeros((batch, g.c_in, *whole), dtype=x.dtype)
                wide[(..., *(slice(0, n) for n in g.input))] = x
                x = wide
            split = [n for pair in zip(self.cells, g.stride) for n in pair]
            x = xp.reshape(x, (batch, g.c_in, *split))
            x = contiguous(x.transpose(0, 1, 3, 5, 7, 2, 4, 6))
        return x.reshape((batch, self.groups, self.channels, *self.cells))

    def unpack(self, v):
        """The inverse of `pack`, as ``(B, n)``; a view with stride 1."""
        g = self.geometry
        batch = v.shape[0]
        if math.prod(g.stride) > 1:
            v = v.reshape((batch, g.c_in, *g.stride, *self.cells))
            v = contiguous(v.transpose(0, 1, 5, 2, 6, 3, 7, 4))
            whole = [c * s for c, s in zip(self.cells, g.stride)]
            v = v.reshape((batch, g.c_in, *whole))
            v = contiguous(v[(..., *(slice(0, n) for n in g.input))])
        return v.reshape((batch, -1))

    def offsets(self):
        """Per axis the cells and the phases that the taps read, (taps,) int arrays."""
        g = self.geometry
        axes = zip(g.dilation, g.kernel, g.before, g.stride)
        return [np.divmod(d * np.arange(k) - p, s) for d, k, p, s in axes]

    def stencil(self, weights):
        """``(first, matrices)``: ``y[i] = sum of matrices[..., o] @ v[i + first + o]``.

        `weights` is ``op.weights``; `first` are the least offsets, and `matrices` is a
        host array ``(groups, filters, channels, *offsets)`` in double precision.
        """
        g = self.geometry
        weights = to_numpy(weights)
        weights = weights.astype(np.result_type(weights.dtype, np.float64))
        per_group = g.c_in // g.groups
        cells, phases = zip(*self.offsets())
        first = [int(c.min()) for c in cells]
        span = [int(c.max()) - f + 1 for c, f in zip(cells, first)]
        matrices = np.zeros(
            (g.groups, self.filters, per_group, *g.stride, *span), weights.dtype
        )
        place = np.ix_(*(c - f for c, f in zip(cells, first)))
        matrices[(..., *np.ix_(*phases), *place)] = weights.reshape(
            g.groups, self.filters, per_group, *g.kernel
        )
        size = (g.groups, self.filters, self.channels)
        return first, matrices.reshape((*size, *span))

    def taps(self, entries, places):
        """Where the taps stand in an array over a grid: weights like ``op.weights``.

        `entries` is ``(groups, filters, channels, *grid)``, `places` the place of each
        tap along the three axes of the grid. With the offsets of the cells, less the
        first, it is the inverse of `stencil`.
        """
        g = self.geometry
        per_group = g.c_in // g.groups
        _, phases = zip(*self.offsets())
        size = (g.groups, self.filters, per_group, *g.stride, *entries.shape[3:])
        index = (*np.ix_(*phases), *np.ix_(*places))
        found = entries.reshape(size)[(slice(None),) * 3 + index]
        return found.reshape(g.c_out, per_group, *g.kernel)

    @property
    def is_torus(self) -> bool:
        """Whether the layer is invariant under shifts that wrap around the cells."""
        g = self.geometry
        if any(n % s or m * s != n for n, s, m in zip(g.input, g.stride, g.output)):
            return False
        inside = all(
            0 <= -p and d * (k - 1) - p < s
            for d, k, p, s in zip(g.dilation, g.kernel, g.before, g.stride)
        )
        return g.boundary == "periodic" or inside
