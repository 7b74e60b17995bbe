"""Products of convolutions on the boxes of tiles, exact at the image's borders.

The samples that rows span are gathered from what was read, as the boundary says; on
them a convolution without padding makes the rows. The adjoint goes the same way back.
"""

from __future__ import annotations

from typing import Any

from .._core.arrays import placement
from ..operators._convolution import ConvLinearOperator
from .unpadded import Unpadded, folded, gathered


class BoxProducts:
    """The products of one convolution on boxes.

    Parameters
    ----------
    op : ConvLinearOperator
    number : int
        Which of the parts of a tile it is.
    """

    def __init__(self, op: ConvLinearOperator, number: int):
        self.op, self.number = op, number
        self.channels = op.output_shape[0]
        self.unpadded = Unpadded(op)

    def rows(self, tile) -> tuple[int, ...]:
        """How many rows of the convolution a tile has along each axis."""
        return tuple(s.parts[self.number].length for s in tile.segments)

    def owned(self, tile) -> tuple[slice, ...]:
        """Which of these rows count for its core."""
        return tuple(s.parts[self.number].owned for s in tile.segments)

    def forward(self, tile, x: Any) -> Any:
        """Rows of a tile from the x that it reads, ``(B, C, *read)``."""
        if 0 in self.rows(tile):
            shape = (x.shape[0], self.channels, *self.rows(tile))
            return self.op.xp.zeros(shape, dtype=x.dtype, **placement(x))
        for axis, segment in enumerate(tile.segments):
            x = gathered(x, 2 + axis, segment.parts[self.number].index)
        return self.unpadded.on(x.shape[2:]).apply(x)

    def adjoint(self, tile, r: Any) -> Any:
        """The adjoint of the rows of a tile, on its box."""
        if 0 in r.shape:
            shape = (r.shape[0], self.op.input_shape[0], *tile.box)
            return self.op.xp.zeros(shape, dtype=r.dtype, **placement(r))
        spanned = [
            reach_of(self.op, axis, s.parts[self.number].rows)
            for axis, s in enumerate(tile.segments)
        ]
        v = self.unpadded.on(spanned).apply_adjoint(r)
        for axis, segment in enumerate(tile.segments):
            index = segment.parts[self.number].index
            start = segment.in_read.start
            v = folded(v, 2 + axis, index, start, segment.in_read.stop - start)
        return v


def reach_of(op, axis, rows):
    """How many samples some rows of a convolution span along a spatial axis."""
    g = op.geometry
    a = 3 - g.ndim + axis
    return (rows[1] - rows[0] - 1) * g.stride[a] + g.dilation[a] * (g.kernel[a] - 1) + 1
