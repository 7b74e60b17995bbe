"""Separable windows on CuPy arrays; the contract is that of `kernels.windows`."""

import math

import cupy

from .. import launcher


def gather(grid, tables, which):
    batch, channels = _check_grid(grid)
    elements = _check_tables(tables, channels)
    launcher.check("which", which, "int64", (which.size,))
    values = cupy.empty((which.size, batch, elements), dtype=grid.dtype)
    launcher.launch(
        launcher.function("windows/cuda", "gather", grid.dtype),
        (min(which.size * batch, launcher.MAX_X),),
        (launcher.THREADS,),
        *(grid, values, which, which.size),
        *(*grid.shape, *_sizes(tables)),
    )
    return values


def scatter(values, tables, window, grid):
    batch, channels = _check_grid(grid)
    elements = _check_tables(tables, channels)
    launcher.check("values", values, grid.dtype, (batch, elements))
    if not 0 <= window < math.prod(table.shape[0] for table in tables):
        raise ValueError(f"there is no window {window}")
    launcher.launch(
        launcher.function("windows/cuda", "scatter", grid.dtype),
        (min(batch, launcher.MAX_X),),
        (launcher.THREADS,),
        *(values, grid, int(window)),
        *(*grid.shape, *_sizes(tables)),
    )


def combine(values, tables, covers, shape, mode):
    if mode not in ("overwrite", "average"):
        raise ValueError(f"mode must be 'overwrite' or 'average', got {mode!r}")
    batch, channels, *size = shape
    count = math.prod(table.shape[0] for table in tables)
    elements = _check_tables(tables, channels)
    launcher.check("values", values, values.dtype, (count, batch, elements))
    for n, (start, window, position) in zip(size, covers):
        launcher.check("start", start, "int64", (n + 1,))
        launcher.check("window", window, "int64", (window.size,))
        launcher.check("position", position, "int64", (window.size,))
    grid = cupy.empty(tuple(shape), dtype=values.dtype)
    blocks, block = launcher.image_grid(size[2], size[0] * size[1], batch * channels)
    launcher.launch(
        launcher.function("windows/cuda", "combine", values.dtype),
        blocks,
        block,
        *(values, grid, int(mode == "average"), *shape),
        *(array for arrays in zip(*covers) for array in arrays),
        *(table.shape[0] for table in tables),
        *(table.shape[1] for table in tables),
    )
    return grid


def _check_grid(grid):
    launcher.check("grid", grid, grid.dtype)
    if grid.ndim != 5:
        raise ValueError(f"grid must have shape (B, C, D, H, W), got {grid.shape}")
    return grid.shape[:2]


def _check_tables(tables, channels):
    """Elements of a window."""
    for table in tables:
        launcher.check("table", table, "int64")
    elements = channels * math.prod(table.shape[1] for table in tables)
    if elements >= 2**31:
        raise ValueError(f"windows must have under 2**31 elements, got {elements}")
    return elements


def _sizes(tables):
    """The arguments that every kernel takes for `tables`."""
    (_, d), (rows, h), (columns, w) = (table.shape for table in tables)
    return (*tables, rows, columns, d, h, w)
