"""The hot loops, one triple of files per kernel.

``<name>_numba.py`` holds the contract (its docstring) and the CPU form, ``<name>.cu``
and ``<name>_cupy.py`` the CUDA source and its launcher with the same signatures.
`load` returns the module of a kernel for an array library.
"""

import importlib

import numpy as np

from .._array import cupy_module

KERNELS = ("circulant", "correlate", "rows", "vectors", "windows")


def load(name: str, xp):
    """The module of kernel `name` for arrays of library `xp`."""
    if xp is np:
        suffix = "numba"
    elif xp is not None and xp is cupy_module():
        suffix = "cupy"
    elif name == "vectors":
        suffix = "array_api"
    else:
        raise TypeError(
            f"convolutions take NumPy or CuPy arrays, not arrays of "
            f"{getattr(xp, '__name__', xp)}"
        )
    return importlib.import_module(f"{__name__}.{name}_{suffix}")
