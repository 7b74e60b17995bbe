"""Loading, checking and launching the CUDA kernels.

A ``.cu`` file is read as text, put behind ``common.cuh`` and compiled by CuPy for one
dtype, once per device. CuPy hands arguments to a kernel unchecked, so a launcher checks
its arrays here first: a wrong dtype or a view with gaps would be read as garbage.
"""

import functools
from importlib import resources

import numpy as np

from .._core.arrays import INEXACT, check_device

THREADS = 256  # of a block; common.cuh relies on it
BLOCKS = 2048  # of a grid over vectors: fills a device several times
RESIDENT = 4  # blocks that a multiprocessor holds of every kernel for vectors
MAX_X, MAX_YZ = 2**31 - 1, 65535  # largest grid on any device


def source(name: str) -> str:
    """The CUDA C++ text of ``name.cu``, a path in this folder, complete.

    ``name.cuh``, if there is one, is a part of it.
    """
    files = resources.files(__package__)
    parts = (
        files.joinpath(*file.split("/"))
        for file in ("common.cuh", f"{name}.cuh", f"{name}.cu")
    )
    return "\n".join(p.read_text(encoding="utf-8") for p in parts if p.is_file())


def options(dtype) -> tuple[str, ...]:
    """The compiler options for `dtype`."""
    dtype = np.dtype(dtype)
    if dtype not in INEXACT:
        raise TypeError(
            "CUDA kernels take float32, float64, complex64 and complex128 arrays, "
            f"not {dtype}"
        )
    real = "float" if dtype.name in ("float32", "complex64") else "double"
    scalar = ("-DCOMPLEX",) if dtype.kind == "c" else ()
    return ("-std=c++17", f"-DREAL={real}", *scalar)


def function(file: str, name: str, dtype, defines: tuple[str, ...] = ()):
    """Kernel `name` of ``file.cu`` for `dtype` on the current device.

    `defines` are passed to the compiler, for a file whose sizes the loader sets.
    """
    import cupy

    return _function(file, name, np.dtype(dtype), defines, cupy.cuda.Device().id)


@functools.cache
def _module(file, dtype, defines, device):
    import cupy

    return cupy.RawModule(code=source(file), options=(*options(dtype), *defines))


@functools.cache
def _function(file, name, dtype, defines, device):
    return _module(file, dtype, defines, device).get_function(name)


def forget() -> None:
    """Drop the compiled kernels."""
    _function.cache_clear()
    _multiprocessors.cache_clear()
    _module.cache_clear()


def wide(dtype) -> np.dtype:
    """The dtype of coefficients and of sums of dot products."""
    return np.dtype("complex128" if np.dtype(dtype).kind == "c" else "float64")


def check(name: str, array, dtype, shape=None) -> None:
    """Raise for an array that a kernel would misread."""
    import cupy

    if not isinstance(array, cupy.ndarray):
        raise TypeError(f"{name} must be a CuPy array, got {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{name} must have dtype {dtype}, got {array.dtype}")
    if shape is not None and array.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {array.shape}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")
    check_device(array, name)


@functools.cache
def _multiprocessors(device):
    import cupy

    return cupy.cuda.Device(device).attributes["MultiProcessorCount"]


def resident_blocks() -> int:
    """Blocks that the current device runs at once."""
    import cupy

    return RESIDENT * _multiprocessors(cupy.cuda.Device().id)


def vector_grid(n: int, batch: int) -> tuple[int, int]:
    """Blocks for `batch` vectors of `n` elements, four or more to a thread."""
    return min(max(-(-n // (4 * THREADS)), 1), BLOCKS), min(batch, MAX_YZ)


def image_grid(columns: int, rows: int, planes: int):
    """``(grid, block)`` for images: threads along a row, then over rows.

    A block is a warp wide and, with enough rows, 8 rows high: neighbors along a column
    then read mostly the same samples.
    """
    width = min(power_of_two(columns), THREADS)
    width = min(width, max(32, THREADS // power_of_two(rows)))
    height = THREADS // width
    grid = (
        min(-(-columns // width), MAX_X),
        min(-(-rows // height), MAX_YZ),
        min(planes, MAX_YZ),
    )
    return grid, (width, height)


def launch(kernel, grid, block, *args, shared: int = 0) -> None:
    """Launch on the current stream; every Python integer becomes 64 bits wide.

    `shared` is the number of bytes of dynamic shared memory.
    """
    if min(grid) > 0:
        kernel(
            grid,
            block,
            tuple(np.int64(a) if isinstance(a, int) else a for a in args),
            shared_mem=shared,
        )


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least `n`."""
    return 1 << max(n - 1, 0).bit_length()
