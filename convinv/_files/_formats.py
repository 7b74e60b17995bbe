"""Pictures in files of any format, by the end of the file's name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import numpy as np

from . import _jpeg, _pillow, _png, _tiff
from ._arrays import SUFFIXES as ARRAYS, load_array
from ._picture import Picture
from ._whole import check_free, written_whole

TIFF = (".tif", ".tiff")
WRITERS = {
    ".png": _png,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    **dict.fromkeys(TIFF, _tiff),
}


def read(path: str | os.PathLike[str]) -> Picture:
    """The picture, stack or volume in a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no picture, several, or one that can't be read in full.
    ImportError
        Without the package that reads it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    suffix = path.suffix.lower()
    if suffix in ARRAYS:
        return Picture(load_array(path))
    reader = _tiff if _is_tiff(path) else _pillow
    try:
        return reader.read(path)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # whatever the reader of the format raises
        if isinstance(error, ValueError) and repr(str(path)) in str(error):
            raise  # its message is about this file
        raise ValueError(
            f"no image can be read from {str(path)!r}: {error or type(error).__name__}"
        ) from error


def _is_tiff(path: Path) -> bool:
    """Whether a file begins as TIFF and BigTIFF files do."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def check_output(
    path: str | os.PathLike[str], picture: Picture, force: bool = False
) -> None:
    """Raise if `write` would, before any work."""
    check_free(path, force)
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        return
    if suffix not in WRITERS:
        raise ValueError(
            f"{os.fspath(path)!r} must end in one of {', '.join(WRITERS)}, .npy"
        )
    try:
        WRITERS[suffix].check(picture)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r}: {error}") from None


def write(path: str | os.PathLike[str], picture: Picture, force: bool = False) -> None:
    """Write a picture whole or not at all, without loss but for JPEG."""
    check_output(path, picture, force)
    suffix = Path(path).suffix.lower()
    with written_whole(path, force) as file:
        _write(file, picture, suffix)


def _write(file: IO, picture: Picture, suffix: str) -> None:
    if suffix == ".npy":
        axis = picture.metadata.get("array", {}).get("channel_axis", -1)
        samples = picture.interleaved()
        np.save(file, np.moveaxis(samples, -1, axis) if axis != -1 else samples)
    else:
        WRITERS[suffix].write(file, picture)
