"""Windows in CUDA, on the CPU and on a GPU."""

import numpy as np
import pytest

from support.arrays import DTYPES
from support.cuda_checks import WINDOWS, check_windows, window_tables


class TestWindows:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", WINDOWS)
    def test_equals_oracle(self, cupy, kernels, name, dtype):
        check_windows(cupy, kernels("windows"), name, dtype)

    @pytest.mark.parametrize("name", ["overlap", "gaps"])
    def test_grid_smaller_than_the_work(self, cupy, kernels, small_grids, name):
        check_windows(cupy, kernels("windows"), name, "float32")

    def test_wrong_arguments_are_refused(self, cupy, kernels):
        windows, grid = kernels("windows"), cupy.zeros((1, 1, 2, 3, 4))
        tables = [cupy.asarray(window_tables(n, 2, 2)) for n in (2, 3, 4)]
        which = cupy.asarray(np.arange(2))
        with pytest.raises(ValueError, match="grid must have shape"):
            windows.gather(grid[0], tables, which)
        with pytest.raises(TypeError, match="which must have dtype int64"):
            windows.gather(grid, tables, which.astype("int32"))
        with pytest.raises(TypeError, match="table must have dtype int64"):
            windows.gather(grid, [t.astype("int32") for t in tables], which)
        with pytest.raises(ValueError, match="no window 99"):
            windows.scatter(cupy.zeros((1, 8)), tables, 99, grid)
        with pytest.raises(ValueError, match="values must have shape"):
            windows.scatter(cupy.zeros((1, 9)), tables, 0, grid)
        with pytest.raises(ValueError, match="mode must be"):
            windows.combine(cupy.zeros(1), tables, [], grid.shape, "mean")
