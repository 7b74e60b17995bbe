"""Separable windows on grids of NumPy arrays: extract them, and put them back."""

import math

import numpy as np

from ..._core.threads import parallel_for
from ..jit import jit


def gather(grid, tables, which):
    batch, channels = grid.shape[:2]
    rows = math.prod(table.shape[1] for table in tables)
    values = np.empty((which.size, batch, channels * rows), grid.dtype)
    tasks = which.size * batch * channels
    parallel_for(_gather, tasks, values.size, grid, values, which, *tables)
    return values


def scatter(values, tables, window, grid):
    if not 0 <= window < math.prod(table.shape[0] for table in tables):
        raise ValueError(f"there is no window {window}")
    parallel_for(
        _scatter, values.shape[0], values.size, values, grid, int(window), *tables
    )


def combine(values, tables, covers, shape, mode):
    if mode not in ("overwrite", "average"):
        raise ValueError(f"mode must be 'overwrite' or 'average', got {mode!r}")
    grid = np.empty(shape, values.dtype)
    (windows_h, n_h), (windows_w, n_w) = (table.shape for table in tables[1:])
    sizes = (windows_h, windows_w, tables[0].shape[1], n_h, n_w)
    tasks = math.prod(shape[:4])
    arrays = (array for cover in covers for array in cover)
    kernel = _average if mode == "average" else _overwrite
    parallel_for(
        kernel, tasks, max(values.size, grid.size), values, grid, sizes, *arrays
    )
    return grid


@jit
def _run_of(table):
    """The first sample of a row of a table if it is one run of samples, else -1."""
    first = table[0]
    for i in range(table.size):
        if table[i] != first + i:
            return -1
    return first


@jit
def _gather(start, stop, grid, values, which, table_d, table_h, table_w):
    batch, channels = grid.shape[0], grid.shape[1]
    n_d, n_h, n_w = table_d.shape[1], table_h.shape[1], table_w.shape[1]
    for task in range(start, stop):
        c = task % channels
        b = task // channels % batch
        window = which[task // (channels * batch)]
        rows = values[task // (channels * batch), b]
        columns = table_w[window % table_w.shape[0]]
        window //= table_w.shape[0]
        at_d = table_d[window // table_h.shape[0]]
        at_h = table_h[window % table_h.shape[0]]
        first = _run_of(columns)
        for row in range(n_d * n_h):
            d, h = at_d[row // n_h], at_h[row % n_h]
            out = rows[(c * n_d * n_h + row) * n_w :][:n_w]
            if d < 0 or h < 0:
                out[:] = 0
                continue
            source = grid[b, c, d, h]
            if first >= 0:
                out[:] = source[first : first + n_w]
                continue
            for w in range(n_w):
                out[w] = source[columns[w]] if columns[w] >= 0 else 0


@jit
def _scatter(start, stop, values, grid, window, table_d, table_h, table_w):
    channels = grid.shape[1]
    n_d, n_h, n_w = table_d.shape[1], table_h.shape[1], table_w.shape[1]
    columns = table_w[window % table_w.shape[0]]
    window //= table_w.shape[0]
    at_d = table_d[window // table_h.shape[0]]
    at_h = table_h[window % table_h.shape[0]]
    first = _run_of(columns)
    for b in range(start, stop):
        for row in range(channels * n_d * n_h):
            d, h = at_d[row // n_h % n_d], at_h[row % n_h]
            if d < 0 or h < 0:
                continue
            source = values[b, row * n_w : (row + 1) * n_w]
            target = grid[b, row // (n_d * n_h), d, h]
            if first >= 0:
                target[first : first + n_w] = source
                continue
            for w in range(n_w):
                if columns[w] >= 0:
                    target[columns[w]] = source[w]


@jit
def _overwrite(
    start, stop, values, grid, sizes,
    start_d, window_d, position_d, start_h, window_h, position_h,
    start_w, window_w, position_w,
):  # fmt: skip
    windows_h, windows_w, n_d, n_h, n_w = sizes
    channels, depth, height, width = grid.shape[1:]
    for task in range(start, stop):
        h = task % height
        d = task // height % depth
        c = task // (height * depth) % channels
        b = task // (height * depth * channels)
        out = grid[b, c, d, h]
        f, g = start_d[d + 1] - 1, start_h[h + 1] - 1
        if f < start_d[d] or g < start_h[h]:
            out[:] = 0
            continue
        row = ((c * n_d + position_d[f]) * n_h + position_h[g]) * n_w
        window = (window_d[f] * windows_h + window_h[g]) * windows_w
        for w in range(width):
            f = start_w[w + 1] - 1
            if f < start_w[w]:
                out[w] = 0
            else:
                out[w] = values[window + window_w[f], b, row + position_w[f]]


@jit
def _average(
    start, stop, values, grid, sizes,
    start_d, window_d, position_d, start_h, window_h, position_h,
    start_w, window_w, position_w,
):  # fmt: skip
    windows_h, windows_w, n_d, n_h, n_w = sizes
    channels, depth, height, width = grid.shape[1:]
    for task in range(start, stop):
        h = task % height
        d = task // height % depth
        c = task // (height * depth) % channels
        b = task // (height * depth * channels)
        out = grid[b, c, d, h]
        out[:] = 0
        for f in range(start_d[d], start_d[d + 1]):
            for g in range(start_h[h], start_h[h + 1]):
                row = ((c * n_d + position_d[f]) * n_h + position_h[g]) * n_w
                window = (window_d[f] * windows_h + window_h[g]) * windows_w
                for w in range(width):
                    for e in range(start_w[w], start_w[w + 1]):
                        out[w] += values[window + window_w[e], b, row + position_w[e]]
        rows = (start_d[d + 1] - start_d[d]) * (start_h[h + 1] - start_h[h])
        for w in range(width):
            count = rows * (start_w[w + 1] - start_w[w])
            if count > 1:
                out[w] /= count
