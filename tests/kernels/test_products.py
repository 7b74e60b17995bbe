"""Products by FFT equal the layer's matrix, and are taken where they cost less."""

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from convinv import ConvLinearOperator, solve
from convinv._core.boundaries import BOUNDARIES
from convinv._core.geometry import make_geometry
from convinv.kernels.circulant import cpu as circulant_cpu
from convinv.kernels.products import fft, routes
from convinv.kernels.products.edges import Edges
from convinv.kernels.products.fft import Plan
from convinv.kernels.products.fft_axes import fast_length
from convinv.kernels.products.fft_tiles import MOST, TIMES, choose
from convinv.kernels.products.route_costs import FEW, count_taps, fft_torus
from support import oracles
from support.arrays import DTYPES, random
from support.random_layers import (
    configurations,
    full_options,
    random_layer,
    wide_kernel,
)
from support.waits import counted, waits

SIZES = {1: (23,), 2: (9, 11), 3: (5, 6, 4)}
TAPS = {1: (6,), 2: (3, 4), 3: (2, 1, 3)}


def tiled(torus, outputs=3):
    """The torus with tiles of a few outputs, and parts of two rows."""
    lengths = tuple(
        (
            length
            if axis.kernel == 1 or axis.ring
            else fast_length(axis.taps + outputs - 1, even=True)
        )
        for axis, length in zip(torus.axes, torus.lengths)
    )
    return torus._replace(lengths=lengths, rows=(2, 2, 2))


CUTS = {"whole": lambda torus: torus, "tiled": tiled}


@pytest.fixture
def by_fft(monkeypatch):
    """``by_fft(cut)``: all layers by FFT from now on, cut in that way."""

    def force(cut="whole"):
        monkeypatch.setattr(
            routes,
            "fft_torus",
            lambda g, dtype, taps, gpu: CUTS[cut](choose(g, dtype)),
        )

    return force


def layer(ndim=2, dtype="float64", groups=1, **options):
    kernel = random((3 * groups, 2, *TAPS[ndim]), dtype)
    return ConvLinearOperator(
        kernel, (2 * groups, *SIZES[ndim]), groups=groups, **options
    )


def assert_close(got, want, dtype):
    """To rounding, relative to the largest number."""
    assert got.shape == want.shape and got.dtype == dtype
    scale = np.max(np.abs(want), initial=1e-300)
    assert np.max(np.abs(got - want), initial=0) <= 30 * np.finfo(dtype).eps * scale


def check(op):
    """Products of two items, against the matrix and each other."""
    assert type(op.plan(op.dtype)) is Plan
    matrix = op.tosparse().astype(np.result_type(op.dtype, "float64"))
    x = random((2, op.shape[1]), op.dtype, 1)
    y = random((2, op.shape[0]), op.dtype, 2)
    forward = op.forward(x.reshape(2, *op.input_shape)).reshape(2, -1)
    adjoint = op.adjoint(y.reshape(2, *op.output_shape)).reshape(2, -1)
    assert_close(forward, (matrix @ x.T).T, op.dtype)
    assert_close(adjoint, (matrix.conj().T @ y.T).T, op.dtype)
    one, other = np.vdot(y, forward), np.vdot(adjoint, x)
    size = np.linalg.norm(y) * np.linalg.norm(forward)
    assert abs(one - other) <= 10 * np.finfo(op.dtype).eps * size


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_contract(by_fft, boundary, ndim, dtype, cut):
    """Every stride with every dilation, grouped or not."""
    by_fft(cut)
    for stride, dilation, groups in itertools.product((1, 2), (1, 2), (1, 2)):
        padding = tuple((1 + axis, 2) for axis in range(ndim))
        check(
            layer(ndim, dtype, groups, stride=stride, dilation=dilation,
                  padding=padding, boundary=boundary)
        )  # fmt: skip


@pytest.mark.parametrize("cut", CUTS)
def test_rings(by_fft, cut):
    """Periodic layers that keep the size need no padding, whatever the parity."""
    by_fft(cut)
    for size, taps, dtype in itertools.product(
        ((8, 9), (9, 8), (5, 7), (13, 6)), ((3, 3), (11, 4), (1, 3)), DTYPES[::3]
    ):
        op = ConvLinearOperator(
            random((2, 1, *taps), dtype), (1, *size), padding="same", dilation=(1, 2),
            boundary="periodic",
        )  # fmt: skip
        axes = op.plan(op.dtype).torus.axes
        # 13 is no length for an FFT
        rings = [n != 13 and k > 1 for n, k in zip(size, taps)]
        assert [axis.ring for axis in axes[1:]] == rings
        check(op)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("cut", CUTS)
