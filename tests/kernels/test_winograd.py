"""Winograd's products equal the definition, within the bound that they state."""

import itertools
import tracemalloc

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._core import threads
from convinv._core.boundaries import BOUNDARIES
from convinv._core.geometry import make_geometry
from convinv.kernels.correlate import winograd, winograd_cpu
from convinv.kernels.products import routes
from convinv.kernels.products.fft import Plan
from support import oracles
from support.arrays import random

FLOATS = ("float32", "float64")
LAYERS = {
    "valid": ((9, 5, 3, 3), (5, 13, 22), {}),
    "smallest": ((3, 4, 3, 3), (4, 3, 3), {}),
    "padded": ((4, 17, 3, 3), (17, 4, 70), {"padding": 1}),
    "uneven": ((11, 3, 3, 3), (3, 10, 9), {"padding": ((0, 2), (5, 1))}),
    "groups": ((6, 2, 3, 3), (6, 8, 6), {"groups": 3, "padding": 1}),
    **{
        f"{name} {padding}": (
            (3, 4, 3, 3), (4, 5, 18), {"padding": padding, "boundary": name}
        )
        for name in BOUNDARIES
        for padding in (((1, 2), (2, 1)), ((0, 0), (3, 0)), 7)
    },
}  # fmt: skip
DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "boundary": "zero"}


class Case:
    """A layer, its plan, data of both sides, and the products by the definition."""

    def __init__(self, layer, dtype, batch=2):
        shape, input_shape, options = LAYERS[layer]
        self.g = make_geometry(shape, input_shape, **{**DEFAULTS, **options})
        self.kernel = random(shape, dtype)
        self.plan = winograd_cpu.prepare(self.kernel[:, :, None], self.g)
        self.x = random((batch, *self.g.input_shape), dtype, 1)
        self.y = random((batch, *self.g.output_shape), dtype, 2)
        self.wanted = exact(self.g, self.kernel, x=self.x), exact(
            self.g, self.kernel, y=self.y
        )

    def forward(self, x, *args):
        return winograd_cpu.forward(self.plan, stored(x), *args)

    def adjoint(self, y, *args):
        return winograd_cpu.adjoint(self.plan, stored(y), *args)

    def both(self):
        return (self.forward, self.x), (self.adjoint, self.y)


def stored(images):
    """With three spatial axes."""
    return images[:, :, None]


def exact(g, kernel, x=None, y=None):
    """A product in double precision, by the definition."""
    options = {
        "stride": g.stride[1:],
        "padding": [*zip(g.before, g.after)][1:],
        "dilation": g.dilation[1:],
        "groups": g.groups,
        "boundary": g.boundary,
    }
    if y is None:
        return oracles.correlate_forward(kernel, x, **options)
    return oracles.correlate_adjoint(kernel, y, g.input_shape, **options)


def bounds(kernel, images):
    """The stated bound of every result channel, for the largest samples of an image."""
    found = [winograd.error_bound(kernel, abs(x).max((1, 2))) for x in images]
    return np.stack(found)[..., None, None]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", FLOATS)
class TestContract:
    def test_equals_oracle(self, layer, dtype):
        case = Case(layer, dtype)
        for (product, array), wanted in zip(case.both(), case.wanted):
            before = array.copy()
            got, none = product(array)
            assert none is None and got.dtype == dtype
            error = np.abs(got[:, :, 0] - wanted).max()
            assert error <= 300 * np.finfo(dtype).eps * np.abs(wanted).max()
            np.testing.assert_array_equal(array, before)

    def test_norms(self, layer, dtype):
        for product, array in Case(layer, dtype).both():
            plain, _ = product(array)
            got, sums = product(array, True)
            np.testing.assert_array_equal(got, plain)
            assert sums.shape == (2,) and sums.dtype == "float64"
            own = oracles.vectors_sumsq(got.reshape(2, -1))
            np.testing.assert_allclose(sums, own, rtol=1e-12)

    def test_out_is_overwritten(self, layer, dtype):
        """Whatever it held before, and nothing beside it."""
        for product, array in Case(layer, dtype).both():
            expected, _ = product(array)
            around = np.full(expected.size + 200, np.nan, dtype)
            out = around[100:-100].reshape(expected.shape)
            got, _ = product(array, False, out)
            assert np.shares_memory(got, out)
            np.testing.assert_array_equal(got, expected)
            assert np.all(np.isnan(around[:100])) and np.all(np.isnan(around[-100:]))

    def test_batches_are_independent(self, layer, dtype):
        for product, array in Case(layer, dtype, batch=5).both():
            together, sums = product(array, True)
            for i in range(5):
                alone, its = product(array[i : i + 1], True)
                np.testing.assert_array_equal(alone[0], together[i])
                assert its[0] == sums[i]
            array[1] = np.nan
            again, _ = product(array)
            others = [0, 2, 3, 4]
            np.testing.assert_array_equal(again[others], together[others])


