"""The vector functions in CUDA, on the CPU and on a GPU."""

import functools
import importlib

import numpy as np
import pytest

from convinv.kernels.vectors import array_api as vectors_array_api
from support.arrays import DTYPES, random
from support.cuda_checks import (
    assert_close,
    check_project,
    check_vectors,
    vector_calls,
)


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

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_vectors_that_start_anywhere(self, cupy, kernels, dtype):
        """Rows of odd lengths, and an array that does not begin at a whole pack."""
        vectors = kernels("vectors")
        for n in (1, 3, 1026, 1027):
            x, y = (random((3, n), dtype, seed) for seed in (0, 1))
            room = cupy.empty(3 * n + 1, dtype)[1:].reshape(3, n)
            room[...] = cupy.asarray(y)
            for given in (cupy.asarray(y), room):
                got, sums = vectors.axpy(cupy.ones(3), cupy.asarray(x), given)
                assert_close(got, x + y, dtype)
                np.testing.assert_allclose(
                    sums.get(), np.sum(np.abs(got.get()) ** 2.0, 1), rtol=1e-5
                )


class TestSums:
    """Blocks that add up what others have left."""

    @pytest.mark.parametrize("dtype", DTYPES[::3])
    def test_launches(self, cupy, kernels, launched, dtype):
        vectors = kernels("vectors")
        for name, args, _ in vector_calls(dtype, 2, 5000):
            launched.clear()
            getattr(vectors, name)(*map(cupy.asarray, args))
            assert len(launched) == 1, name
        basis = cupy.zeros((30, 2, 5000), dtype)
        launched.clear()
        vectors.project(basis, 25, None, cupy.asarray(random((2, 5000), dtype)))
        assert len(launched) == 4

    def test_equal_bits_in_every_run(self, cupy, kernels):
        vectors = kernels("vectors")
        x, y = (cupy.asarray(random((2, 50_000), "float32", s)) for s in (0, 1))
        first = vectors.dot(x, y).get()
        for _ in range(5):
            np.testing.assert_array_equal(vectors.dot(x, y).get(), first)

    def test_tickets_are_left_as_found(self, cupy, kernels, scratch):
        vectors = kernels("vectors")
        vectors.sumsq(cupy.asarray(random((3, 50_000), "float32")))
        assert not scratch.scratch().tickets(1).get().any()

    def test_streams_do_not_share(self, cupy, scratch):
        here = scratch.scratch()
        assert scratch.scratch() is here
        with cupy.cuda.Stream(non_blocking=True):
            there = scratch.scratch()
            assert there is not here and scratch.scratch() is there
        assert scratch.scratch() is here
        own = scratch.Scratch()
        with scratch.using(own):
            assert scratch.scratch() is own
        assert scratch.scratch() is here

    def test_more_parts_than_there_is_room_for(
        self, cupy, kernels, scratch, monkeypatch
    ):
        monkeypatch.setattr(scratch, "PARTS", 4)
        monkeypatch.setattr(scratch, "TICKETS", 2)
        monkeypatch.setattr(scratch, "_KEPT", {})
        x = random((5, 5000), "complex128")
        got = kernels("vectors").dot(cupy.asarray(x), cupy.asarray(x))
        np.testing.assert_allclose(got.get(), np.sum(np.abs(x) ** 2, 1), rtol=1e-12)

    def test_graph_of_another(self, cupy, kernels):
        """Whoever captures our kernels may launch the graph on any stream."""
        vectors, x = kernels("vectors"), cupy.asarray(random((1, 50_000), "float64"))
        out, want = cupy.zeros(1), vectors.sumsq(x).get()
        pool = cupy.cuda.MemoryPool()
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream, cupy.cuda.using_allocator(pool.malloc):
            pool.malloc(2**20)
            stream.begin_capture()
            cupy.add(vectors.sumsq(x), 0, out=out)
            graph = stream.end_capture()
        for _ in range(2):
            out[...] = 0
            graph.launch()
            np.testing.assert_array_equal(out.get(), want)


@pytest.fixture
def scratch(cupy):
    return importlib.import_module("convinv.kernels.cuda_scratch")
