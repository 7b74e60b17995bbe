"""Separable windows on CuPy arrays; the contract is that of `windows_numba`."""

import math

import cupy

from . import _cuda


def gather(grid, tables, which):
    batch, channels = _check_grid(grid)
    elements = _check_tables(tables, channels)
    _cuda.check("which", which, "int64", (which.size,))
    values = cupy.empty((which.size, batch, elements), dtype=grid.dtype)
    _cuda.launch(
        _cuda.function("windows", "gather", grid.dtype),
        (min(which.size * batch, _cuda.MAX_X),),
        (_cuda.THREADS,),
        *(grid, values, which, which.size),
        *(*grid.shape, *_sizes(tables)),
    )
    return values


def scatter(values, tables, window, grid):
    batch, channels = _check_grid(grid)
    elements = _check_tables(tables, channels)
    _cuda.check("values", values, grid.dtype, (batch, elements))
    if not 0 <= window < math.prod(table.shape[0] for table in tables):
        raise ValueError(f"there is no window {window}")
    _cuda.launch(
        _cuda.function("windows", "scatter", grid.dtype),
        (min(batch, _cuda.MAX_X),),
        (_cuda.THREADS,),
        *(values, grid, int(window)),
        *(*grid.shape, *_sizes(tables)),
    )


def combine(values, tables, covers, shape, mode):
    if mode not in ("overwrite", "average"):
        raise ValueError(f"mode must be 'overwrite' or 'average', got {mode!r}")
    batch, channels, *size = shape
    count = math.prod(table.shape[0] for table in tables)
    elements = _check_tables(tables, channels)
    _cuda.check("values", values, values.dtype, (count, batch, elements))
    for n, (start, window, position) in zip(size, covers):
        _cuda.check("start", start, "int64", (n + 1,))
        _cuda.check("window", window, "int64", (window.size,))
        _cuda.check("position", position, "int64", (window.size,))
    grid = cupy.empty(tuple(shape), dtype=values.dtype)
    blocks, block = _cuda.image_grid(size[2], size[0] * size[1], batch * channels)
    _cuda.launch(
        _cuda.function("windows", "combine", values.dtype),
        blocks,
        block,
        *(values, grid, int(mode == "average"), *shape),
        *(array for arrays in zip(*covers) for array in arrays),
        *(table.shape[0] for table in tables),
        *(table.shape[1] for table in tables),
    )
    return grid


def _check_grid(grid):
    _cuda.check("grid", grid, grid.dtype)
    if grid.ndim != 5:
        raise ValueError(f"grid must have shape (B, C, D, H, W), got {grid.shape}")
    return grid.shape[:2]


def _check_tables(tables, channels):
    """Elements of a window."""
    for table in tables:
        _cuda.check("table", table, "int64")
    elements = channels * math.prod(table.shape[1] for table in tables)
    if elements >= 2**31:
        raise ValueError(f"windows must have under 2**31 elements, got {elements}")
    return elements


def _sizes(tables):
    """The arguments that every kernel takes for `tables`."""
    (_, d), (rows, h), (columns, w) = (table.shape for table in tables)
    return (*tables, rows, columns, d, h, w)
