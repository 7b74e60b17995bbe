"""An array in one piece of a file, by memory map: .npy, plain TIFF, contiguous HDF5."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np

from ._store import Mode, Region, Store, native

BLOCK = 2**22  # bytes that are written at once where space can't be reserved


class FlatStore(Store):
    """Numbers one after the other from a place in a file on.

    Disjoint regions may be written by several threads and processes of one machine at
    the same time.
    """

    def __init__(
        self,
        path: str,
        mode: Mode,
        *,
        file: str,
        offset: int,
        shape: tuple[int, ...],
        dtype: Any,
        fortran: bool = False,
        axes: tuple[str, ...] | None = None,
        attributes: dict[str, Any] | None = None,
    ):
        self.path, self.mode = path, mode
        self.shape = tuple(map(int, shape))
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.axes, self.attributes = axes, attributes or {}
        self._place: dict[str, Any] = {
            "file": file,
            "offset": offset,
            "shape": self.shape,
            "dtype": np.dtype(dtype).str,
            "fortran": fortran,
            "axes": axes,
            "attributes": self.attributes,
        }
        order: Any = "F" if fortran else "C"
        self._map = np.memmap(file, dtype, mode, offset, self.shape, order)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.path, self.mode, self._place)

    def __getitem__(self, region: Region) -> np.ndarray:
        return native(self._map[region])

    def __setitem__(self, region: Region, values: Any) -> None:
        self._refuse_writing()
        self._map[region] = values

    def flush(self) -> None:
        if self.mode != "r":
            self._map.flush()


def _reopened(path: str, mode: Mode, place: dict[str, Any]) -> FlatStore:
    return FlatStore(path, mode, **place)


def reserve(file: str | os.PathLike[str]) -> None:
    """Give a file that was made longer the space for its length.

    A full disk is so met here, as an OSError. Writing to a memory map without space
    would end the process.
    """
    size = Path(file).stat().st_size
    with open(file, "r+b") as opened:
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(opened.fileno(), 0, size)
                return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise
        _rewrite(opened, size)


def _rewrite(opened: Any, size: int) -> None:
    """Write what is there once more, where the file system reserves no space."""
    for start in range(0, size, BLOCK):
        opened.seek(start)
        held = opened.read(min(BLOCK, size - start))
        opened.seek(start)
        opened.write(held)
    opened.flush()
    os.fsync(opened.fileno())
