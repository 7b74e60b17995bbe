"""Sweeps over rows and columns, and against a loop over the rows stored as CSR.

On two threads a multicolor sweep is to take at most a third of the loop's time, and a
cyclic one, which is serial, no more than the loop's.
"""

import numba
import numpy as np

from benchmarks.support.devices import BACKENDS, library, synchronize
from benchmarks.support.layers import DTYPES, SMALL, Layer
from benchmarks.support.measure import interleaved
from benchmarks.support.versions import optional
from convinv import kernels

to_numpy = optional("convinv._core.arrays", "to_numpy")
column_norms, row_norms = optional(
    "convinv.operators._row_norms", "column_norms", "row_norms"
)
input_colors, output_colors = optional(
    "convinv.solvers._colors", "input_colors", "output_colors"
)

BAR = Layer(3, 8, 3, 256, 1)


@numba.njit(nogil=True)
def loop(x, b, scale, begin, index, value):
    """Kaczmarz on the rows of a matrix in CSR form, as one would write it."""
    for i in range(begin.size - 1):
        total = x[0] - x[0]
        for k in range(begin[i], begin[i + 1]):
            total += value[k] * x[index[k]]
        step = scale[i] * (b[i] - total)
        for k in range(begin[i], begin[i + 1]):
            x[index[k]] += step * value[k]


class Data:
    """A layer's plan, data and orders."""

    def __init__(self, layer, dtype, xp=np):
        op, x, b = layer.data(dtype, xp)
        g = op.geometry
        self.op, self.xp, batch = op, xp, x.shape[0]
        self.x, self.b = x.reshape(batch, -1), b.reshape(batch, -1)
        kernel = op.kernel.reshape(g.c_out, g.c_in // g.groups, *g.kernel)
        self.kernels = kernels.load("rows", xp)
        self.plan = self.kernels.prepare(kernel, g)
        norms = [to_numpy(found) for found in (row_norms(op), column_norms(op))]
        scales = [(1 / np.where(n > 0, n, np.inf)).astype(dtype) for n in norms]
        active = xp.asarray(np.ones(batch, bool))
        self.rows, self.columns = ((xp.asarray(s), 0.0, active) for s in scales)
        m, n = op.shape
        self.cyclic, self.columnwise = (xp.asarray(np.arange(k)) for k in (m, n))
        self.random = xp.asarray(np.random.default_rng(4).permutation(m))
        self.pixels, self.samples = (
            (xp.asarray(order), starts)
            for order, starts in (output_colors(g), input_colors(g))
        )

    def sweep(self, order):
        state = self.plan, self.x, self.b, None, *self.rows
        if order == "multicolor":
            self.kernels.pixel_sweep(*state, *self.pixels)
        else:
            self.kernels.row_sweep(*state, getattr(self, order))
        synchronize(self.xp)

    def column_sweep(self, order):
        state = self.plan, self.x, self.b, None, *self.columns
        if order == "multicolor":
            self.kernels.sample_sweep(*state, *self.samples)
        else:
            self.kernels.column_sweep(*state, self.columnwise)
        synchronize(self.xp)


class Sweeps:
    params = (tuple(SMALL), DTYPES, BACKENDS)
    param_names = ("layer", "dtype", "backend")

    def setup(self, layer, dtype, backend):
        self.data = Data(SMALL[layer], dtype, library(backend))
        for order in ("cyclic", "multicolor"):
            self.data.sweep(order)
            self.data.column_sweep(order)

    def time_rows_cyclic(self, layer, dtype, backend):
        self.data.sweep("cyclic")

    def time_rows_multicolor(self, layer, dtype, backend):
        self.data.sweep("multicolor")

    def time_columns_cyclic(self, layer, dtype, backend):
        self.data.column_sweep("cyclic")

    def time_columns_multicolor(self, layer, dtype, backend):
        self.data.column_sweep("multicolor")


class AgainstLoop:
    """Time of a sweep divided by that of the loop over a CSR matrix."""

    params = (DTYPES, ("cyclic", "random", "multicolor"))
    param_names = ("dtype", "order")
    unit = "times the loop's time"

    def setup(self, dtype, order):
        data = Data(BAR, dtype)
        A = data.op.tosparse().astype(dtype)
        x, b, scale = data.x[0].copy(), data.b[0], data.rows[0]
        self.calls = {
            "sweep": lambda: data.sweep(order),
            "loop": lambda: loop(x, b, scale, A.indptr, A.indices, A.data),
        }

    def track_ratio_loop(self, dtype, order):
        times = interleaved(self.calls, seconds=0.5)
        return times["sweep"].over(times["loop"])[0]
