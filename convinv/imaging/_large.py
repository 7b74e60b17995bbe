"""Scenes behind pictures that are read by regions, found in overlapping tiles."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._camera import Camera
from ._data import by_channel
from ._exposed import Found, automatic
from ._frames import Channel, Frames, is_lazy
from ._point_spread import PointSpread
from ._smoothness import chosen, solved

STACK = 32  # pictures of a stack that tell its noise and strength, evenly spread
BLOCK = 2**22  # samples that are copied at a time


def refuse(model, penalty, bounds, mask, weights, method) -> None:
    """Refuse what tiles can't do."""
    name = "" if method == "auto" else f"method={method!r}"
    if model == "poisson":
        name = "model='poisson'"
    elif isinstance(penalty, str) and penalty == "tv":
        name = "regularizer='tv'"
    else:
        given = {"bounds": bounds, "mask": mask, "weights": weights}
        name = next((n for n, value in given.items() if value is not None), name)
    if name:
        raise ValueError(
            f"{name} needs an image in memory, and one that is read by regions is "
            "solved in tiles: pass np.asarray(image)"
        )


@dataclass(frozen=True)
class Large:
    """Pictures that are read by regions, and the operator that made them of a scene.

    It is to `_smoothness` what `Exposed` is for pictures in memory.
    """

    b: Frames
    spread: PointSpread
    camera: Camera
    stride: tuple[int, ...]
    weights: None = None

    @property
    def op(self):
        return self.camera.op

    def start(self) -> None:
        """Tiles start at zero: their first sweep finds most of the scene."""

    def automatic(self, penalty, noise):
        """``(strength, noise)`` that the spectra of some tiles tell."""
        count = self.b.pictures
        pictures = np.linspace(0, count - 1, min(count, STACK)).astype(int).tolist()
        return automatic(
            lambda number: Channel(self.b, pictures, number),
            self.spread, self.stride, penalty, noise,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the scenes in the frame, in the layout of the pictures."""
        layout = self.b.layout
        found = [*layout.lead, *(s.stop - s.start for s in self.camera.frame)]
        if layout.channel_axis is not None:
            found.insert(layout.channel_axis, layout.channels)
        return tuple(found)


def large_scene(large: Large, penalty, strength, noise, out, **options) -> Found:
    """As `smooth_scene`, with x in the layout of the pictures, in `out` if given."""
    strength, noise, message = chosen(large, penalty, strength, noise)
    if any(map(is_lazy, large.b.images)):
        result = _lazily(large, penalty, strength, options)
        if out is not None:
            result.x.store(out)
    else:
        with _scratch(large, on_disk=out is not None) as scenes:
            result = solved(large, penalty, strength, out=scenes, **options)
            if out is None:
                out = np.empty(large.shape, large.b.dtype)
            _copy(large, scenes, out)
    x = result.x if out is None else out
    return Found(replace(result, x=x), strength, noise, message)


def _lazily(large, penalty, strength, options):
    """The result for pictures of Dask, of which all is one graph."""
    layout = large.b.layout
    whole = tuple(slice(0, n) for n in layout.size)
    graph = replace(large, b=large.b[(..., *whole)].rechunk({1: -1}))
    result = solved(graph, penalty, strength, **options)
    x = result.x[(slice(None), slice(None), *large.camera.frame)]
    x = by_channel(x, large.spread.per_channel, layout.channels)
    return replace(result, x=layout.join(x).astype(large.b.dtype))


@contextlib.contextmanager
def _scratch(large, on_disk) -> Iterator[Any]:
    """An array for the scenes, which are larger than what the frame shows."""
    shape = (large.b.shape[0], *large.op.input_shape)
    if not on_disk:
        yield np.empty(shape, large.b.dtype)
        return
    with tempfile.TemporaryFile(prefix="convinv-") as file:
        yield np.memmap(file, dtype=large.b.dtype, mode="w+", shape=shape)


def _copy(large, scenes, out):
    """What the frame shows of scenes into the result, some rows at a time."""
    layout, count = large.b.layout, large.b.pictures
    first, *others = large.camera.frame
    beside = [slice(0, s.stop - s.start) for s in others]
    length, some = first.stop - first.start, _rows(large, scenes, out)
    places = np.ndindex(*layout.lead)
    for (picture, place), start in itertools.product(
        enumerate(places), range(0, length, some)
    ):
        rows = slice(start, min(start + some, length))
        seen = slice(first.start + rows.start, first.start + rows.stop)
        part = scenes[(slice(picture, None, count), slice(None), seen, *others)]
        part = by_channel(part, large.spread.per_channel, layout.channels)
        out[layout.index((rows, *beside), place)] = layout.of_one().join(part)


def _rows(large, scenes, out):
    """Rows to copy at a time: whole chunks of what they are written to."""
    layout = large.b.layout
    some = max(BLOCK // (scenes[0].size // scenes.shape[2]), 1)
    chunks = getattr(out, "chunks", None)
    if not chunks:
        return some
    axis = layout.index([None] * layout.axes).index(None)
    return -(-some // chunks[axis]) * chunks[axis]


def check_out(out, shape, dtype) -> None:
    """Refuse an `out` that does not take a result."""
    if tuple(getattr(out, "shape", ())) != tuple(shape):
        raise ValueError(
            f"out must have the shape {tuple(shape)} of the result, got "
            f"{getattr(out, 'shape', type(out).__name__)}"
        )
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(
            f"out must hold floating-point numbers (complex ones for complex images), "
            f"got dtype {out.dtype}"
        )
