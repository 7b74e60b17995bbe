"""Large arrays in HDF5 files: ``FILE.h5:/dataset``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from .._core.optional import optional
from ._flat_store import FlatStore, reserve
from ._store import Mode, Region, Store, native

FORMS = (".h5:/dataset", ".hdf5:/dataset")
NAME = re.compile(r"(?P<file>.*\.(?:h5|hdf5))(?::(?P<dataset>.*))?", re.IGNORECASE)


def parted(path: str) -> tuple[str, str] | None:
    """The file and the dataset ("" for the only one), or None for no such name."""
    match = NAME.fullmatch(path)
    return None if match is None else (match["file"], match["dataset"] or "")


def joined(file: str, dataset: str) -> str:
    """The name of a dataset in a file."""
    return f"{file}:{dataset}" if dataset else file


class Hdf5Store(Store):
    """A dataset, for reading."""

    def __init__(self, path: str, file: Any, dataset: Any):
        self.path, self.mode = path, "r"
        self._file, self._dataset = file, dataset
        self.shape = dataset.shape
        self.dtype = dataset.dtype.newbyteorder("=")
        self.chunks = dataset.chunks
        labels = tuple(one.label for one in dataset.dims)
        self.axes = labels if all(labels) else None
        self.attributes = dict(dataset.attrs)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_array, (os.path.abspath(self.path), "r")

    def __getitem__(self, region: Region) -> np.ndarray:
        return native(self._dataset[region])

    def __setitem__(self, region: Region, values: Any) -> None:
        self._refuse_writing()

    def close(self) -> None:
        self._file.close()


def open_array(path: str, mode: Mode) -> Store:
    """The dataset in an HDF5 file."""
    h5py = optional("h5py", "an HDF5 file")
    name, inside = parted(path) or (path, "")
    if not Path(name).is_file():
        raise FileNotFoundError(f"there is no file {name!r}")
    try:
        file = h5py.File(name, "r")
    except OSError as error:
        raise ValueError(f"{name!r} holds no HDF5: {error}") from error
    try:
        dataset = _dataset(h5py, file, name, inside)
        if mode == "r":
            return Hdf5Store(path, file, dataset)
        offset = dataset.id.get_offset()
        if offset is None:
            raise ValueError(
                f"{path!r} is chunked or compressed, and can only be read by regions"
            )
        found = FlatStore(
            path,
            mode,
            file=os.path.abspath(name),
            offset=offset,
            shape=dataset.shape,
            dtype=dataset.dtype,
            attributes=dict(dataset.attrs),
        )
    except BaseException:
        file.close()
        raise
    file.close()
    return found


def _dataset(h5py: Any, file: Any, name: str, inside: str) -> Any:
    """The dataset of numbers with a name, or the only one of the file."""
    held: list[str] = []
    file.visititems(
        lambda key, item: held.append(key) if isinstance(item, h5py.Dataset) else None
    )
    key = inside.strip("/")
    if not key and len(held) == 1:
        (key,) = held
    if key not in held:
        listed = ", ".join(f"{name}:/{one}" for one in held) or "none"
        what = f"no dataset {inside!r}" if key else "several datasets"
        raise ValueError(f"{name!r} holds {what if held else 'none'}; it has {listed}")
    found = file[key]
    if found.dtype.kind not in "biufc":
        raise ValueError(f"{name}:/{key} must hold numbers, got dtype {found.dtype}")
    return found


def create_array(
    path: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    axes: tuple[str, ...] | None = None,
    attributes: dict[str, Any] | None = None,
    **unused: Any,
) -> Store:
    """A new dataset of zeros in one piece of a new HDF5 file.

    All that HDF5 itself writes is written before the first number, which then go to
    their places in the file: a process that is killed leaves a file that can be read.
    """
    h5py = optional("h5py", "an HDF5 file")
    name, inside = parted(path) or (path, "")
    try:
        _write_head(h5py, name, inside, shape, dtype, axes, attributes)
    except RuntimeError as error:  # what h5py makes of a full disk at the end
        number = re.search(r"errno = (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), name) from error
    reserve(name)
    return open_array(path, "r+")


def _write_head(
    h5py: Any,
    name: str,
    inside: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    axes: tuple[str, ...] | None,
    attributes: dict[str, Any] | None,
) -> None:
    """Write a file with all but the numbers of a dataset."""
    with h5py.File(name, "x") as file:
        group, _, last = (inside.strip("/") or "data").rpartition("/")
        parent = file.require_group(group) if group else file
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        made = h5py.Dataset(
            h5py.h5d.create(
                parent.id,
                last.encode(),
                h5py.h5t.py_create(dtype, logical=True),
                h5py.h5s.create_simple(shape),
                early,
            )
        )
        for key, value in (attributes or {}).items():
            made.attrs[key] = value
        for dimension, label in zip(made.dims, axes or ()):
            dimension.label = label
