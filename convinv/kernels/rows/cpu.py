"""Row and column actions of a convolution or a matrix on NumPy arrays.

Sweeps over pixels copy a pixel's window once and let all filters work on the copy, in
vectors. Where taps fold onto one sample, the copy holds the distinct samples and the
filters are summed up accordingly, so that the action is exact.
"""

import numpy as np

from ..._core.threads import parallel_for, thread_count
from . import cpu_columns, cpu_layer
from .tables import Plan


def prepare(kernel, geometry):
    return Matrix(kernel) if geometry is None else Plan(kernel, geometry)


def row_sweep(plan, x, b, z, scale, damp, active, order, reverse=False):
    arrays = (_flat(x), _given(b), _flat(_optional(z, x)), _given(scale))
    rest = (*_numbers(plan, damp), _given(active), _given(order), bool(reverse))
    batch = x.shape[0]
    if isinstance(plan, Matrix):
        work = 2.0 * batch * plan.mean(0) * order.size
        kernel, tables = cpu_columns.matrix_rows, (*plan.rows, plan.shape[1])
    else:
        work = 2.0 * batch * plan.taps * order.size
        kernel, tables = cpu_layer.rows, _row_tables(plan)
    parallel_for(kernel, batch, work, *arrays, *rest, *tables)


def pixel_sweep(plan, x, b, z, scale, damp, active, pixels, starts, reverse=False):
    arrays = (_flat(x), _given(b), _flat(_optional(z, x)), _given(scale))
    rest = (*_numbers(plan, damp), _given(active))
    order = (_given(pixels), _given(starts), bool(reverse))
    work = 2.0 * plan.taps * plan.geometry.c_out
    more = (_given(plan.together), _given(plan.backward))
    _colored(
        cpu_layer.pixels, x.shape[0], work, starts, reverse,
        *(*arrays, *rest, *order, *_row_tables(plan), *more),
    )  # fmt: skip


def column_sweep(plan, x, r, origin, scale, damp, active, order, reverse=False):
    arrays = (_flat(x), _flat(r), _given(_optional(origin, x)), _given(scale))
    rest = (*_numbers(plan, damp**2), _given(active), _given(order), bool(reverse))
    batch = x.shape[0]
    if isinstance(plan, Matrix):
        work = 2.0 * batch * plan.mean(1) * order.size
        kernel, tables = (
            cpu_columns.matrix_columns, (*plan.columns, plan.shape[0])
        )  # fmt: skip
    else:
        work = 2.0 * batch * _column_taps(plan) * order.size
        kernel, tables = cpu_columns.columns, _column_tables(plan)
    parallel_for(kernel, batch, work, *arrays, *rest, *tables)


def sample_sweep(
    plan, x, r, origin, scale, damp, active, samples, starts, reverse=False
):
    arrays = (_flat(x), _flat(r), _given(_optional(origin, x)), _given(scale))
    rest = (*_numbers(plan, damp**2), _given(active))
    order = (_given(samples), _given(starts), bool(reverse))
    work = 2.0 * _column_taps(plan) * plan.geometry.c_in
    _colored(
        cpu_columns.samples, x.shape[0], work, starts, reverse,
        *(*arrays, *rest, *order, *_column_tables(plan)),
    )  # fmt: skip


class Matrix:
    """A sparse matrix by rows, and by columns on first use."""

    def __init__(self, matrix):
        self.matrix = matrix.tocsr()
        self.dtype, self.shape = matrix.dtype, matrix.shape
        self._columns = None

    @property
    def rows(self):
        return _parts(self.matrix)

    @property
    def columns(self):
        if self._columns is None:
            self._columns = self.matrix.tocsc()
        return _parts(self._columns)

    def mean(self, axis):
        """The average number of entries of a row (0) or a column (1)."""
        return self.matrix.nnz / max(self.shape[axis], 1)


def _parts(matrix):
    return tuple(map(_given, (matrix.indptr, matrix.indices, matrix.data)))


def _colored(kernel, batch, work, starts, reverse, *args):
    """Threads divide the items, or if those are few the pixels of each color."""
    colors = starts.size - 1
    if colors < 1:
        return
    if batch >= thread_count():
        total = work * batch * float(starts[-1])
        parallel_for(kernel, batch, total, False, 0, colors, *args)
        return
    for k in range(colors):
        k = colors - 1 - k if reverse else k
        count = int(starts[k + 1] - starts[k])
        parallel_for(kernel, batch * count, work * batch * count, True, k, k + 1, *args)


def _flat(array):
    return array.reshape(-1)


def _given(array):
    """A flat view that is never writable, so that numba compiles for one type."""
    view = array.reshape(-1)
    view.flags.writeable = False
    return view


def _optional(array, like):
    return np.empty((0, 0), like.dtype) if array is None else array


def _numbers(plan, damp):
    """The damping in the dtype of the loops, and a zero."""
    zero = plan.dtype.type(0)
    return type(zero.real)(damp), zero


def _column_taps(plan):
    """The largest number of entries of a column, usually."""
    return plan.taps // plan.channels * plan.geometry.c_out // plan.geometry.groups


def _row_tables(plan):
    tables = (plan.start, plan.table, plan.first)
    return (_given(plan.weights), plan.offsets, *tables, plan.sizes)


def _column_tables(plan):
    return (_given(plan.weights), plan.begin, plan.output, plan.tap, plan.sizes)