def test_kernels_larger_than_the_image(by_fft, boundary, cut):
    by_fft(cut)
    for taps, padding in (
        ((5, 7), "same"), ((9, 16), "same"), ((5, 7), ((9, 8), (11, 3))),
        ((11, 13), ((5, 20), (20, 6))), ((2, 1), 6),
    ):  # fmt: skip
        check(
            ConvLinearOperator(
                random((2, 2, *taps), "float64"), (2, 5, 7), padding=padding,
                boundary=boundary,
            )
        )  # fmt: skip


@settings(max_examples=150)
@given(configurations(), st.sampled_from(sorted(CUTS)))
def test_random_layers(c, cut):
    rng, batch, kernel, op = random_layer(c)
    g = op.geometry
    torus = CUTS[cut](choose(g, op.dtype))
    plan = Plan(np, np.ascontiguousarray(op.weights), g, torus)
    count, options = math.prod(batch), full_options(op)
    kernel = wide_kernel(kernel, op)
    x = random((count, *op.input_shape), op.dtype, 1)
    y = random((count, *op.output_shape), op.dtype, 2)
    got, _ = plan.forward(x.reshape(count, g.c_in, *g.input))
    want = oracles.correlate_forward(kernel, x, **options)
    bound = 60 * np.finfo(op.dtype).eps * (np.abs(kernel).sum() + 1)
    assert np.max(np.abs(got.reshape(want.shape) - want)) <= bound * 5
    got, _ = plan.adjoint(y.reshape(count, g.c_out, *g.output))
    want = oracles.correlate_adjoint(kernel, y, op.input_shape, **options)
    shown = max(math.prod(g.padded) / math.prod(g.input), 1)
    assert np.max(np.abs(got.reshape(want.shape) - want)) <= bound * 5 * shown


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("boundary", ["zero", "reflect", "periodic"])
def test_out_and_norms(by_fft, dtype, boundary):
    """Whatever `out` held before is gone, and nothing beside it is written."""
    by_fft()
    for stride in (1, 2):
        op = layer(dtype=dtype, stride=stride, padding=((1, 1), (1, 2)),
                   boundary=boundary)  # fmt: skip
        for name, shapes in (
            ("apply", (op.input_shape, op.output_shape)),
            ("apply_adjoint", (op.output_shape, op.input_shape)),
        ):
            given_ = random((3, *shapes[0]), dtype, 1)
            before, product = given_.copy(), getattr(op, name)
            want = product(given_)
            around = np.full(want.size + 20, np.nan, dtype)
            out = around[10:-10].reshape(want.shape)
            got, sums = product(given_, sumsq=True, out=out)
            assert np.shares_memory(got, around)
            np.testing.assert_array_equal(got, want)
            assert np.isnan(around[:10]).all() and np.isnan(around[-10:]).all()
            np.testing.assert_array_equal(given_, before)
            assert sums.shape == (3,) and sums.dtype == "float64"
            own = oracles.vectors_sumsq(want.reshape(3, -1))
            np.testing.assert_allclose(sums, own, rtol=1e-12)


@pytest.mark.parametrize("cut", CUTS)
def test_batches_in_pieces(by_fft, monkeypatch, cut):
    by_fft(cut)
    for options in ({}, {"padding": 2, "boundary": "symmetric"}):
        op = layer(**options)
        x = random((7, *op.input_shape), seed=1)
        y = random((7, *op.output_shape), seed=2)
        want = op.forward(x), op.adjoint(y)
        with monkeypatch.context() as patch:
            patch.setattr(fft, "PADDED", 3 * x[0].nbytes)
            patch.setattr(circulant_cpu, "PIECE", 1)
            patch.setattr(circulant_cpu, "WHOLE", 1)
            got = op.forward(x), op.adjoint(y)
        for a, b in zip(got, want):
            assert_close(a, b, "float64")
        assert op.forward(x[:0]).shape == (0, *op.output_shape)
        assert op.adjoint(y[:0]).shape == (0, *op.input_shape)


def test_items_are_independent(by_fft):
    by_fft()
    op = layer(padding=1)
    x = random((3, *op.input_shape), seed=1)
    want = op.forward(x)
    x[1] = np.nan
    got = op.forward(x)
    np.testing.assert_array_equal(got[::2], want[::2])
    assert np.isnan(got[1]).all()


