"""Row and column actions on CuPy arrays; the contract is that of `kernels.rows`.

Sweeps in the caller's order run on one warp per item, one row after the other. Sweeps
over pixels and samples have a warp for each pixel or sample of a color.
"""

import cupy
import numpy as np

from ..._core.arrays import check_device, settled
from .. import launcher
from .tables import Plan as Tables


class Plan:
    """The tables of `kernels.rows.tables` on the device."""

    def __init__(self, kernel, geometry):
        g = self.geometry = geometry
        shape = (g.c_out, g.c_in // g.groups, *g.kernel)
        launcher.check("kernel", kernel, kernel.dtype, shape)
        launcher.options(kernel.dtype)
        tables = Tables(kernel.get(), g)
        self.dtype, self.real = kernel.dtype, tables.real
        put = cupy.asarray
        self.layer = (
            put(tables.weights), g.groups, tables.channels, g.c_out // g.groups,
            tables.taps, tables.width, *g.input, *g.output, *g.kernel[1:],
        )  # fmt: skip
        offsets = put(tables.offsets.astype(np.int64))
        self.rows = (offsets, *map(put, (*tables.start, *tables.table)))
        single = map(_single, tables.begin, tables.output)
        lists = (*tables.begin, *tables.output, *tables.tap, *single)
        self.columns = settled(tuple(map(put, lists)), cupy)


def prepare(kernel, geometry):
    if geometry is None:
        raise TypeError("rows of matrices are taken from the host only")
    return Plan(kernel, geometry)


def row_sweep(plan, x, b, z, scale, damp, active, order, reverse=False):
    arrays = _row_arrays(plan, x, b, z, scale, damp, active)
    launcher.check("order", order, "int64", (order.size,))
    _launch("rows", plan, x.shape[0], damp, plan.rows, arrays, order, reverse)


def pixel_sweep(plan, x, b, z, scale, damp, active, pixels, starts, reverse=False):
    arrays = _row_arrays(plan, x, b, z, scale, damp, active)
    for color in _colors(pixels, starts, reverse):
        warps = x.shape[0] * color.size
        _launch("pixels", plan, warps, damp, plan.rows, arrays, color, reverse)


def column_sweep(plan, x, r, origin, scale, damp, active, order, reverse=False):
    arrays = _column_arrays(plan, x, r, origin, scale, active)
    launcher.check("order", order, "int64", (order.size,))
    _launch("columns", plan, x.shape[0], damp, plan.columns, arrays, order, reverse)


def sample_sweep(
    plan, x, r, origin, scale, damp, active, samples, starts, reverse=False
):
    arrays = _column_arrays(plan, x, r, origin, scale, active)
    for color in _colors(samples, starts, reverse):
        warps = x.shape[0] * color.size
        _launch("samples", plan, warps, damp, plan.columns, arrays, color, reverse)


def _single(begin, output):
    """Whether no output is named twice between one begin and the next."""
    sample = np.repeat(np.arange(begin.size - 1), np.diff(begin))
    pairs = sample * (output.max(initial=0) + 1) + output
    found, first, count = np.unique(pairs, return_index=True, return_counts=True)
    single = np.ones(begin.size - 1, bool)
    single[sample[first[count > 1]]] = False
    return single


def _colors(order, starts, reverse):
    launcher.check("order", order, "int64", (order.size,))
    parts = [order[a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
    return parts[::-1] if reverse else parts


def _sizes(plan, x):
    check_device(plan.layer[0], "the plan")
    g, batch = plan.geometry, x.shape[0]
    n, m = (c * int(np.prod(s)) for c, s in ((g.c_in, g.input), (g.c_out, g.output)))
    return batch, m, n


def _row_arrays(plan, x, b, z, scale, damp, active):
    batch, m, n = _sizes(plan, x)
    launcher.check("x", x, plan.dtype, (batch, n))
    launcher.check("b", b, plan.dtype, (batch, m))
    if z is None and damp:
        raise ValueError("damped row actions need z")
    z = b if z is None else z
    launcher.check("z", z, plan.dtype, (batch, m))
    launcher.check("scale", scale, plan.real, (m,))
    launcher.check("active", active, "bool", (batch,))
    return x, b, z, scale, active, batch


def _column_arrays(plan, x, r, origin, scale, active):
    batch, m, n = _sizes(plan, x)
    launcher.check("x", x, plan.dtype, (batch, n))
    launcher.check("r", r, plan.dtype, (batch, m))
    shifted, origin = int(origin is not None), x if origin is None else origin
    launcher.check("origin", origin, plan.dtype, (batch, n))
    launcher.check("scale", scale, plan.real, (n,))
    launcher.check("active", active, "bool", (batch,))
    return x, r, origin, shifted, scale, active, batch


def _launch(name, plan, warps, damp, tables, arrays, order, reverse):
    blocks = -(-warps * 32 // launcher.THREADS)
    launcher.launch(
        launcher.function("rows/cuda", name, plan.dtype),
        (min(blocks, launcher.MAX_X),),
        (launcher.THREADS,),
        *(*plan.layer, np.float64(damp), *tables, *arrays),
        *(order, int(order.size), int(reverse)),
    )
