"""Products of layers in CUDA, on the CPU and on a GPU."""

import numpy as np
import pytest

from support.arrays import DTYPES, random
from support.cuda_checks import LAYERS, layer, run_layer
from support.cuda_host import on_host


class TestCorrelate:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", LAYERS)
    def test_equals_oracle(self, cupy, kernels, name, dtype):
        run_layer(cupy, kernels("correlate"), name, dtype, batch=2)

    @pytest.mark.parametrize("name", ["nine channels", "odd sizes over blocks", "3-D"])
    def test_grid_smaller_than_the_work(self, cupy, kernels, small_grids, name):
        run_layer(cupy, kernels("correlate"), name, "complex64", batch=3)

    @pytest.mark.parametrize("name", LAYERS)
    def test_dot_product(self, cupy, kernels, name):
        shape, _, geometry, _ = layer(name)
        correlate, dtype = kernels("correlate"), "complex128"
        kernel = random((*shape[:2], *geometry.kernel), dtype)
        plan = correlate.prepare(cupy.asarray(kernel), geometry)
        x = random((1, geometry.c_in, *geometry.input), dtype, 1)
        y = random((1, geometry.c_out, *geometry.output), dtype, 2)
        ax = correlate.forward(plan, cupy.asarray(x))[0].get()
        aty = correlate.adjoint(plan, cupy.asarray(y))[0].get()
        scale = np.linalg.norm(ax) * np.linalg.norm(y)
        assert abs(np.vdot(y, ax) - np.vdot(aty, x)) <= 1e-13 * max(scale, 1)

    def test_batch_of_none(self, cupy, kernels):
        correlate, (shape, _, geometry, _) = kernels("correlate"), layer("plain")
        kernel = cupy.zeros((*shape[:2], *geometry.kernel))
        plan = correlate.prepare(kernel, geometry)
        x = cupy.zeros((0, geometry.c_in, *geometry.input))
        y, sums = correlate.forward(plan, x, sumsq=True)
        assert y.shape == (0, geometry.c_out, *geometry.output)
        assert sums.shape == (0,)

    def test_tiles_waste_little(self, kernels):
        tile = kernels("correlate").tile_of
        assert [tile(n) for n in (1, 2, 3, 4, 5, 8, 9, 12, 64)] == (
            [1, 2, 4, 4, 8, 8, 4, 4, 8]
        )

    def test_wrong_arrays_are_refused(self, cupy, kernels):
        correlate, (shape, _, geometry, _) = kernels("correlate"), layer("plain")
        kernel = cupy.zeros((*shape[:2], *geometry.kernel))
        with pytest.raises(ValueError, match="kernel must have shape"):
            correlate.prepare(kernel[:, :1], geometry)
        with pytest.raises(TypeError, match="not int64"):
            correlate.prepare(kernel.astype("int64"), geometry)
        plan = correlate.prepare(kernel, geometry)
        x = cupy.zeros((2, geometry.c_in, *geometry.input))
        for wrong, error, match in [
            (x.astype("float32"), TypeError, "x must have dtype float64, got float32"),
            (x[:, :1], ValueError, "x must have shape"),
            (x.get(), TypeError, "x must be a CuPy array, got ndarray"),
            (cupy.zeros(x.shape[::-1]).T, ValueError, "C-contiguous"),
        ]:
            with pytest.raises(error, match=match):
                correlate.forward(plan, wrong)
        with pytest.raises(ValueError, match="y must have shape"):
            correlate.adjoint(plan, x)

    @on_host
    def test_arrays_of_another_device_are_refused(self, cupy, kernels):
        x = cupy.zeros((2, 3))
        with cupy.cuda.Device(1), pytest.raises(ValueError, match="on device 0, but"):
            kernels("vectors").sumsq(x)
