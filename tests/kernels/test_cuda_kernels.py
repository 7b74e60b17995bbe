"""The CUDA kernels run right on the CPU and on a GPU."""

import functools
import importlib
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from test_rows_kernel import check_columns, check_rows

from convinv._core.geometry import BOUNDARIES, make_geometry
from convinv.kernels import KERNELS, launcher
from convinv.kernels.vectors import array_api as vectors_array_api
from support import oracles
from support.arrays import DTYPES, random
from support.circulants import circulant_parts
from support.cuda_host import host_module, on_host

# kernel shape, input shape, then what differs from an undilated "valid" layer
LAYERS = {
    "plain": ((3, 2, 3, 3), (2, 9, 11), {}),
    "one tap": ((1, 1, 1), (1, 1), {}),
    "one sample": ((2, 3, 1, 1), (3, 1, 1), {}),
    "1-D": ((2, 3, 4), (3, 301), {"padding": [(1, 2)]}),
    "1-D stride": ((3, 1, 5), (1, 50), {"stride": (3,), "padding": [(2, 2)]}),
    "3-D": ((2, 2, 2, 3, 2), (2, 4, 5, 6), {"padding": [(0, 1), (1, 1), (1, 0)]}),
    "3-D stride": (
        (1, 2, 2, 1, 3),
        (2, 5, 6, 7),
        {"stride": (2, 1, 3), "dilation": (1, 2, 2), "boundary": "periodic"},
    ),
    "nine channels": ((9, 5, 3, 3), (5, 6, 7), {"padding": [(1, 1)] * 2}),
    "twelve channels": ((12, 2, 1, 3), (2, 3, 40), {}),
    "groups": ((6, 2, 3, 3), (4, 7, 8), {"groups": 2, "padding": [(1, 1)] * 2}),
    "depthwise": ((5, 1, 3, 3), (5, 8, 5), {"groups": 5, "boundary": "reflect"}),
    "stride leaves a rest": ((2, 2, 3, 2), (2, 10, 12), {"stride": (2, 5)}),
    "stride skips samples": ((2, 1, 1, 2), (1, 9, 10), {"stride": (3, 4)}),
    "dilation": ((2, 2, 3, 3), (2, 9, 10), {"dilation": (2, 3)}),
    "dilation and stride": (
        (2, 2, 3, 4),
        (2, 15, 17),
        {"dilation": (4, 2), "stride": (6, 3), "padding": [(3, 1), (0, 2)]},
    ),
    "common factors": (
        (1, 2, 4, 3),
        (2, 19, 21),
        {"dilation": (4, 6), "stride": (2, 4), "padding": [(1, 0), (2, 3)]},
    ),
    "padding beyond the taps": ((2, 1, 2, 2), (1, 4, 5), {"padding": [(5, 3), (0, 7)]}),
    "output is all padding": (
        (1, 1, 2, 2),
        (1, 1, 1),
        {"padding": [(4, 4)] * 2, "stride": (3, 3)},
    ),
    "odd sizes over blocks": ((2, 1, 2, 3), (1, 19, 67), {"padding": [(1, 0), (2, 1)]}),
    **{
        f"{boundary} {name}": (
            shape,
            size,
            {"boundary": boundary, "padding": padding, **more},
        )
        for boundary in BOUNDARIES
        for name, shape, size, padding, more in [
            ("asymmetric", (2, 2, 3, 3), (2, 6, 7), [(0, 2), (3, 1)], {}),
            ("wide", (1, 1, 4, 2), (1, 3, 2), [(7, 8), (5, 3)], {"stride": (2, 1)}),
            ("one", (1, 2, 2, 3), (2, 1, 5), [(2, 3), (1, 1)], {"dilation": (2, 1)}),
        ]
    },
}


@pytest.fixture
def kernels(cupy):
    return lambda name: importlib.import_module(f"convinv.kernels.{name}.cuda")


@pytest.fixture
def small_grids(monkeypatch):
    """Every block gets several turns of every loop over the grid."""
    monkeypatch.setattr(launcher, "MAX_X", 2)
    monkeypatch.setattr(launcher, "MAX_YZ", 2)
    monkeypatch.setattr(launcher, "BLOCKS", 2)


def tolerance(dtype):
    return 300 * np.finfo(dtype).eps


def assert_close(got, want, dtype):
    """Equal up to a few hundred roundings of the largest value."""
    got, scale = got.get(), np.max(np.abs(want), initial=1)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance(dtype) * scale)


