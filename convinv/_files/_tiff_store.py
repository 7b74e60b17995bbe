"""Large arrays in TIFF files: mapped where they lie in one piece, else by tiles."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .._core.optional import optional
from ._flat_store import FlatStore, reserve
from ._store import Mode, Region, Store, native
from ._tiff import ORIENTATION

FORMS = (".tif", ".tiff")


class TiffStore(Store):
    """A compressed or tiled TIFF file through the view of tifffile, for reading."""

    def __init__(self, path: str, file: Any, series: Any):
        zarr = optional("zarr", "a compressed TIFF file read by regions")
        self.path, self.mode = path, "r"
        self._file = file
        self._array = zarr.open(series.aszarr(level=0), mode="r")
        self.shape, self.dtype = self._array.shape, np.dtype(series.dtype)
        self.dtype = self.dtype.newbyteorder("=")
        self.chunks = tuple(self._array.chunks)
        self.axes, self.attributes = tuple(series.axes), {}

    def __reduce__(self) -> tuple[Any, ...]:
        return open_array, (os.path.abspath(self.path), "r")

    def __getitem__(self, region: Region) -> np.ndarray:
        return native(self._array[region])

    def __setitem__(self, region: Region, values: Any) -> None:
        self._refuse_writing()

    def close(self) -> None:
        self._file.close()


def open_array(path: str, mode: Mode) -> Store:
    """The picture, stack or volume in a TIFF file."""
    tifffile = optional("tifffile", "a TIFF file")
    try:
        file = tifffile.TiffFile(path)
    except tifffile.TiffFileError as error:
        raise ValueError(f"no image can be read from {path!r}: {error}") from error
    try:
        series = _series(path, file)
        if series.dataoffset is None:
            if mode != "r":
                raise ValueError(
                    f"{path!r} is compressed or tiled, and can only be read by regions"
                )
            return TiffStore(path, file, series)
    except BaseException:
        file.close()
        raise
    with file:
        return FlatStore(
            path,
            mode,
            file=os.path.abspath(path),
            offset=series.dataoffset,
            shape=series.shape,
            dtype=series.dtype.newbyteorder(file.byteorder),
            axes=tuple(series.axes),
        )


def _series(path: str, file: Any) -> Any:
    """The one image of a file, refused where its samples are not those of a picture."""
    if len(file.series) != 1:
        raise ValueError(
            f"{path!r} holds {len(file.series)} images of different kinds or sizes, "
            "not one; save the one that is meant in a file of its own"
        )
    series = file.series[0]
    page = series.keyframe
    orientation = page.tags.get(ORIENTATION)
    photometric = getattr(page.photometric, "name", str(page.photometric))
    turned = orientation is not None and int(orientation.value) != 1
    if photometric not in ("MINISBLACK", "RGB") or turned:
        what = "is turned" if turned else f"holds samples of the kind {photometric}"
        raise ValueError(
            f"{path!r} {what}, which is not read by regions: save it upright in gray "
            "or RGB"
        )
    return series


def create_array(
    path: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    axes: tuple[str, ...] | None = None,
    **unused: Any,
) -> Store:
    """A new picture of zeros in one piece of a TIFF file."""
    tifffile = optional("tifffile", "a TIFF file")
    if dtype.kind not in "uifc":
        raise ValueError(f"a TIFF file can't hold dtype {dtype}")
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": {}}
    if axes is not None and all(len(name) == 1 for name in axes):
        options["metadata"] = {"axes": "".join(axes).upper()}
        if axes[-1] == "S":
            colors = shape[-1] in (3, 4)
            options["photometric"] = "rgb" if colors else "minisblack"
            options["planarconfig"] = "contig"
    made = tifffile.memmap(path, shape=shape, dtype=dtype, **options)
    del made
    reserve(path)
    return open_array(path, "r+")