def test_same_bits_however_tasks_are_cut(monkeypatch):
    """By threads, and in segments of rows."""
    case = Case("padded", "float32", batch=7)
    want = [product(array, True) for product, array in case.both()]
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        monkeypatch.setattr(winograd_cpu, "thread_count", lambda count=count: count)
        for (product, array), (wanted, sums) in zip(case.both(), want):
            got, own = product(array, True)
            np.testing.assert_array_equal(got, wanted)
            np.testing.assert_array_equal(own, sums)
    monkeypatch.setattr(winograd_cpu, "BUFFER_BYTES", 1)
    monkeypatch.setattr(winograd_cpu, "LEAST", 1)
    for (product, array), (wanted, _) in zip(case.both(), want):
        np.testing.assert_array_equal(product(array)[0], wanted)


def test_empty_batch():
    for name in ("valid", "reflect 7"):
        for product, array in Case(name, "float64").both():
            got, sums = product(array[:0], True)
            assert got.shape[0] == 0 and sums.shape == (0,)


def test_matrices_are_exact():
    """Every product of samples and taps, in fractions."""
    for i, u, s in itertools.product(range(4), range(3), range(6)):
        found = sum(
            row * filters[u] * samples[s]
            for row, filters, samples in zip(
                winograd.RESULTS[i], winograd.FILTERS, winograd.SAMPLES
            )
        )
        assert found == (s == i + u)


class TestErrors:
    """Layers of many channels, against products in a higher precision."""

    @staticmethod
    def layer(dtype, channels=(40, 36), size=(20, 23), **options):
        kernel = random((*channels, 3, 3), dtype)
        op = ConvLinearOperator(kernel, (channels[1], *size), **options)
        assert type(op.plan(op.dtype)) is routes.Winograd
        return op

    @staticmethod
    def products(op, x, y):
        """(product, by the definition, bound) of both directions."""
        g, kernel = op.geometry, op.kernel
        yield op.forward(x), exact(g, kernel, x=x), bounds(kernel, x)
        yield op.adjoint(y), exact(g, kernel, y=y), bounds(kernel.swapaxes(0, 1), y)

    def check(self, op, x, y):
        for got, want, bound in self.products(op, x, y):
            assert np.all(np.abs(got - want) <= bound)

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_random(self, dtype):
        """Far below the bound: the root mean square is some roundings."""
        op = self.layer(dtype, padding=1)
        x = random((2, *op.input_shape), dtype, 1)
        y = random((2, *op.output_shape), dtype, 2)
        self.check(op, x, y)
        for got, want, _ in self.products(op, x, y):
            error = np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2))
            assert error <= 15 * np.finfo(dtype).eps

    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("seed", range(3))
    def test_badly_scaled_channels(self, dtype, seed):
        op = self.layer(dtype)
        rng = np.random.default_rng(seed)
        scales = 10 ** rng.uniform(-6, 6, op.input_shape[0]).astype(dtype)
        x = random((2, *op.input_shape), dtype, seed) * scales[:, None, None]
        kernel = op.kernel / scales[:, None, None]
        scales = 10 ** rng.uniform(-6, 6, op.output_shape[0]).astype(dtype)
        y = random((2, *op.output_shape), dtype, seed) * scales[:, None, None]
        self.check(op, x, y)
        self.check(op.with_kernel(kernel), x, y)

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_offset(self, dtype):
        op = self.layer(dtype, padding=1)
        x = 1000 + random((2, *op.input_shape), dtype, 1)
        y = 1000 + random((2, *op.output_shape), dtype, 2)
        self.check(op, x, y)

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_tiny_taps(self, dtype):
        """Kernels of one large tap among tiny ones, and of tiny ones alone."""
        op = self.layer(dtype)
        kernel = 1e-6 * op.kernel
        tiny = op.with_kernel(kernel.copy())
        kernel[..., 1, 1] += 1
        x = random((2, *op.input_shape), dtype, 1)
        y = random((2, *op.output_shape), dtype, 2)
        for each in (tiny, op.with_kernel(kernel)):
            self.check(each, x, y)

    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_adjoint_is_the_transpose(self, dtype, boundary):
        op = self.layer(dtype, padding=((1, 1), (0, 2)), boundary=boundary)
        x = random((1, *op.input_shape), dtype, 1).astype("float64")
        y = random((1, *op.output_shape), dtype, 2).astype("float64")
        forward = op.forward(x.astype(dtype)).astype("float64")
        adjoint = op.adjoint(y.astype(dtype)).astype("float64")
        size = np.linalg.norm(y) * np.linalg.norm(forward)
        apart = abs(np.vdot(y, forward) - np.vdot(adjoint, x))
        assert apart <= 10 * np.finfo(dtype).eps * size

    def test_not_finite(self):
        """Only the tiles that read the sample are spoiled."""
        op = self.layer("float32", size=(20, 21))
        x = random(op.input_shape, "float32", 1)
        want = op.forward(x)
        x[3, 9, 10] = np.inf
        got = op.forward(x)
        spoiled = ~np.isfinite(got).all(0)
        assert spoiled[7:10, 8:11].all()
        assert not spoiled[:4].any() and not spoiled[:, 12:].any()
        np.testing.assert_array_equal(got[:, ~spoiled], want[:, ~spoiled])