def layer(name):
    """``(kernel shape, input shape, geometry, arguments of the oracle)``."""
    shape, size, given = LAYERS[name]
    ndim = len(size) - 1
    plain = {
        "stride": (1,) * ndim,
        "padding": [(0, 0)] * ndim,
        "dilation": (1,) * ndim,
        "groups": 1,
        "boundary": "zero",
    }
    given = {**plain, **given}
    return shape, size, make_geometry(shape, size, **given), given


def run_layer(cupy, correlate, name, dtype, batch):
    """Forward, adjoint and both sums of squares against the oracle."""
    shape, size, geometry, given = layer(name)
    kernel = random(shape, dtype)
    x = random((batch, *size), dtype, 1)
    y = random((batch, *geometry.output_shape), dtype, 2)
    stored = (*shape[:2], *geometry.kernel)
    plan = correlate.prepare(cupy.asarray(kernel.reshape(stored)), geometry)
    for product, a, want, ends in [
        (
            correlate.forward,
            x,
            oracles.correlate_forward(kernel, x, **given),
            ((geometry.c_in, *geometry.input), (geometry.c_out, *geometry.output)),
        ),
        (
            correlate.adjoint,
            y,
            oracles.correlate_adjoint(kernel, y, size, **given),
            ((geometry.c_out, *geometry.output), (geometry.c_in, *geometry.input)),
        ),
    ]:
        array = cupy.asarray(a.reshape(batch, *ends[0]))
        got, sums = product(plan, array, sumsq=True)
        assert got.dtype == dtype and sums.dtype == "float64"
        assert_close(got, want.reshape(batch, *ends[1]), dtype)
        squares = oracles.vectors_sumsq(got.get().reshape(batch, -1))
        np.testing.assert_allclose(sums.get(), squares, rtol=1e-13)
        again, none = product(plan, array)
        assert none is None
        np.testing.assert_array_equal(again.get(), got.get())


class TestSource:
    @pytest.mark.parametrize("name", KERNELS)
    def test_indices_are_64_bits_wide(self, name):
        text = launcher.source(f"{name}/cuda")
        narrow = re.findall(r"(?<!\(long long\))(?:blockIdx|gridDim)\.\w \*", text)
        assert not narrow
        assert "(long long)blockIdx.x *" in text or name == "windows"

    def test_other_dtypes_are_refused(self):
        with pytest.raises(TypeError, match="not int64"):
            launcher.options("int64")


@on_host
class TestHarness:
    """What the stand-in must notice, for the tests below to mean anything."""

    CODE = """
    extern "C" __global__ void outside(float* y, int n) { y[n] = 1.f; }
    extern "C" __global__ void beyond(const float* x, float* y, int n) { *y = x[n]; }
    extern "C" __global__ void divergent(float* y) {
      if (threadIdx.x < 7) __syncthreads();
      y[threadIdx.x] = 1.f;
    }
    """

    @pytest.fixture
    def launch(self, cupy):
        def launch(name, *args):
            module = cupy.RawModule(code=self.CODE)
            module.get_function(name)((1,), (32,), args)

        return launch

    def test_writing_outside_an_array(self, launch, cupy):
        launch("outside", cupy.zeros(32, "f4"), np.int32(31))
        for n in -1, 32:
            with pytest.raises(RuntimeError, match="wrote outside"):
                launch("outside", cupy.zeros(32, "f4"), np.int32(n))

    def test_reading_outside_an_array_gives_nan(self, launch, cupy):
        y = cupy.zeros(1, "f4")
        launch("beyond", cupy.zeros(4, "f4"), y, np.int32(4))
        assert np.isnan(float(y))

    def test_a_barrier_that_not_all_threads_reach(self, launch, cupy):
        with pytest.raises(RuntimeError, match="divergent barrier"):
            launch("divergent", cupy.zeros(32, "f4"))

    def test_arguments_of_another_type(self, launch, cupy):
        y = cupy.zeros(32, "f4")
        with pytest.raises(RuntimeError, match="scalar of 4 bytes, got scalar of 8"):
            launch("outside", y, 0)
        with pytest.raises(RuntimeError, match="4-byte items, got array of 8"):
            launch("outside", cupy.zeros(32), np.int32(0))
        with pytest.raises(RuntimeError, match="takes 2 arguments, got 1"):
            launch("outside", y)
        with pytest.raises(TypeError, match="Unsupported"):
            launch("outside", np.zeros(32, "f4"), np.int32(0))
        with pytest.raises(ValueError, match="gaps"):
            launch("outside", cupy.zeros(64, "f4")[::2], np.int32(0))

    def test_nothing_is_copied_to_the_host_unasked(self, cupy):
        x = cupy.asarray(np.ones(3))
        for use in (np.asarray, lambda x: x + np.ones(3), lambda x: np.ones(3) + x):
            with pytest.raises(TypeError):
                use(x)
        before = cupy.SYNCS
        assert float(x.sum()) == 3 and cupy.SYNCS == before + 1


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


