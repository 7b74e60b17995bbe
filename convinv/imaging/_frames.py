"""Pictures that are read by regions: memory maps, arrays of zarr, h5py or Dask."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from .._core.arrays import namespace
from . import _pictures
from ._data import arranged


def is_by_regions(image) -> bool:
    """Whether an image is no array in memory, but has slices that are."""
    if is_lazy(image):
        return True
    if isinstance(image, np.memmap):
        return getattr(image, "_mmap", None) is not None
    parts = ("shape", "dtype", "__getitem__")
    return namespace(image) is None and all(hasattr(image, part) for part in parts)


def is_lazy(image) -> bool:
    """Whether what an image holds is computed when it is asked for, as Dask does."""
    return hasattr(image, "__dask_graph__")


@dataclass(frozen=True)
class Frames:
    """Right-hand sides ``(items, exposures and channels, *size)``, read by regions.

    Attributes
    ----------
    images : list
        The exposures.
    layout : Layout
        Of each of them.
    per_channel : bool
        Whether channels are parts of one right-hand side.
    preserve_range : bool
    dtype : dtype
        Of what is read.
    """

    images: list[Any]
    layout: _pictures.Layout
    per_channel: bool
    preserve_range: bool
    dtype: np.dtype
    by_regions: ClassVar[bool] = True  # `solve` takes them in tiles

    @classmethod
    def of(cls, images, layout, per_channel, preserve_range) -> Frames:
        """Those of exposures, in the precision that they have in memory."""
        empty = [np.empty(0, image.dtype) for image in images]
        kinds = [_pictures.floating(array, preserve_range).dtype for array in empty]
        return cls(images, layout, per_channel, preserve_range, np.result_type(*kinds))

    @property
    def shape(self) -> tuple[int, ...]:
        pictures, exposures = self.pictures, len(self.images)
        if self.per_channel:
            return (pictures, self.layout.channels * exposures, *self.layout.size)
        return (self.layout.channels * pictures, exposures, *self.layout.size)

    @property
    def pictures(self) -> int:
        """How many there are in the stack."""
        return math.prod(self.layout.lead)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def astype(self, dtype) -> Frames:
        return replace(self, dtype=np.dtype(dtype))

    def items(self, picture) -> list[int]:
        """Those of a picture of the stack, by its number."""
        count = self.shape[0]
        return list(range(picture, count, self.pictures))

    def __getitem__(self, region) -> Any:
        """The samples in slices of the spatial axes, of one item or of all.

        What is before these is the number of an item, or an Ellipsis; of the second
        axis all is read.
        """
        box = region[-self.layout.axes :]
        item = None if region[0] is Ellipsis else region[0]
        parts = [self._read(image, box, item) for image in self.images]
        found = arranged(np, parts, self.per_channel).astype(self.dtype, copy=False)
        return found if item is None else found[0]

    def _read(self, image, box, item):
        """A region of an exposure as ``(channels, items, *box)``."""
        layout, place, channel = self.layout, None, None
        if item is not None:
            channel, picture = divmod(item, self.pictures)
            channel = None if self.per_channel else channel
            place = tuple(map(int, np.unravel_index(picture, layout.lead)))
        part = image[layout.index(box, place, channel)]
        part = _pictures.floating(part, self.preserve_range)
        if isinstance(part, np.ndarray) and not np.isfinite(part).all():
            where = ", ".join(f"{s.start}:{s.stop}" for s in box)
            raise ValueError(
                f"image holds NaN or infinity in [{where}], and is read by regions: "
                "fill these pixels, or pass an array in memory, whose NaNs are left out"
            )
        if layout.channel_axis is not None:
            part = np.moveaxis(part, layout.channel_axis, 0)
        channels = layout.channels if channel is None else 1
        return part.reshape((channels, -1, *part.shape[part.ndim - len(box) :]))


class Channel:
    """One channel of some pictures as ``(N, *size)``; complex ones as two real ones.

    Parameters
    ----------
    frames : Frames
    pictures : list of int
        Which of the stack.
    number : int
        Which entry of the second axis of the data.
    """

    def __init__(self, frames: Frames, pictures: list[int], number: int):
        self.frames, self.number = frames, number
        self.dtype = np.empty(0, frames.dtype).real.dtype
        self.parts = 2 if frames.dtype.kind == "c" else 1
        self.items = [item for one in pictures for item in frames.items(one)]
        self.shape = (self.parts * len(self.items), *frames.shape[2:])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, region) -> Any:
        number, *box = region
        place, part = divmod(number, self.parts)
        values = self.frames[(self.items[place], slice(None), *box)][self.number]
        if self.parts == 1:
            return values
        return values.imag if part else values.real
