"""Arrays in NumPy's files."""

from __future__ import annotations

import os
import zipfile
from typing import Literal

import numpy as np

SUFFIXES = (".npy", ".npz")
MAGIC = b"\x93NUMPY"  # the first bytes of a file with one array


def load_array(
    path: str | os.PathLike[str], mmap_mode: Literal["r"] | None = None
) -> np.ndarray:
    """The array of numbers in a ``.npy`` file, or in a ``.npz`` file with one array.

    Raises ValueError for anything else.
    """
    name = repr(os.fspath(path))
    arrays = load_arrays(path, mmap_mode)
    if len(arrays) != 1:
        listed = ", ".join(map(repr, arrays)) or "none"
        raise ValueError(f"{name} holds {len(arrays)} arrays ({listed}), not one")
    (found,) = arrays.values()
    if found.dtype.kind not in "biufc":
        raise ValueError(f"{name} must hold numbers, got dtype {found.dtype}")
    return found


def load_arrays(
    path: str | os.PathLike[str], mmap_mode: Literal["r"] | None = None
) -> dict[str, np.ndarray]:
    """The arrays in a ``.npy`` or ``.npz`` file by name; the one of the former has "".

    Raises FileNotFoundError, or ValueError for a file of another kind.
    """
    name = repr(os.fspath(path))
    try:
        with open(path, "rb") as file:
            if mmap_mode and file.read(len(MAGIC)) == MAGIC:
                return {"": np.load(path, mmap_mode=mmap_mode, allow_pickle=False)}
            file.seek(0)
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, np.lib.npyio.NpzFile):
                return {"": found}
            return {key: found[key] for key in found.files}
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {name}") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{name} holds no array; see numpy.save") from error