def vector_calls(dtype, batch, n):
    """``(name, arguments, which of them are updated)`` of every function."""
    v = [random((batch, n), dtype, seed) for seed in range(5)]
    c = [random(batch, launcher.wide(dtype), 10 + seed) for seed in range(3)]
    return [
        ("sumsq", (v[0],), ()),
        ("extent", (v[0],), ()),
        ("dot", (v[0], v[1]), ()),
        ("axpy", (c[0], v[0], v[1]), (2,)),
        ("axpby", (c[0], v[0], c[1], v[1]), (3,)),
        ("subtract", (v[0], v[1].astype(launcher.wide(dtype))), (1,)),
        ("step", (c[0], v[0], v[1], v[2], c[1]), (2, 1)),
        ("three_term", (v[0], c[0], v[1], c[1], v[2], v[3], c[2]), (0, 2, 4)),
    ]


def check_vectors(module, upload, download, in_place, dtype, batch, n):
    for name, args, updated in vector_calls(dtype, batch, n):
        want = getattr(oracles, f"vectors_{name}")(*args)
        given = [upload(a) for a in args]
        got = getattr(module, name)(*given)
        if not isinstance(got, tuple):
            got, want = (got,), (want,)
        for a, b in zip(got, want, strict=True):
            a, summed = download(a), b.ndim == 1
            scale = np.max(np.abs(b), initial=1) if summed else 1
            # sums of float32 values are as good as those values
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance(dtype) * scale)
            wide = "complex128" if b.dtype.kind == "c" else "float64"
            assert a.dtype == (wide if summed or name == "subtract" else dtype)
        for i, (a, b) in enumerate(zip(args, given)):
            if in_place and i in updated:
                assert b is got[updated.index(i)]
            else:
                np.testing.assert_array_equal(download(b), a)


def check_project(module, upload, download, in_place, dtype, batch, n, count=5):
    rng = np.random.default_rng(0)
    wide = launcher.wide(dtype)
    basis = np.zeros((count + 1, batch, n), dtype)
    for item in range(batch):
        columns = random((n, count), wide, item)
        basis[:count, item] = np.linalg.qr(columns)[0].T
    basis[count] = rng.standard_normal((batch, n))  # not to be used
    w = random((batch, n), dtype, 7)
    gram = upload(np.zeros((batch, count + 1, count + 1), wide))
    given = upload(w)
    got = module.project(upload(basis), count, gram, given)
    assert (got[0] is given) == in_place
    for a, b, of in zip(
        got,
        oracles.vectors_project(basis, count, None, w),
        (dtype, wide, "float64", "float64"),
        strict=True,
    ):
        a = download(a)
        assert a.dtype == of and a.shape == b.shape
        scale = np.max(np.abs(b), initial=1)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance(dtype) * scale)
    products = np.einsum("kbn,bn->bk", basis[:count].conj(), download(got[0]))
    assert np.max(np.abs(products), initial=0) < 100 * np.finfo(dtype).eps


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


def window_tables(n, size, step):
    """Windows of `size` samples, one every `step` from -1 on."""
    first = np.arange(-1, n, step)
    table = first[:, None] + np.arange(size)
    return np.where((table >= 0) & (table < n), table, -1)


def axis_cover(table, n):
    """``(start, window, position)``: which windows hold each sample, and where."""
    window, position = np.nonzero(table >= 0)
    sample = table[window, position]
    order = np.lexsort((window, sample))
    start = np.searchsorted(sample[order], np.arange(n + 1))
    return start, window[order], position[order]


WINDOWS = {
    "overlap": ((2, 3, 5, 6, 7), (3, 4, 3), (2, 2, 2)),
    "gaps": ((1, 2, 7, 9, 40), (1, 2, 3), (2, 3, 5)),
    "apart": ((2, 1, 1, 12, 13), (3, 4, 5), (3, 4, 5)),
    "one window": ((1, 1, 1, 1, 3), (2, 3, 6), (2, 3, 6)),
    "wide": ((1, 2, 1, 20, 70), (2, 9, 40), (5, 7, 30)),
}


