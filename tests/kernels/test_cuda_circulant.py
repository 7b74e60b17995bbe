"""Products with circulant blocks in CUDA, on the CPU and on a GPU."""

import numpy as np
import pytest

from support.arrays import DTYPES, random
from support.cuda_checks import CIRCULANTS, assert_close, check_circulant
from support.cuda_host import on_host


class TestCirculant:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", CIRCULANTS)
    def test_equals_oracle(self, cupy, kernels, name, dtype):
        check_circulant(cupy, kernels("circulant"), name, dtype)

    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    @pytest.mark.parametrize("name", ["over blocks", "3-D odd"])
    def test_grid_smaller_than_the_work(self, cupy, kernels, small_grids, name, dtype):
        check_circulant(cupy, kernels("circulant"), name, dtype)

    @on_host
    def test_as_on_the_cpu(self, cupy, kernels):
        from convinv.kernels.circulant import cpu as circulant_cpu

        blocks, torus = random((1, 2, 3, 1, 6, 5), "complex128"), (1, 6, 8)
        v = random((2, 1, 3, 1, 5, 8), "float32", 1)
        plan = circulant_cpu.prepare(blocks, torus, "float32")
        want = circulant_cpu.apply(plan, v)
        circulant = kernels("circulant")
        plan = circulant.prepare(blocks, torus, "float32")
        assert_close(circulant.apply(plan, cupy.asarray(v)), want, "float32")

    def test_no_items(self, cupy, kernels):
        circulant = kernels("circulant")
        plan = circulant.prepare(np.ones((1, 2, 3, 1, 4, 5), complex), (1, 4, 8), "f4")
        got = circulant.apply(plan, cupy.zeros((0, 1, 3, 1, 4, 8), "float32"))
        assert got.shape == (0, 1, 2, 1, 4, 8)

    def test_wrong_arguments_are_refused(self, cupy, kernels):
        circulant, torus = kernels("circulant"), (1, 4, 8)
        blocks = np.ones((1, 2, 3, 1, 4, 5), complex)
        with pytest.raises(ValueError, match="blocks must have shape"):
            circulant.prepare(blocks, torus, "complex64")
        with pytest.raises(TypeError, match="blocks must be a NumPy array"):
            circulant.prepare(cupy.asarray(blocks), torus, "float32")
        plan = circulant.prepare(blocks, torus, "float32")
        v = cupy.zeros((2, 1, 3, *torus), "float32")
        with pytest.raises(TypeError, match="v must be a CuPy array"):
            circulant.apply(plan, v.get())
        with pytest.raises(TypeError, match="v must have dtype float32"):
            circulant.apply(plan, v.astype("float64"))
        with pytest.raises(ValueError, match="v must have shape"):
            circulant.apply(plan, v[:, :, :2])
        with pytest.raises(ValueError, match="C-contiguous"):
            circulant.apply(plan, v[..., :7])
        with pytest.raises(ValueError, match="grid must be three ints"):
            circulant.apply(plan, v, (1, 5, 8))
