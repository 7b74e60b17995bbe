"""Arguments of a solve that go with the data: the part of each that belongs to a block.

An argument is cut like the leading axes of the data where it has these, and goes to all
blocks where it belongs to every item.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np

from .._core.arrays import namespace


class Aligned(NamedTuple):
    """Arguments by name.

    Attributes
    ----------
    shared : dict
        Those that are the same for all items, in memory.
    cut : dict of dask.array.Array
        Those whose leading chunks are those of the data.
    """

    shared: dict[str, Any]
    cut: dict[str, da.Array]

    @classmethod
    def of(cls, given: dict[str, Any], b: da.Array, item_axes: int) -> Aligned:
        """The arguments for data `b`, whose items have so many axes."""
        lead = b.ndim - item_axes
        found = cls({}, {})
        for name, value in given.items():
            ndim = getattr(value, "ndim", 0)
            if lead and ndim > item_axes:
                found.cut[name] = _cut(value, name, b, lead)
            else:
                found.shared[name] = in_memory(value)
        return found


def in_memory(value: Any) -> Any:
    """An array of Dask computed, anything else as it is."""
    return dask.compute(value)[0] if isinstance(value, da.Array) else value


def _cut(value: Any, name: str, b: da.Array, lead: int) -> da.Array:
    """An array in chunks like those of the leading axes of `b`, its items whole."""
    batch = b.shape[:lead]
    item = value.ndim - lead
    if item < 1 or any(n not in (1, k) for n, k in zip(value.shape, batch)):
        raise ValueError(
            f"{name} must have the shape of one item, or begin with the {lead} leading "
            f"axes of b, {batch}, got shape {value.shape}"
        )
    if not isinstance(value, da.Array):
        value = np.asarray(value) if namespace(value) is None else value
        value = da.from_array(value, chunks=-1)
    shape = (*batch, *value.shape[lead:])
    whole = dict.fromkeys(range(lead, len(shape)), -1)
    value = da.broadcast_to(value, shape)
    return value.rechunk({**dict(enumerate(b.chunks[:lead])), **whole})
