"""Checks of the circulant kernel's arguments, for both forms."""

import itertools
from typing import NamedTuple

import numpy as np

from ..._core.arrays import INEXACT


def frequencies(torus, dtype) -> tuple[int, int, int]:
    """The number of frequencies on each axis, as in rfftn, or fftn if complex."""
    depth, height, width = torus
    return depth, height, width if dtype.kind == "c" else width // 2 + 1


def check_blocks(blocks, torus, dtype):
    """``(torus, dtype)`` as a tuple of ints and a dtype, if `blocks` fits them."""
    dtype = np.dtype(dtype)
    if dtype not in INEXACT:
        raise TypeError(
            f"dtype must be float32, float64, complex64 or complex128, got {dtype}"
        )
    torus = tuple(int(n) for n in torus)
    if len(torus) != 3 or min(torus) < 1:
        raise ValueError(f"torus must be three positive ints, got {torus}")
    if not isinstance(blocks, np.ndarray):
        raise TypeError(f"blocks must be a NumPy array, got {type(blocks).__name__}")
    bins = frequencies(torus, dtype)
    if blocks.dtype != "complex128":
        raise TypeError(f"blocks must have dtype complex128, got {blocks.dtype}")
    if blocks.ndim != 6 or blocks.shape[3:] != bins or not all(blocks.shape[1:3]):
        raise ValueError(
            f"blocks must have shape (groups, p, q, {', '.join(map(str, bins))}) for "
            f"{dtype} data on the torus {torus}, got {blocks.shape}"
        )
    return torus, dtype


def check_grid(plan, v, grid):
    """`grid`, by default that of `v`, as a tuple of ints, if both fit the plan."""
    if v.dtype != plan.dtype:
        raise TypeError(f"v must have dtype {plan.dtype}, got {v.dtype}")
    expected = (plan.groups, plan.shape[1])
    if v.ndim != 6 or v.shape[1:3] != expected or not _fits(v.shape[3:], plan.torus):
        raise ValueError(
            f"v must have shape (B, {expected[0]}, {expected[1]}, *grid) with a grid "
            f"of at most {plan.torus}, got {v.shape}"
        )
    grid = v.shape[3:] if grid is None else tuple(int(n) for n in grid)
    if not _fits(grid, plan.torus):
        raise ValueError(f"grid must be three ints up to {plan.torus}, got {grid}")
    return grid


class Copy(NamedTuple):
    """Cells of channels ``phase * n`` to ``(phase + 1) * n``, and their places.

    n is the number of channels of the array that is read from or written to.
    """

    phase: int
    places: tuple  # slices of the array's axes
    cells: tuple  # slices of the torus


class Part(NamedTuple):
    """One application for `apply_parts`: what it reads and what it writes."""

    reads: tuple  # of Copy
    given: tuple  # cells per axis that may be read, from cell 0 on
    wanted: tuple  # slices of the result, to which the cells of `writes` are relative
    writes: tuple  # of Copy


def cut(plan, v, core, halo):
    """The tiles of the data as parts, if they fit the plan."""
    core, halo = tuple(map(int, core)), tuple(map(int, halo))
    if len(core) != 3 or len(halo) != 3 or min(core) < 1 or min(halo) < 0:
        raise ValueError(
            f"core and halo must be three ints from 1 and 0 on, got {core} and {halo}"
        )
    axes = []
    for c, h, n in zip(core, halo, v.shape[3:]):
        axis = []
        for first in range(0, n, c):
            start, last = max(first - h, 0), min(first + c, n)
            around = slice(start, min(last + h, n))
            wanted = slice(first - start, last - start)
            axis.append((around, around.stop - start, wanted, slice(first, last)))
        axes.append(axis)
    largest = [max(given for _, given, *_ in axis) for axis in axes]
    check_grid(plan, v[(..., *map(slice, largest))], None)
    parts = []
    for tile in itertools.product(*axes):
        around, given, wanted, place = zip(*tile)
        read = Copy(0, around, tuple(slice(0, n) for n in given))
        write = Copy(0, place, tuple(slice(p.stop - p.start) for p in place))
        parts.append(Part((read,), given, wanted, (write,)))
    return parts


def rows_of(plan, part):
    """The number of cells that a part has on the axes that are not transformed."""
    return tuple(n if t == 1 else 1 for n, t in zip(part.given, plan.torus))


def cells_of(z, count, rows):
    """`z`, of shape ``(count * rows, groups, channels, *torus)``, with rows as cells.

    On an axis where the torus has length 1, the rows take the place of its cells.
    """
    groups, channels, *torus = z.shape[1:]
    z = z.reshape((count, *rows, groups, channels, *torus))
    z = z.transpose(0, 4, 5, 1, 6, 2, 7, 3, 8)
    whole = slice(None)
    pairs = ((whole, 0) if t == 1 else (0, whole) for t in torus)
    return z[(whole, whole, whole, *(place for pair in pairs for place in pair))]


def read_part(part, v, cells):
    """Copy what a part reads of `v`, ``(B, groups, channels, *size)``, into `cells`."""
    channels = v.shape[2]
    every = tuple(slice(0, n) for n in part.given)
    full = all(to == every for _, _, to in part.reads)
    if full and len(part.reads) * channels == cells.shape[2]:
        d, h, w = part.given
        cells[:, :, :, d:] = 0
        cells[:, :, :, :d, h:] = 0
        cells[:, :, :, :d, :h, w:] = 0
    else:
        cells[...] = 0
    for phase, places, to in part.reads:
        at = slice(phase * channels, (phase + 1) * channels)
        cells[(slice(None), slice(None), at, *to)] = v[(..., *places)]


def write_part(part, cells, out):
    """Copy the wanted cells of a result to their places in `out`."""
    channels = out.shape[2]
    cells = cells[(..., *part.wanted)]
    for phase, places, of in part.writes:
        at = slice(phase * channels, (phase + 1) * channels)
        out[(..., *places)] = cells[(slice(None), slice(None), at, *of)]


def make_hermitian(blocks, torus):
    """Drop, in place, the part that `numpy.fft.irfftn` ignores; returns `blocks`.

    If the last frequency is 0 or in the middle, a frequency and its negative are both
    stored; only the mean of one and the conjugate of the other counts.
    """
    depth, height, width = torus
    d, h = -np.arange(depth) % depth, -np.arange(height) % height
    for last in (0,) if width % 2 else (0, width // 2):
        plane = blocks[..., last]
        plane += plane[..., d[:, None], h].conj()
        plane /= 2
    return blocks


def _fits(grid, torus):
    return len(grid) == 3 and all(1 <= n <= most for n, most in zip(grid, torus))
