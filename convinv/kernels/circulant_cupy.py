"""A matrix at every frequency of a torus, applied to grids of CuPy arrays.

The contract is that of `circulant_numba`.
"""

import math

import cupy
import numpy as np

from . import _cuda
from ._circulant import check_blocks, check_grid, cut, make_hermitian


class Plan:
    """The blocks on the current device."""

    def __init__(self, blocks, torus, dtype):
        self.torus, self.dtype = check_blocks(blocks, torus, dtype)
        self.groups, self.shape = blocks.shape[0], blocks.shape[1:3]
        self.complex = np.result_type(self.dtype, np.complex64)
        if self.dtype.kind == "f":
            blocks = make_hermitian(blocks.copy(), self.torus)
        blocks = np.ascontiguousarray(blocks, dtype=self.complex)
        self.blocks = cupy.asarray(blocks)
        self.nbytes = blocks.nbytes


def prepare(blocks, torus, dtype):
    return Plan(blocks, torus, dtype)


def apply(plan, v, grid=None):
    grid = check_grid(plan, v, grid)
    _cuda.check("v", v, plan.dtype)
    spectrum = _multiply(plan, cupy.ascontiguousarray(_forward(plan, v)))
    out = _backward(plan, spectrum)[:, :, :, : grid[0], : grid[1], : grid[2]]
    return cupy.ascontiguousarray(out)


def apply_tiles(plan, v, core, halo):
    """All tiles as one batch."""
    tiles, batch = cut(plan, v, core, halo), v.shape[0]
    _cuda.check("v", v, plan.dtype)
    size = [min(c + 2 * h, n) for c, h, n in zip(core, halo, v.shape[3:])]
    stack = cupy.zeros((len(tiles) * batch, *v.shape[1:3], *size), v.dtype)
    out = cupy.empty((*v.shape[:2], plan.shape[0], *v.shape[3:]), v.dtype)
    every = slice(None)
    for i, (around, _, _) in enumerate(tiles):
        part = stack[i * batch : (i + 1) * batch]
        part[(every, every, every, *(slice(a.stop - a.start) for a in around))] = v[
            (..., *around)
        ]
    solved = apply(plan, stack)
    for i, (_, inside, place) in enumerate(tiles):
        part = solved[i * batch : (i + 1) * batch]
        cells = (slice(a, a + p.stop - p.start) for a, p in zip(inside, place))
        out[(every, every, every, *place)] = part[(every, every, every, *cells)]
    return out


def _axes(plan):
    """The axes to transform, and the lengths of the torus along them."""
    axes = tuple(axis for axis in (3, 4, 5) if plan.torus[axis - 3] > 1)
    return tuple(plan.torus[axis - 3] for axis in axes), axes


def _halved(plan):
    """Whether half of the frequencies of the last axis stand for all."""
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
    _cuda.check("v", v, plan.complex)
    out = cupy.empty((batch, groups, p, *bins), dtype=plan.complex)
    grid = (
        min(-(-count // _cuda.THREADS), _cuda.MAX_X),
        min(batch * groups, _cuda.MAX_YZ),
    )
    _cuda.launch(
        _cuda.function("circulant", "multiply", plan.complex),
        grid,
        (_cuda.THREADS,),
        *(plan.blocks, v, out, batch, groups, p, q, count),
    )
    return out
