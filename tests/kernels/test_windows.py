"""Windows on the CPU against slow oracles."""

import numpy as np
import pytest

from convinv.kernels.windows import cpu as windows_cpu
from support import oracles
from support.arrays import every_dtype, random
from support.vector_calls import assert_close


class TestWindows:
    @staticmethod
    def tables(sizes, windows, seed):
        """Tables of random windows; -1 here and there, and a sample never twice."""
        rng = np.random.default_rng(seed)
        tables = []
        for size, (count, length) in zip(sizes, windows):
            rows = [rng.permutation(size)[:length] for _ in range(count)]
            table = np.array(rows, np.int64).reshape(count, -1)
            table[rng.random(table.shape) < 0.2] = -1
            if seed % 2:  # runs of neighbors take another path
                start = rng.integers(0, size - table.shape[1] + 1, count)
                table = start[:, None] + np.arange(table.shape[1])
            tables.append(np.ascontiguousarray(table, np.int64))
        return tuple(tables)

    @staticmethod
    def covers(tables, sizes):
        from convinv.strips._plan import cover

        return tuple(cover(table, n) for table, n in zip(tables, sizes))

    @pytest.mark.parametrize("seed", range(6))
    @every_dtype
    def test_equals_oracle(self, dtype, seed):
        sizes = (1 + seed % 3, 5, 9)
        tables = self.tables(sizes, ((1, 1), (2, 3), (3, 4)), seed)
        shape = (2, 3, *sizes)
        grid = random(shape, dtype)
        which = np.array([5, 0, 2, 5])
        got = windows_cpu.gather(grid, tables, which)
        np.testing.assert_array_equal(got, oracles.windows_gather(grid, tables, which))
        values = random((6, *got.shape[1:]), dtype, 1)
        for mode in ("overwrite", "average"):
            got = windows_cpu.combine(
                values, tables, self.covers(tables, sizes), shape, mode
            )
            expected = oracles.windows_combine(values, tables, shape, mode)
            assert got.dtype == dtype
            assert_close(got, expected, dtype, 4)
        expected = oracles.windows_scatter(values[4], tables, 4, grid)
        assert windows_cpu.scatter(values[4], tables, 4, grid) is None
        np.testing.assert_array_equal(grid, expected)

    def test_refused(self):
        grid = np.zeros((1, 1, 2, 2, 2))
        tables = tuple(np.zeros((2, 1), np.int64) for _ in range(3))
        for window in (-1, 8):
            with pytest.raises(ValueError, match="no window"):
                windows_cpu.scatter(np.zeros((1, 1)), tables, window, grid)
        with pytest.raises(ValueError, match="mode must be"):
            windows_cpu.combine(np.zeros((8, 1, 1)), tables, (), grid.shape, "mean")
