"""The data of a solve: what shapes, chunks and libraries they may have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np

from .._core.arrays import namespace


@dataclass(frozen=True)
class Layout:
    """The axes of a batch, for what is told of its items.

    Attributes
    ----------
    batch_shape : tuple of int
    """

    batch_shape: tuple[int, ...]

    @property
    def batched(self) -> bool:
        """Whether the user gave a batch."""
        return self.batch_shape != ()

    def restore(self, x: da.Array) -> da.Array:
        """x, which has the user's shape."""
        return x

    def items(self, values: np.ndarray) -> Any:
        """Numbers of the items in the batch's shape; a scalar without a batch."""
        return values.reshape(self.batch_shape) if self.batched else values[0].item()


def checked(array: Any, name: str, item: tuple[int, ...], op: Any) -> da.Array:
    """An array of Dask whose last axes are those of an item, channels in one chunk.

    Refuses others, and chunks of another library than the operator's.
    """
    if not isinstance(array, da.Array):
        raise TypeError(
            f"{name} must be an array of Dask, got {type(array).__name__}: make one "
            "with dask.array.from_array, or call the same function of convinv itself"
        )
    if any(math.isnan(n) for n in array.shape):
        raise ValueError(
            f"{name} must have chunks of known sizes, got shape {array.shape}: call "
            "its compute_chunk_sizes() first"
        )
    lead = array.ndim - len(item)
    if lead < 0 or array.shape[lead:] != item:
        raise ValueError(
            f"{name} must have shape (..., {', '.join(map(str, item))}), got "
            f"{array.shape}"
        )
    if 0 in array.shape:
        raise ValueError(f"{name} holds no item: its shape is {array.shape}")
    xp = namespace(array._meta)
    if op.xp is not None and xp is not None and xp is not op.xp:
        raise TypeError(
            f"{name} must have chunks of {op.xp.__name__}, as the operator's kernel "
            f"is, got chunks of {xp.__name__}"
        )
    return array.rechunk({lead: -1}) if len(item) > 1 else array


def is_whole(array: da.Array, item: tuple[int, ...]) -> bool:
    """Whether items are whole in the chunks."""
    return all(n == 1 for n in array.numblocks[array.ndim - len(item) :])


def block_of(array: da.Array, index: tuple[int, ...]) -> tuple[slice, ...]:
    """The part of an array in a chunk, by its numbers along the first axes."""
    found = []
    for along, i in zip(array.chunks, index):
        start = sum(along[:i])
        found.append(slice(start, start + along[i]))
    return tuple(found)


def places(array: da.Array, lead: int) -> np.ndarray:
    """The place in a batch of each of its items, in the order of the blocks."""
    shape = array.shape[:lead]
    numbers = np.arange(math.prod(shape)).reshape(shape)
    blocks = np.ndindex(*array.numblocks[:lead])
    return np.concatenate([numbers[block_of(array, i)].ravel() for i in blocks])
