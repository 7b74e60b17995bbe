"""Pictures in a store as right-hand sides."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._files import Store

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Frames:
    """Pictures of a store as an array ``(items, channels, *spatial)`` of floats.

    Unsigned integers become fractions of the largest one. ``frames[..., slices]`` reads
    a box of the spatial axes; the object can be pickled, like its store.

    Attributes
    ----------
    store : Store
    axes : int
        Spatial axes: the last ones, without the channels.
    channel_axis : int or None
        The axis of the store with the channels.
    coupled : bool
        Whether channels are those of one right-hand side; else each is an item.
    pictures : range or None
        Those that are read, of all that the other axes of the store count.
    """

    store: Store
    axes: int
    channel_axis: int | None = None
    coupled: bool = False
    pictures: range | None = None

    def __post_init__(self) -> None:
        name, shape = repr(self.store.path), self.store.shape
        if self.store.dtype.kind not in "uif":
            raise ValueError(
                f"{name} must hold real numbers, got dtype {self.store.dtype}"
            )
        axis, ndim = self.channel_axis, len(shape)
        if axis is not None and not -ndim <= axis < ndim:
            raise ValueError(
                f"the channel axis must be one of {name} of shape {shape}, got {axis}"
            )
        if ndim - (axis is not None) < self.axes:
            raise ValueError(
                f"{name} must have at least the {self.axes} axes of the psf beside the "
                f"channels, got shape {shape}"
            )
        if 0 in shape:
            raise ValueError(f"{name} is empty: its shape is {shape}")

    def of(self, pictures: range) -> Frames:
        """The same store with some of its pictures."""
        return replace(self, pictures=pictures)

    @property
    def _channel(self) -> int | None:
        axis = self.channel_axis
        return None if axis is None else axis % self.store.ndim

    @property
    def places(self) -> tuple[int, ...]:
        """The spatial axes of the store."""
        rest = [a for a in range(self.store.ndim) if a != self._channel]
        return tuple(rest[-self.axes :])

    @property
    def size(self) -> tuple[int, ...]:
        """The spatial shape."""
        return tuple(self.store.shape[a] for a in self.places)

    @property
    def channels(self) -> int:
        """Of a picture, one if the store has no axis for them."""
        return 1 if self._channel is None else self.store.shape[self._channel]

    @property
    def _lead(self) -> tuple[int, ...]:
        """The axes that count the pictures."""
        beside = {*self.places, self._channel}
        return tuple(a for a in range(self.store.ndim) if a not in beside)

    @property
    def count(self) -> int:
        """All pictures of the store."""
        return math.prod(self.store.shape[a] for a in self._lead)

    @property
    def dtype(self) -> np.dtype:
        """Single precision where it has all digits of the store's numbers."""
        fine = self.store.dtype.itemsize > (4 if self.store.dtype.kind == "f" else 2)
        return np.dtype(np.float64 if fine else np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        pictures = range(self.count) if self.pictures is None else self.pictures
        items = len(pictures) * (1 if self.coupled else self.channels)
        return (items, self.channels if self.coupled else 1, *self.size)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def place(self, picture: int, box: Box) -> tuple[Any, ...]:
        """The key of the store for a box of one picture."""
        key: list[Any] = [slice(None)] * self.store.ndim
        lead = np.unravel_index(picture, [self.store.shape[a] for a in self._lead] or 1)
        for axis, number in zip(self._lead, lead):
            key[axis] = int(number)
        for axis, part in zip(self.places, box):
            key[axis] = part
        return tuple(key)

    def in_store(self, picture: np.ndarray) -> np.ndarray:
        """``(channels, *box)`` with its axes in the order of the store."""
        if self._channel is None:
            return picture[0]
        before = sum(a < self._channel for a in self.places)
        return np.moveaxis(picture, 0, before)

    def _from_store(self, picture: np.ndarray) -> np.ndarray:
        if self._channel is None:
            return picture[None]
        before = sum(a < self._channel for a in self.places)
        return np.moveaxis(picture, before, 0)

    def __getitem__(self, region: tuple[Any, ...]) -> np.ndarray:
        box = tuple(region[-self.axes :])
        pictures = range(self.count) if self.pictures is None else self.pictures
        read = [self._from_store(self.store[self.place(p, box)]) for p in pictures]
        found = self._floats(np.stack(read))
        if not np.isfinite(found).all():
            where = ", ".join(f"{part.start}:{part.stop}" for part in box)
            raise ValueError(
                f"{self.store.path!r} holds NaN or infinity in the region [{where}] of "
                f"pictures {pictures.start} to {pictures.stop - 1}: fill them first"
            )
        if not self.coupled:
            found = found.reshape(-1, 1, *found.shape[2:])
        return found

    def _floats(self, samples: np.ndarray) -> np.ndarray:
        if samples.dtype.kind == "u":
            return np.divide(samples, np.iinfo(samples.dtype).max, dtype=self.dtype)
        return samples.astype(self.dtype, copy=False)
