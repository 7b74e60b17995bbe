"""The vector functions in CUDA, on the CPU and on a GPU."""

import functools

import numpy as np
import pytest

from convinv.kernels.vectors import array_api as vectors_array_api
from support.arrays import DTYPES, random
from support.cuda_checks import assert_close, check_project, check_vectors


class TestVectors:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("batch, n", [(1, 1), (3, 255), (2, 4099), (1, 0), (0, 5)])
    def test_equals_oracle(self, cupy, kernels, batch, n, dtype):
        module = kernels("vectors")
        download = type(cupy.zeros(1)).get
        check_vectors(module, cupy.asarray, download, True, dtype, batch, n)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("batch, n", [(1, 5), (3, 255), (2, 4099), (0, 5)])
    def test_project(self, cupy, kernels, batch, n, dtype):
        module = kernels("vectors")
        download = type(cupy.zeros(1)).get
        check_project(module, cupy.asarray, download, True, dtype, batch, n)

    def test_grid_smaller_than_the_work(self, cupy, kernels, small_grids):
        module = kernels("vectors")
        download = type(cupy.zeros(1)).get
        check_vectors(module, cupy.asarray, download, True, "complex64", 5, 3000)
        check_project(module, cupy.asarray, download, True, "complex64", 5, 3000)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("batch, n", [(3, 41), (1, 0)])
    def test_array_api(self, batch, n, dtype):
        """On a device where NumPy functions cannot reach."""
        xp = pytest.importorskip("array_api_strict")
        upload = functools.partial(xp.asarray, device=xp.Device("device1"))

        def download(a):
            return np.asarray(a.to_device(xp.Device("CPU_DEVICE")))

        check_vectors(vectors_array_api, upload, download, False, dtype, batch, n)
        if n:
            check_project(vectors_array_api, upload, download, False, dtype, batch, n)

    def test_sums_of_float32_are_double(self, cupy, kernels):
        x = np.full((1, 100_000), 1 + 2**-12, "float32")
        got = kernels("vectors").sumsq(cupy.asarray(x)).get()
        np.testing.assert_allclose(got, 100_000 * (1 + 2**-12) ** 2, rtol=1e-14)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_extent_of_non_finite_numbers(self, cupy, kernels, dtype):
        x = random((3, 3000), dtype)
        x[1, 17], x[2, 40] = np.inf, np.inf
        x[2, 2017] = np.nan
        largest = kernels("vectors").extent(cupy.asarray(x))[0].get()
        np.testing.assert_array_equal(np.isfinite(largest), [True, False, False])
        assert largest[1] == np.inf and np.isnan(largest[2])

    def test_the_same_vector_twice(self, cupy, kernels):
        x = random((2, 300), "float64")
        same = cupy.asarray(x)
        y, _ = kernels("vectors").axpy(cupy.ones(2), same, same)
        np.testing.assert_allclose(y.get(), 2 * x)

    def test_real_coefficients_of_complex_vectors(self, cupy, kernels):
        x, y = (random((2, 9), "complex64", seed) for seed in (0, 1))
        got, _ = kernels("vectors").axpy(
            cupy.asarray(np.array([2.0, 3])), cupy.asarray(x), cupy.asarray(y)
        )
        assert_close(got, y + [[2], [3]] * x, "complex64")

    def test_wrong_arrays_are_refused(self, cupy, kernels):
        vectors, x, a = kernels("vectors"), cupy.zeros((2, 4)), cupy.zeros(2)
        with pytest.raises(ValueError, match="y must have shape"):
            vectors.dot(x, x[:1])
        with pytest.raises(TypeError, match="y must have dtype"):
            vectors.axpy(a, x, x.astype("float32"))
        with pytest.raises(TypeError, match="a must have dtype float64"):
            vectors.axpy(a.astype("complex128"), x, x)
        with pytest.raises(ValueError, match="a must have shape"):
            vectors.axpby(cupy.zeros(3), x, cupy.zeros(3), x)
        with pytest.raises(ValueError, match=r"shape \(B, n\)"):
            vectors.sumsq(x[0])
        with pytest.raises(ValueError, match="basis must have shape"):
            vectors.project(cupy.zeros((3, 1, 4)), 1, None, x)
