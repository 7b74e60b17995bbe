"""Labeled arrays of xarray, which hold an array of another library."""

from __future__ import annotations

from typing import Any

from .._core.adapters import Adapter
from .._core.typing import AnyArray


class XarrayAdapter(Adapter):
    """Labeled arrays in, labeled arrays out.

    What they hold is taken as it is: an array of NumPy, of CuPy or of Dask. Results
    have the labels of the data, without the coordinates along axes whose length is
    another one.
    """

    def is_array(self, thing: Any) -> bool:
        return all(hasattr(thing, name) for name in ("dims", "coords", "data"))

    def snapshot(self, array: Any, name: str) -> AnyArray:
        return array.data

    def argument(self, array: Any, name: str, function: str) -> AnyArray:
        return array.data

    def restored(self, array: AnyArray, like: Any) -> Any:
        dims, sizes = _dims(array.shape, like)
        coords = {
            name: value
            for name, value in like.coords.items()
            if all(sizes.get(d) == n for d, n in zip(value.dims, value.shape))
        }
        return type(like)(array, coords, dims, name=like.name, attrs=like.attrs)


def _dims(shape: tuple[int, ...], like: Any) -> tuple[tuple[Any, ...], dict[Any, int]]:
    """The names of the axes of a result, and their lengths."""
    if len(shape) != like.ndim:
        raise ValueError(
            f"the result has {len(shape)} axes and the data have {like.ndim}, "
            f"{like.dims}, so that there are no names for them: pass {like.name or 'b'}"
            ".data"
        )
    return tuple(like.dims), dict(zip(like.dims, shape))
