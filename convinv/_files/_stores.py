"""Stores of large arrays, by the end of the file's name."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from . import _hdf5_store, _npy_store, _tiff_store, _zarr_store
from ._store import Mode, Store

KINDS: tuple[ModuleType, ...] = (_zarr_store, _npy_store, _tiff_store, _hdf5_store)
FORMS = tuple(form for kind in KINDS for form in kind.FORMS)


def open_store(path: str | os.PathLike[str], mode: Mode = "r") -> Store:
    """The array in a file or folder, to be read by regions, and written with "r+".

    Parameters
    ----------
    path : str or path
        ``NAME.zarr``, ``NAME.zarr/array`` or ``NAME.zarr.zip``, ``.npy``, ``.tif`` or
        ``.tiff``, ``NAME.h5:/dataset`` or ``NAME.hdf5:/dataset``. The name inside may
        be left out where there is one array, or an image of OME-Zarr.
    mode : {"r", "r+"}

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If its kind is not known, or it holds no array of numbers or several.
    ImportError
        Without the package that reads it.
    """
    path = os.fspath(path)
    kind = _kind(path)
    if kind in (_npy_store, _tiff_store) and not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path!r}")
    return kind.open_array(path, mode)


def create_store(
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    dtype: DTypeLike,
    chunks: tuple[int, ...] | None = None,
    like: Store | None = None,
) -> Store:
    """A new array of zeros in a new file or folder, of a kind by its name.

    Parameters
    ----------
    path : str or path
        As `open_store` has it; what is there already is refused.
    shape : tuple of int
    dtype : dtype
    chunks : tuple of int, optional
        For zarr; the other kinds keep lines together. By default those of `like`.
    like : Store, optional
        Whose attributes, names of axes, and format, if both are of zarr, it gets.

    Raises
    ------
    FileExistsError, ValueError, ImportError, OSError
        The last also for a full disk, before anything is written to the array.
    """
    path, shape, dtype = os.fspath(path), tuple(map(int, shape)), np.dtype(dtype)
    kind = _kind(path)
    target = file_of(path)
    if target.exists():
        raise FileExistsError(f"{str(target)!r} exists")
    options: dict[str, Any] = {}
    if like is not None and len(like.shape) == len(shape):
        options = {"axes": like.axes, "attributes": like.attributes}
        chunks = like.chunks if chunks is None else chunks
    if chunks is not None:
        chunks = tuple(max(min(c, n), 1) for c, n in zip(chunks, shape, strict=True))
    return kind.create_array(path, shape, dtype, chunks=chunks, like=like, **options)


def is_large(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a file that is read by regions only: zarr, HDF5."""
    return any(kind.parted(os.fspath(path)) for kind in (_zarr_store, _hdf5_store))


def file_of(path: str | os.PathLike[str]) -> Path:
    """The file or folder that a name of `open_store` is in."""
    path = os.fspath(path)
    for kind in (_zarr_store, _hdf5_store):
        found = kind.parted(path)
        if found is not None:
            return Path(found[0])
    return Path(path)


def is_inside(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of an array inside a file or folder with others."""
    path = os.fspath(path)
    found = _zarr_store.parted(path)
    return bool(found and found[1]) or _hdf5_store.parted(path) is not None


def moved(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """The same name in another folder."""
    for kind in (_zarr_store, _hdf5_store):
        found = kind.parted(os.fspath(path))
        if found is not None:
            return kind.joined(os.fspath(Path(folder) / Path(found[0]).name), found[1])
    return os.fspath(Path(folder) / Path(path).name)


def _kind(path: str) -> ModuleType:
    for kind in (_zarr_store, _hdf5_store):
        if kind.parted(path) is not None:
            return kind
    for kind in (_npy_store, _tiff_store):
        if path.lower().endswith(kind.FORMS):
            return kind
    raise ValueError(
        f"{path!r} is no array that can be read by regions: its name must end in one "
        f"of {', '.join(FORMS)}"
    )
