"""The hot loops, one folder per kernel.

The docstring of a folder is the contract of its kernel. ``cpu.py`` has the form for
NumPy arrays, compiled by numba; ``cuda.cu`` and ``cuda.py`` have the CUDA source and
its launcher, with the same signatures. `load` returns the module of a kernel for an
array library.
"""

import importlib

import numpy as np

from .._core.arrays import cupy_module

KERNELS = (
    "circulant",
    "correlate",
    "differences",
    "givens",
    "poisson",
    "rows",
    "sweeps",
    "vectors",
    "windows",
)


def load(name: str, xp):
    """The module of kernel `name` for arrays of library `xp`."""
    if xp is np:
        form = "cpu"
    elif xp is not None and xp is cupy_module():
        form = "cuda"
    elif name in ("poisson", "vectors"):
        form = "array_api"
    else:
        raise TypeError(
            f"convolutions take NumPy or CuPy arrays, not arrays of "
            f"{getattr(xp, '__name__', xp)}"
        )
    return importlib.import_module(f"{__name__}.{name}.{form}")