def test_single_precision():
    """Relative to the largest number, as FFTs have it; and the dtype stays."""
    kernel = random((1, 1, 33, 33), "float32")
    op = ConvLinearOperator(kernel, (1, 150, 160), padding="same")
    assert type(op.plan(op.dtype)) is Plan
    x = random(op.input_shape, "float32", 1)
    got, want = op.forward(x), op.astype("float64").forward(x.astype("float64"))
    assert got.dtype == "float32"
    assert np.max(np.abs(got - want)) <= 1e-6 * np.max(np.abs(want))


@pytest.mark.parametrize("boundary", [b for b in BOUNDARIES if b != "zero"])
def test_padding_and_its_adjoint(boundary):
    for size, padding, axes in (
        ((3, 5, 4), ((2, 1), (0, 4), (1, 3)), (0, 1, 2)),
        ((2, 3, 2), ((5, 7), (8, 0), (3, 3)), (0, 1, 2)),
        ((1, 4, 5), ((4, 2), (1, 1), (2, 2)), (0, 2)),
    ):
        g = make_geometry(
            (1, 1, 1, 1, 1), (1, *size), stride=1, padding=padding, dilation=1,
            groups=1, boundary=boundary,
        )  # fmt: skip
        edges, x = Edges(g, axes), random((2, 3, *size))
        widths = [padding[a] if a in axes else (0, 0) for a in range(3)]
        padded = edges.pad(np, x)
        mode = oracles.MODES[boundary]
        np.testing.assert_array_equal(
            padded, np.pad(x, [(0, 0), (0, 0), *widths], mode=mode)
        )
        v = random(padded.shape, seed=1)
        want = np.vdot(v, padded)
        assert np.vdot(edges.fold(v.copy()), x) == pytest.approx(want, rel=1e-12)


class TestRoute:
    @staticmethod
    def by_fft(taps, size, channels=1, dtype="float32", left=None, **options):
        shape = (channels, channels, *taps)
        g = make_geometry(
            shape, (channels, *size),
            **{"stride": 1, "padding": 0, "dilation": 1, "groups": 1,
               "boundary": "zero", **options},
        )  # fmt: skip
        left = math.prod(taps) if left is None else left
        return fft_torus(g, dtype, left) is not None

    def test_small_kernels_are_direct(self):
        for size, dtype in itertools.product((64, 1024), DTYPES):
            for channels in (1, 8):
                assert not self.by_fft((3, 3), (size, size), channels, dtype)
        assert not self.by_fft((3, 3, 3), (64, 64, 64))
        assert not self.by_fft((7, 7), (512, 512))

    def test_large_kernels_are_transformed(self):
        for dtype in DTYPES:
            assert self.by_fft((63, 63), (256, 256), dtype=dtype)
            assert self.by_fft((31, 31), (256, 256), 8, dtype)
            assert self.by_fft((31, 31), (256, 256), 8, dtype, stride=2)
        assert self.by_fft((16, 48, 48), (16, 48, 48), padding="same")

    def test_only_taps_that_are_left_count(self):
        assert self.by_fft((63, 63), (256, 256))
        assert not self.by_fft((63, 63), (256, 256), left=63)
        assert not self.by_fft((63, 63), (256, 256), left=FEW)

    def test_count_of_taps(self):
        kernel = np.zeros((2, 3, 1, 4, 5))
        kernel[0, 1, 0, 2, 3] = kernel[1, 2, 0, 2, 3] = kernel[1, 0, 0, 0, 0] = 1
        assert count_taps(kernel) == 2
        assert count_taps(kernel.astype(complex)) == 2
        assert count_taps(kernel * 1j) == 2
        assert count_taps(kernel + 1j * kernel[..., ::-1]) == 4

    def test_a_kernel_of_few_taps_gives_the_same_by_both_routes(self, by_fft):
        kernel = random((1, 1, 63, 63))
        kernel[..., np.random.default_rng(1).random((63, 63)) < 0.99] = 0
        op = ConvLinearOperator(kernel, (1, 128, 128), padding="same")
        assert type(op.plan(op.dtype)) is routes.Direct
        x, y = (random(op.input_shape, seed=seed) for seed in (1, 2))
        direct = op.forward(x), op.adjoint(y)
        by_fft()
        again = op.bare()
        assert type(again.plan(op.dtype)) is Plan
        for got, want in zip((again.forward(x), again.adjoint(y)), direct):
            assert_close(got, want, "float64")

    def test_a_kernel_of_zeros(self):
        op = ConvLinearOperator(np.zeros((2, 1, 31, 31)), (1, 64, 64), padding="same")
        assert not op.forward(np.ones(op.input_shape)).any()
        assert not op.adjoint(np.ones(op.output_shape)).any()

    def test_matrices_have_a_limit(self):
        """Many channels: smaller tiles rather than more memory."""
        g = make_geometry(
            (64, 64, 31, 31), (64, 512, 512), stride=1, padding=15, dilation=1,
            groups=1, boundary="zero",
        )  # fmt: skip
        torus = choose(g, "float32")
        kernel = 4 * math.prod((64, 64, 31, 31))
        assert 4 * 64**2 * math.prod(torus.lengths) <= max(MOST, TIMES * kernel)


