"""A matrix at every frequency of a torus, applied to grids of CuPy arrays.

The contract is that of `kernels.circulant`.
"""

import math

import cupy
import numpy as np

from ..._core.arrays import check_device, settled
from .. import launcher
from .arguments import (
    cells_of,
    check_blocks,
    check_grid,
    cut,
    make_hermitian,
    read_part,
    rows_of,
    write_part,
)

ROWS = 4  # of a product that a thread makes
SEVERAL = {"complex64": 4, "complex128": 2}  # items that it makes them for
STACK = 2**28  # bytes of the parts that are transformed together


class Plan:
    """The blocks on the current device."""

    def __init__(self, blocks, torus, dtype):
        self.torus, self.dtype = check_blocks(blocks, torus, dtype)
        self.groups, self.shape = blocks.shape[0], blocks.shape[1:3]
        self.complex = np.result_type(self.dtype, np.complex64)
        if self.dtype.kind == "f":
            blocks = make_hermitian(blocks.copy(), self.torus)
        blocks = np.ascontiguousarray(blocks, dtype=self.complex)
        self.blocks = settled(cupy.asarray(blocks), cupy)
        self.nbytes = blocks.nbytes


def prepare(blocks, torus, dtype):
    return Plan(blocks, torus, dtype)


def apply(plan, v, grid=None, out=None):
    """Apply the plan to as many items together as fit into `STACK`."""
    grid = check_grid(plan, v, grid)
    launcher.check("v", v, plan.dtype)
    cells = (..., *(slice(n) for n in grid))
    batch, size = v.shape[0], max(STACK // _item_bytes(plan), 1)
    if out is None and batch <= size:
        return cupy.ascontiguousarray(_applied(plan, v)[cells])
    if out is None:
        out = cupy.empty((*v.shape[:2], plan.shape[0], *grid), dtype=v.dtype)
    for first in range(0, batch, size):
        out[first : first + size] = _applied(plan, v[first : first + size])[cells]
    return out


def apply_parts(plan, v, out, parts):
    """Apply the plan to as many parts and items together as fit into `STACK`."""
    room, waiting, used = max(STACK // _item_bytes(plan), 1), [], 0
    for part in parts:
        rows = math.prod(rows_of(plan, part))
        size = max(room // rows, 1)
        for first in range(0, v.shape[0], size):
            last = min(first + size, v.shape[0])
            if used + (last - first) * rows > room and waiting:
                _stacked(plan, v, out, waiting)
                waiting, used = [], 0
            waiting.append((part, slice(first, last)))
            used += (last - first) * rows
    if waiting:
        _stacked(plan, v, out, waiting)


def _stacked(plan, v, out, pieces):
    """Apply parts to items, all as one batch."""
    starts = [0]
    for part, items in pieces:
        count = (items.stop - items.start) * math.prod(rows_of(plan, part))
        starts.append(starts[-1] + count)
    stack = cupy.empty((starts[-1], plan.groups, plan.shape[1], *plan.torus), v.dtype)

    def each(stack):
        for (part, items), start, stop in zip(pieces, starts, starts[1:]):
            count = items.stop - items.start
            yield part, items, cells_of(stack[start:stop], count, rows_of(plan, part))

    for part, items, cells in each(stack):
        read_part(part, v[items], cells)
    for part, items, cells in each(_applied(plan, stack)):
        write_part(part, cells, out[items])


def apply_tiles(plan, v, core, halo):
    parts = cut(plan, v, core, halo)
    launcher.check("v", v, plan.dtype)
    out = cupy.empty((*v.shape[:2], plan.shape[0], *v.shape[3:]), dtype=v.dtype)
    apply_parts(plan, v, out, parts)
    return out


def _applied(plan, v):
    """The results on the whole torus."""
    return _backward(plan, _multiply(plan, cupy.ascontiguousarray(_forward(plan, v))))


def scratch_bytes(groups, shape, torus, dtype, batch):
    """Samples and spectra of the items that run together, and cuFFT's own memory."""
    item = groups * max(shape) * math.prod(torus) * np.dtype(dtype).itemsize
    return 6 * item * min(batch, max(STACK // item, 1))


def _item_bytes(plan):
    """Bytes of one item on the torus."""
    samples = plan.groups * max(plan.shape) * math.prod(plan.torus)
    return samples * plan.dtype.itemsize


def _axes(plan):
    """The axes to transform, and the lengths of the torus along them."""
    axes = tuple(axis for axis in (3, 4, 5) if plan.torus[axis - 3] > 1)
    return tuple(plan.torus[axis - 3] for axis in axes), axes


def _halved(plan):
    """Whether half of the frequencies of the last axis determine all."""
    return plan.dtype.kind == "f" and plan.torus[2] > 1


def _forward(plan, v):
    import cupyx.scipy.fft as fft

    size, axes = _axes(plan)
    if _halved(plan):
        return fft.rfftn(v, size, axes)
    v = v.astype(plan.complex)
    return fft.fftn(v, size, axes, overwrite_x=True) if axes else v


def _backward(plan, spectrum):
    import cupyx.scipy.fft as fft

    size, axes = _axes(plan)
    if _halved(plan):
        return fft.irfftn(spectrum, size, axes, overwrite_x=True)
    if axes:
        spectrum = fft.ifftn(spectrum, size, axes, overwrite_x=True)
    return spectrum if plan.dtype.kind == "c" else spectrum.real


def _multiply(plan, v):
    batch, groups = v.shape[:2]
    (p, q), bins = plan.shape, v.shape[3:]
    count = math.prod(bins)
    check_device(plan.blocks, "the plan")
    launcher.check("v", v, plan.complex)
    out = cupy.empty((batch, groups, p, *bins), dtype=plan.complex)
    several = SEVERAL[plan.complex.name] if batch > 1 else 1
    grid = (
        min(-(-count // launcher.THREADS), launcher.MAX_X),
        min(-(-batch // several) * groups, launcher.MAX_YZ),
        min(-(-p // ROWS), launcher.MAX_YZ),
    )
    name = "multiply_several" if several > 1 else "multiply_one"
    launcher.launch(
        launcher.function("circulant/cuda", name, plan.complex),
        grid,
        (launcher.THREADS,),
        *(plan.blocks, v, out, batch, groups, p, q, count),
    )
    return out
