"""One tile of an image: what it reads, and what it answers for."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._core.arrays import namespace
from .axes import Segment, runs

Runs = tuple[tuple[slice, ...], ...]  # for each spatial axis


class Tile(NamedTuple):
    """A tile.

    Attributes
    ----------
    place : tuple of int
        Its place in the grid of tiles.
    segments : tuple of Segment
        For each spatial axis.
    core : tuple of slice
        The unknowns that it answers for, on the spatial axes of x.
    x_runs, b_runs, box_runs : tuple of tuples of slice
        For each spatial axis the slices of x, of b, and of an array like x on the box
        to read, and to join: one, or several where the image is a ring.
    """

    place: tuple[int, ...]
    segments: tuple[Segment, ...]
    core: tuple[slice, ...]
    x_runs: Runs
    b_runs: Runs
    box_runs: Runs

    @classmethod
    def of(cls, place, segments, axes) -> Tile:
        """The tile of some segments of the axes."""
        reads = [runs(s.read, axis.size) for s, axis in zip(segments, axes)]
        data = [
            runs(s.parts[0].rows, axis.reaches[0].rows)
            for s, axis in zip(segments, axes)
        ]
        boxes = [runs(s.box, axis.size) for s, axis in zip(segments, axes)]
        core = tuple(slice(*s.core) for s in segments)
        found = tuple(reads), tuple(data), tuple(boxes)
        return cls(tuple(place), tuple(segments), core, *found)

    def runs(self, of: str) -> Runs:
        """The slices to read of "x", of "b", or on the "box" or "core" of x."""
        if of == "core":
            return tuple((along,) for along in self.core)
        return {"x": self.x_runs, "b": self.b_runs, "box": self.box_runs}[of]

    @property
    def box(self) -> tuple[int, ...]:
        """The size of the box along each axis."""
        return tuple(s.box[1] - s.box[0] for s in self.segments)

    @property
    def read_shape(self) -> tuple[int, ...]:
        """The size of what is read of x along each axis."""
        return tuple(s.read[1] - s.read[0] for s in self.segments)

    @property
    def inner(self) -> tuple[slice, ...]:
        """The core within the box."""
        return tuple(s.inner for s in self.segments)

    @property
    def in_read(self) -> tuple[slice, ...]:
        """The box within what is read of x."""
        return tuple(s.in_read for s in self.segments)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What tiles with one local problem have in common."""
        return self.box, tuple((s.open_low, s.open_high) for s in self.segments)


def read(source: Any, slices: Runs) -> Any:
    """The samples that runs of slices cover, joined along each axis.

    Parameters
    ----------
    source : array
        Of NumPy, CuPy or Dask, a memory map, or anything that is indexed by slices. Its
        last axes are the spatial ones; all of the others is read.
    slices : tuple of tuples of slice

    Returns
    -------
    array
    """
    axis = next((i for i, along in enumerate(slices) if len(along) != 1), None)
    if axis is None:
        return source[(..., *(along[0] for along in slices))]
    if not slices[axis]:
        empty = (*slices[:axis], (slice(0, 0),), *slices[axis + 1 :])
        return read(source, empty)
    pieces = [
        read(source, (*slices[:axis], (one,), *slices[axis + 1 :]))
        for one in slices[axis]
    ]
    xp: Any = namespace(pieces[0])
    if xp is None:  # arrays of Dask join by NumPy's protocol
        import numpy as xp
    return xp.concatenate(pieces, axis=axis - len(slices))