class TestChoice:
    @staticmethod
    def route(*shape, size=(20, 20), dtype="float32", **options):
        kernel = random(shape, dtype)
        channels = shape[1] * options.get("groups", 1)
        op = ConvLinearOperator(kernel, (channels, *size), **options)
        return type(op.plan(op.dtype))

    def test_thick_layers(self):
        assert self.route(64, 64, 3, 3) is routes.Winograd
        assert self.route(64, 32, 3, 3, dtype="float64") is routes.Winograd
        assert self.route(64, 32, 3, 3, groups=2, padding=1) is routes.Winograd

    @pytest.mark.parametrize(
        "shape, options",
        [
            ((64, 31, 3, 3), {}),
            ((31, 64, 3, 3), {}),
            ((64, 16, 3, 3), {"groups": 4}),
            ((64, 64, 3, 3), {"stride": 2}),
            ((64, 64, 3, 3), {"stride": (1, 2)}),
            ((64, 64, 3, 3), {"dilation": 2}),
            ((64, 64, 1, 3), {}),
            ((64, 64, 5, 5), {}),
            ((64, 64, 3, 3), {"dtype": "complex64"}),
            ((64, 64, 1, 3, 3), {"size": (1, 20, 20)}),
            ((64, 64, 3, 3), {"padding": 3}),
            ((64, 64, 3, 3), {"size": (8, 9)}),
        ],
    )
    def test_other_layers(self, shape, options):
        assert self.route(*shape, **options) in (routes.Direct, Plan)

    def test_taps_that_are_zero(self):
        """A border that a channel does not see stays exactly zero."""
        kernel = random((64, 64, 3, 3))
        kernel[:, 5] = 0
        op = ConvLinearOperator(kernel, (64, 20, 20))
        assert type(op.plan(op.dtype)) is routes.Winograd
        for channel in ((slice(None), 7), (7, slice(None))):
            some = kernel.copy()
            some[(*channel, slice(None), 0)] = 0
            assert type(op.with_kernel(some).plan(op.dtype)) is routes.Direct

    @pytest.mark.parametrize("boundary", ["zero", "reflect"])
    def test_memory(self, boundary):
        """What is kept and what a product takes are counted."""
        kernel = random((64, 48, 3, 3), "float32")
        op = ConvLinearOperator(kernel, (48, 40, 41), padding=1, boundary=boundary)
        plan, x = op.plan(op.dtype), random((3, 48, 1, 40, 41), "float32")
        y = np.empty((3, 64, 1, 40, 41), "float32")
        plan.forward(x, False, y), plan.adjoint(y, False, x)  # compiles
        fresh = op.with_kernel(kernel).plan(op.dtype)
        tracemalloc.start()
        try:
            fresh.forward(x, False, y), fresh.adjoint(y, False, x)
            kept, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert fresh.nbytes == 2 * 36 * 64 * 48 * 4
        assert fresh.nbytes <= kept <= 1.1 * fresh.nbytes + 2e4
        assert most <= fresh.nbytes + fresh.scratch_bytes(3) + kernel.nbytes * 4
        spare = 3 * 48 * 2 * 41 * 4 if boundary == "reflect" else 0
        assert fresh.scratch_bytes(3) >= spare + 36 * 48 * 16 * 4

    @pytest.mark.parametrize("method", ["cgls", "lsmr"])
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_solve(self, method, dtype):
        rng = np.random.default_rng(0)
        kernel = 0.1 * rng.standard_normal((48, 32, 3, 3)) / 17
        kernel[:32, :, 1, 1] += np.eye(32)
        op = ConvLinearOperator(kernel.astype(dtype), (32, 24, 24), padding=1)
        assert type(op.plan(op.dtype)) is routes.Winograd
        x = random((2, *op.input_shape), dtype, 1)
        result = solve(op, op.forward(x), method, rtol=1e-6)
        assert result.success
        np.testing.assert_allclose(result.x, x, atol=1e-4)
