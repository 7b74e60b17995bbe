"""Large arrays in zarr: folders and zip files, formats 2 and 3, OME-Zarr."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from .._core.optional import optional
from ._store import Mode, Region, Store, native

FORMS = (".zarr", ".zarr/array", ".zarr.zip (to read)")


def parted(path: str) -> tuple[str, str] | None:
    """The folder or zip file and the path inside it, or None for no such name."""
    parts = PurePath(path).parts
    for count in range(1, len(parts) + 1):
        if parts[count - 1].lower().endswith((".zarr", ".zarr.zip")):
            return str(PurePath(*parts[:count])), "/".join(parts[count:])
    return None


def joined(folder: str, inside: str) -> str:
    """The name of an array in a folder or zip file."""
    return str(PurePath(folder, inside))


class ZarrStore(Store):
    """An array of zarr.

    Attributes
    ----------
    group : dict or None
        Of an image of OME-Zarr: its attributes, and under "path" that of its array.
    """

    def __init__(self, path: str, mode: Mode, array: Any, group: dict | None = None):
        self.path, self.mode, self.group = path, mode, group
        self._array = array
        self.shape, self.chunks = tuple(array.shape), tuple(array.chunks)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        self.attributes = dict(array.attrs)
        self.axes = _axes(array, group)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_array, (os.path.abspath(self.path), self.mode)

    def __getitem__(self, region: Region) -> np.ndarray:
        return native(self._array[region])

    def __setitem__(self, region: Region, values: Any) -> None:
        self._refuse_writing()
        self._array[region] = values

    def close(self) -> None:
        self._array.store.close()


def open_array(path: str, mode: Mode) -> Store:
    """The array in a folder or zip file; of OME-Zarr the image in full resolution."""
    zarr = optional("zarr", "a zarr store")
    place, inside = parted(path) or (path, "")
    if not Path(place).exists():
        raise FileNotFoundError(f"there is no file or folder {place!r}")
    zipped = Path(place).is_file()
    if zipped and mode != "r":
        raise ValueError(f"{place!r} is a zip file, which can only be read by regions")
    try:
        store = zarr.storage.ZipStore(place, mode="r") if zipped else place
        found = zarr.open(store, path=inside, mode=mode)
    except Exception as error:  # of any class, by version of zarr
        raise ValueError(
            f"{path!r} holds no array of zarr: {error or type(error).__name__}"
        ) from error
    if hasattr(found, "shape"):
        return ZarrStore(path, mode, _numbers(found, path))
    key, group = _member(zarr, found, path)
    return ZarrStore(path, mode, _numbers(found[key], path), group)


def _numbers(array: Any, path: str) -> Any:
    if np.dtype(array.dtype).kind not in "biufc":
        raise ValueError(f"{path!r} must hold numbers, got dtype {array.dtype}")
    return array


def _member(zarr: Any, group: Any, path: str) -> tuple[str, dict | None]:
    """The array that a group stands for, and what is known of it as an image of OME."""
    attributes = dict(group.attrs)
    images = _multiscales(attributes)
    if images:
        key = images[0]["datasets"][0]["path"]
        facts = {
            "path": key,
            "attributes": attributes,
            "axes": images[0].get("axes"),
        }
        return key, facts
    held = sorted(key for key, _ in group.arrays())
    if len(held) == 1:
        return held[0], None
    listed = ", ".join(f"{path}/{key}" for key in held) or "none"
    raise ValueError(f"{path!r} is a group of {len(held)} arrays, not one: {listed}")


def _multiscales(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """The images of OME-Zarr before version 0.5 and since."""
    inside = attributes.get("ome", attributes)
    return inside.get("multiscales", []) if isinstance(inside, dict) else []


def _axes(array: Any, group: dict | None) -> tuple[str, ...] | None:
    """Names of the axes: of OME, of format 3, or of xarray in format 2."""
    named = getattr(array.metadata, "dimension_names", None)
    if group is not None and group["axes"]:
        named = [
            axis["name"] if isinstance(axis, dict) else axis for axis in group["axes"]
        ]
    named = named or array.attrs.get("_ARRAY_DIMENSIONS")
    if not named or len(named) != len(array.shape) or not all(named):
        return None
    return tuple(map(str, named))


def create_array(
    path: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    chunks: tuple[int, ...] | None = None,
    axes: tuple[str, ...] | None = None,
    attributes: dict[str, Any] | None = None,
    like: Store | None = None,
) -> Store:
    """A new array in a new folder, which is an image of OME-Zarr if `like` is one."""
    zarr = optional("zarr", "a zarr store")
    place, inside = parted(path) or (path, "")
    if place.lower().endswith(".zip"):
        raise ValueError(f"{place!r}: zip files can only be read; write a .zarr folder")
    model = like if isinstance(like, ZarrStore) else None
    form = 3 if model is None else model._array.metadata.zarr_format
    if model is not None and model.group is not None and not inside:
        root = zarr.open_group(place, mode="w-", zarr_format=form)
        root.attrs.update(_one_scale(model.group["attributes"]))
        inside = model.group["path"]
    made = zarr.create_array(
        place,
        name=inside or None,
        shape=shape,
        dtype=dtype,
        chunks="auto" if chunks is None else chunks,
        zarr_format=form,
        attributes=attributes or {},
        dimension_names=axes if form == 3 else None,
    )
    return ZarrStore(path, "r+", made)


def _one_scale(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes of an image of OME-Zarr, of whose resolutions only the first stays."""
    inside = attributes.get("ome", attributes)
    image = dict(inside["multiscales"][0])
    image["datasets"] = image["datasets"][:1]
    changed = {**inside, "multiscales": [image]}
    return {**attributes, "ome": changed} if "ome" in attributes else changed
