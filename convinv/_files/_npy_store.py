"""Large arrays in NumPy's files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ._arrays import load_array
from ._flat_store import FlatStore, reserve
from ._store import Mode, Store

FORMS = (".npy",)


def open_array(path: str, mode: Mode) -> Store:
    """The array in a ``.npy`` file."""
    array = load_array(path, mmap_mode="r")
    if not isinstance(array, np.memmap):
        raise ValueError(f"{path!r} holds no array that can be mapped; see numpy.save")
    return FlatStore(
        path,
        mode,
        file=os.path.abspath(path),
        offset=array.offset,
        shape=array.shape,
        dtype=array.dtype,
        fortran=not array.flags.c_contiguous,
    )


def create_array(
    path: str, shape: tuple[int, ...], dtype: np.dtype, **unused: Any
) -> Store:
    """A new array of zeros in a ``.npy`` file, whose chunks are its lines."""
    made = np.lib.format.open_memmap(path, "w+", dtype, shape)
    del made
    reserve(path)
    return open_array(path, "r+")