class TestOperator:
    """What an operator keeps and hands on, with a kernel that is transformed."""

    @staticmethod
    def make(dtype="float32"):
        kernel = random((2, 1, 25, 25), dtype)
        op = ConvLinearOperator(kernel, (1, 64, 64), padding="same")
        assert type(op.plan(op.dtype)) is Plan
        return op

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_copies_do_the_same(self, dtype):
        op = self.make(dtype)
        x, y = random(op.input_shape, dtype, 1), random(op.output_shape, dtype, 2)
        want = op.forward(x), op.adjoint(y)
        pickled = pickle.dumps(op)
        assert len(pickled) < 2 * op.kernel.nbytes  # no transforms
        for other in (pickle.loads(pickled), op.bare()):
            np.testing.assert_array_equal(other.forward(x), want[0])
            np.testing.assert_array_equal(other.adjoint(y), want[1])
        np.testing.assert_array_equal(op.H.forward(y), want[1])
        np.testing.assert_array_equal(op.H.H.forward(x), want[0])
        assert_close(op.T.forward(y), op.adjoint(y.conj()).conj(), dtype)

    def test_every_dtype_has_a_plan(self):
        op = self.make()
        x = random(op.input_shape, "float64", 1)
        assert op.forward(x).dtype == "float64"
        want = op.astype("float64").forward(x)
        assert_close(op.forward(x), want, "float64")
        assert op.forward(x + 1j).dtype == "complex128"

    def test_solve(self):
        """A method's loop, with its sums of squares and reused outputs."""
        kernel = 0.01 * random((2, 1, 25, 25))
        kernel[:, :, 12, 12] += 1
        op = ConvLinearOperator(kernel, (1, 64, 64), padding="same")
        assert type(op.plan(op.dtype)) is Plan
        x = random((2, *op.input_shape), seed=1)
        result = solve(op, op.forward(x), "cgls", rtol=1e-10)
        assert result.success
        np.testing.assert_allclose(result.x, x, atol=1e-7)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_cupy(cupy, by_fft, dtype, cut):
    """As on the host, without waiting for the device but for the first time."""
    by_fft(cut)
    for options in (
        {}, {"stride": 2}, {"dilation": (2, 1)},
        *({"padding": ((1, 2), (1, 1)), "boundary": b} for b in BOUNDARIES),
        {"padding": "same", "boundary": "periodic"},
    ):  # fmt: skip
        host = layer(dtype=dtype, groups=2, **options)
        device = ConvLinearOperator(
            cupy.asarray(host.kernel), host.input_shape, groups=2, **options
        )
        x = random((2, *host.input_shape), dtype, 1)
        y = random((2, *host.output_shape), dtype, 2)
        given_ = cupy.asarray(x), cupy.asarray(y)
        want = host.forward(x), host.adjoint(y)
        device.forward(given_[0]), device.adjoint(given_[1])
        before = waits(cupy)
        got = device.forward(given_[0]), device.adjoint(given_[1])
        out = cupy.empty((2, *host.output_shape), dtype=dtype)
        again, sums = device.apply(given_[0], sumsq=True, out=out)
        assert not counted(cupy) or waits(cupy) == before
        for a, b in zip(got, want):
            assert_close(a.get(), b, dtype)
        np.testing.assert_array_equal(out.get(), got[0].get())
        own = oracles.vectors_sumsq(got[0].get().reshape(2, -1))
        np.testing.assert_allclose(sums.get(), own, rtol=1e-12)
