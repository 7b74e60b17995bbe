"""Row and column actions in CUDA, on the CPU and on a GPU."""

import numpy as np
import pytest

from support.arrays import DTYPES
from support.cuda_checks import layer
from support.row_checks import check_columns, check_rows


class TestRows:
    """The checks of test_rows.py, on device arrays."""

    @pytest.mark.parametrize("name", ["groups", "3-D", "reflect apart", "zero wide"])
    def test_equals_oracle(self, cupy, kernels, name):
        for dtype, damp in zip(DTYPES, (0.0, 0.7, 0.7, 0.0), strict=True):
            check_rows(name, dtype, damp, 2, kernels("rows"), cupy.asarray)
            check_columns(name, dtype, damp, 2, kernels("rows"), cupy.asarray)

    def test_grid_smaller_than_the_work(self, cupy, kernels, small_grids):
        check_rows("long rows", "float32", 0.7, 19, kernels("rows"), cupy.asarray)
        check_columns("stride", "float32", 0.7, 19, kernels("rows"), cupy.asarray)

    def test_wrong_arguments_are_refused(self, cupy, kernels):
        rows, geometry = kernels("rows"), layer("plain")[2]
        with pytest.raises(TypeError, match="matrices are taken from the host only"):
            rows.prepare(np.eye(3), None)
        kernel = cupy.zeros((3, 2, *geometry.kernel))
        with pytest.raises(ValueError, match="kernel must have shape"):
            rows.prepare(kernel[:2], geometry)
        plan = rows.prepare(kernel, geometry)
        x, b = cupy.zeros((1, 2 * 9 * 11)), cupy.zeros((1, 3 * 7 * 9))
        scale, active = cupy.ones(b.shape[1]), cupy.ones(1, dtype=bool)
        order = cupy.asarray(np.arange(4))
        rows.row_sweep(plan, x, b, None, scale, 0.0, active, order)
        for arguments, error, words in (
            ((x[:, 1:], b, None, scale, 0.0, active, order), ValueError, "x must"),
            ((x, b, b.astype("f4"), scale, 1.0, active, order), TypeError, "z must"),
            ((x, b, None, scale, 1.0, active, order), ValueError, "need z"),
            ((x, b, None, scale[1:], 0.0, active, order), ValueError, "scale must"),
            ((x, b, None, scale, 0.0, order, order), TypeError, "active must"),
            ((x, b, None, scale, 0.0, active, active), TypeError, "order must"),
        ):
            with pytest.raises(error, match=words):
                rows.row_sweep(plan, *arguments)
        with pytest.raises(ValueError, match="origin must"):
            rows.column_sweep(plan, x, b, b, x[0], 0.0, active, order)