def check_windows(cupy, windows, name, dtype):
    shape, sizes, steps = WINDOWS[name]
    tables = [window_tables(*a) for a in zip(shape[2:], sizes, steps)]
    covers = [axis_cover(t, n) for t, n in zip(tables, shape[2:])]
    device = [cupy.asarray(t) for t in tables]
    count = np.prod([len(t) for t in tables])
    grid = random(shape, dtype)
    which = np.random.default_rng(0).permutation(count)[: count // 2 + 1]
    got = windows.gather(cupy.asarray(grid), device, cupy.asarray(which))
    want = oracles.windows_gather(grid, tables, which)
    np.testing.assert_array_equal(got.get(), want)

    values = random((count, shape[0], shape[1] * np.prod(sizes)), dtype, 1)
    for mode in "overwrite", "average":
        got = windows.combine(
            cupy.asarray(values),
            device,
            [tuple(cupy.asarray(a) for a in cover) for cover in covers],
            shape,
            mode,
        )
        assert got.dtype == dtype
        assert_close(got, oracles.windows_combine(values, tables, shape, mode), dtype)

    target = cupy.asarray(grid)
    for window in {0, int(count) // 2, int(count) - 1}:
        part = cupy.asarray(values[window])
        assert windows.scatter(part, device, window, target) is None
        grid = oracles.windows_scatter(values[window], tables, window, grid)
        np.testing.assert_array_equal(target.get(), grid)


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


class TestRows:
    """The checks of test_rows_kernel.py, on device arrays."""

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


# torus, grids of v and of the result, then groups, p, q
CIRCULANTS = {
    "1-D": ((1, 1, 30), (1, 1, 27), (1, 1, 29), (2, 1, 1)),
    "2-D": ((1, 6, 8), (1, 6, 8), (1, 6, 8), (1, 3, 3)),
    "3-D odd": ((3, 4, 5), (2, 3, 4), (3, 1, 5), (2, 5, 2)),
    "over blocks": ((1, 20, 40), (1, 19, 40), (1, 20, 39), (1, 2, 1)),
    "one sample": ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 4, 9)),
    "last axis of one": ((2, 3, 1), (2, 2, 1), (1, 3, 1), (1, 2, 2)),
}


def check_circulant(cupy, circulant, name, dtype):
    torus, size, grid, shape = CIRCULANTS[name]
    last = torus[2] if np.dtype(dtype).kind == "c" else torus[2] // 2 + 1
    blocks = random((*shape, *torus[:2], last), "complex128")
    plan = circulant.prepare(blocks, torus, dtype)
    assert plan.torus == torus and plan.dtype == dtype
    assert plan.nbytes == blocks.size * plan.blocks.itemsize
    v = random((3, shape[0], shape[2], *size), dtype, 1)
    given = cupy.asarray(v)
    for wanted in (grid, None):
        got = circulant.apply(plan, given, wanted)
        assert got.dtype == dtype and got.flags.c_contiguous
        want = oracles.circulant_apply(blocks, torus, v, wanted or size)
        assert_close(got, want, dtype)
    core, halo = [(n + 1) // 2 for n in torus], [n // 4 for n in torus]
    got = circulant.apply_tiles(plan, given, core, halo)
    want = oracles.circulant_apply_tiles(blocks, torus, v, core, halo)
    assert_close(got, want, dtype)
    np.testing.assert_array_equal(given.get(), v)
    blocks = random((2, 4, 6, *torus[:2], last), "complex128")
    plan = circulant.prepare(blocks, torus, dtype)
    v, out, parts = circulant_parts(torus, dtype)
    want = oracles.circulant_apply_parts(blocks, torus, v, out, parts)
    out = cupy.asarray(out)
    assert circulant.apply_parts(plan, cupy.asarray(v), out, parts) is None
    assert_close(out, want, dtype)


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


class TestGrids:
    HUGE = [1, 2, 31, 33, 255, 257, 65535, 10**6, 2**31, 2**40]

    @pytest.mark.parametrize("n", HUGE)
    def test_vectors_fit_any_device(self, n):
        for batch in self.HUGE:
            x, y = launcher.vector_grid(n, batch)
            assert 1 <= x <= min(launcher.MAX_X, n) and 1 <= y <= min(65535, batch)

    @pytest.mark.parametrize("columns", HUGE)
    def test_images_fit_any_device(self, columns):
        for rows in self.HUGE:
            (x, y, z), (width, height) = launcher.image_grid(columns, rows, 2**33)
            assert width * height == launcher.THREADS
            assert x <= 2**31 - 1 and y <= 65535 and z == 65535
            assert (x - 1) * width < columns and (y - 1) * height < rows
            if rows == 1:
                assert width == min(256, 1 << (columns - 1).bit_length())

    def test_nothing_is_launched_for_empty_arrays(self):
        launcher.launch(None, (0, 1), (256,))


SANITIZED = """
import sys

sys.path[:0] = {path!r}
from support.cuda_host import fake_cupy, host_module, installed
from convinv.kernels import launcher
import test_cuda_kernels as t

host_module.GUARD = 0  # the sanitizer's own guards reach up to the array
fake_cupy.RawModule.sanitize = {sanitizer!r}
with installed() as cupy:
    from convinv.kernels.circulant import cuda as circulant_cuda
    from convinv.kernels.correlate import cuda as correlate_cuda
    from convinv.kernels.vectors import cuda as vectors_cuda
    from convinv.kernels.windows import cuda as windows_cuda

    {body}
"""
BOUNDS = """
    for name in t.LAYERS:
        t.run_layer(cupy, correlate_cuda, name, "float32", 2)
    get = type(cupy.zeros(1)).get
    t.check_vectors(vectors_cuda, cupy.asarray, get, True, "float32", 3, 4099)
    t.check_project(vectors_cuda, cupy.asarray, get, True, "float32", 3, 4099)
    for name in t.WINDOWS:
        t.check_windows(cupy, windows_cuda, name, "float32")
    for name in t.CIRCULANTS:
        t.check_circulant(cupy, circulant_cuda, name, "float32")
"""
BEYOND = """
    outside = cupy.RawModule(code=t.TestHarness.CODE).get_function("outside")
    outside((1,), (1,), (cupy.zeros(5000, "f4"), t.np.int32(5000)))
"""
RACES = """
    launcher.MAX_YZ = 1  # so that a block sums again and again
    x = cupy.asarray(t.random((3, 300), "complex64"))
    vectors_cuda.dot(x, x)
    from convinv.kernels.correlate import cuda_tiles as tiles
    tiles.ENOUGH = 1  # so that shared memory is filled again and again
    t.run_layer(cupy, correlate_cuda, "groups", "complex64", 1)
    tiles.SHARED = 0
    t.run_layer(cupy, correlate_cuda, "groups", "complex64", 1)
"""
NO_BARRIER = """
    text = launcher.source
    launcher.source = lambda name: text(name).replace("__syncthreads();  //", "//")
    launcher.MAX_YZ = 1
    x = cupy.asarray(t.random((3, 300), "complex64"))
    for _ in range(8):  # whether threads meet is chance
        vectors_cuda.dot(x, x)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sanitizer, body, report",
    [
        ("address", BOUNDS, None),
        ("address", BEYOND, "heap-buffer-overflow"),
        ("thread", RACES, None),
        ("thread", NO_BARRIER, "data race"),
    ],
    ids=["bounds", "out of bounds", "races", "race"],
)
def test_sanitizers(tmp_path, sanitizer, body, report):
    name = {"address": "libasan.so", "thread": "libtsan.so"}[sanitizer]
    command = ["g++", f"-print-file-name={name}"]
    library = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(library):
        pytest.skip(f"{name} is not installed")
    here = pathlib.Path(__file__).parent
    path = [str(here), *(str(folder) for folder in here.parents[:2])]
    script = tmp_path / "run.py"
    script.write_text(
        SANITIZED.format(path=path, sanitizer=sanitizer, body=body.strip())
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "LD_PRELOAD": library,
            "OPENBLAS_NUM_THREADS": "1",
            "ASAN_OPTIONS": "detect_leaks=0",
            "TSAN_OPTIONS": "exitcode=66",
        },
    )
    if report is None:
        assert done.returncode == 0, done.stderr[-3000:]
    else:
        assert report in done.stderr and done.returncode != 0, done.stderr[-3000:]


def test_compiled_code_is_kept_by_its_text():
    """A change of kernel text cannot meet the library of the old one."""
    one, two = (
        host_module.HostRawModule(
            code='extern "C" __global__ void f(int* y) { *y = %d; }' % n
        )
        for n in (1, 2)
    )
    for n, module in (1, one), (2, two):
        y = np.zeros(1, "int32")
        module.get_function("f")((1,), (1,), (y,))
        assert y[0] == n
