"""Single images in chunks: tiles and iterations, against solves in memory."""

import numpy as np
import pytest

import convinv
from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv._core.boundaries import BOUNDARIES

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

ALL = sorted(BOUNDARIES)
CHUNKS = [(16, 20), (64, 3), (41, 33)]  # shorter than a halo, and of no common size


def layer(boundary="zero", dtype="float64", size=(64, 60)):
    """Three channels to eight, well conditioned."""
    kernel = convinv.gallery.conv_layer(3, 8, rng=5).astype(dtype)
    return ConvLinearOperator(kernel, (3, *size), padding=1, boundary=boundary)


def noisy(op, batch=(), seed=1):
    rng = np.random.default_rng(seed)
    b = op.forward(rng.standard_normal((*batch, *op.input_shape)))
    return (b + 0.1 * rng.standard_normal(b.shape)).astype(op.dtype)


def cut(b, *chunks):
    lead = (1,) * (b.ndim - 1 - len(chunks))
    return da.from_array(b, chunks=(*lead, -1, *chunks))


def far(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


class TestTiles:
    @pytest.mark.parametrize("chunks", CHUNKS)
    @pytest.mark.parametrize("boundary", ALL)
    def test_x_is_that_in_memory(self, boundary, chunks):
        op = layer(boundary)
        b = noisy(op)
        expected = solve(op, b, rtol=1e-13, on_failure="ignore").x
        array = cut(b, *chunks)
        result = solve(op, array, rtol=1e-11, tile=24, halo=12)
        assert result.success and result.method == "tiles"
        assert result.x.chunks == ((3,), *array.chunks[1:])
        assert far(result.x.compute(), expected) < 1e-10
        left = b - op.forward(expected)
        assert np.isclose(result.residual_norm, np.linalg.norm(left), rtol=1e-9)
        assert result.nit == len(result.history) > 1

    def test_single_precision(self):
        op = layer("reflect", "float32")
        b = noisy(op)
        wide = op.astype("float64")
        expected = solve(wide, b.astype("float64"), rtol=1e-12, on_failure="ignore").x
        result = solve(op, cut(b, 20, 20), rtol=1e-6, tile=24, halo=12)
        assert result.success and result.x.dtype == np.float32
        assert far(result.x.compute(), expected) < 1e-6

    def test_a_batch(self):
        op = layer(size=(40, 36))
        b = noisy(op, (2, 3))
        b[1, 1] *= 1e3
        array = da.from_array(b, chunks=(2, 2, 8, 20, 18))
        expected = solve(op, b, rtol=1e-12, on_failure="ignore")
        result = solve(op, array, rtol=1e-10, tile=20, halo=12)
        assert result.success and result.extra["success"].shape == (2, 3)
        assert np.allclose(result.residual_norm, expected.residual_norm, rtol=1e-8)
        assert result.history.shape == (result.nit, 2, 3)
        assert far(result.x.compute(), expected.x) < 1e-9

    def test_a_penalty(self):
        blur = ConvLinearOperator(np.full((1, 1, 5, 5), 0.04), (1, 60, 50), padding=2)
        b = noisy(blur)
        options = {"damp": 0.5, "regularizer": "gradient"}
        expected = solve(blur, b, rtol=1e-12, on_failure="ignore", **options)
        result = solve(blur, cut(b, 20, 17), rtol=1e-9, tile=30, halo=15, **options)
        assert result.success and result.extra["damp"] == 0.5
        assert far(result.x.compute(), expected.x) < 1e-8
        wanted = expected.extra["penalty_norm"]
        assert np.isclose(result.extra["penalty_norm"], wanted, rtol=1e-6)

    @pytest.mark.parametrize("regularizer", [None, "gradient"])
    def test_a_rule_looks_at_windows(self, regularizer):
        """At one that is the whole image, here: it finds what it finds in memory."""
        op = ConvLinearOperator(np.full((1, 1, 5, 5), 0.04), (1, 44, 40))
        b = noisy(op)
        options = {"damp": "gcv", "regularizer": regularizer}
        expected = solve(op, b, **options).extra["damp"]
        result = solve(op, cut(b, 20, 17), **options)
        assert result.success
        assert np.isclose(result.extra["damp"], expected, rtol=1e-6)

    def test_out(self):
        """What x is written into; result.x is read from there."""
        op = layer(size=(24, 20))
        b, out = noisy(op), np.zeros(op.input_shape)
        result = solve(op, cut(b, 9, 20), rtol=1e-9, out=out)
        assert result.success and (result.x.compute() == out).all()
        assert np.allclose(out, solve(op, b, rtol=1e-9).x, atol=1e-7)
        with pytest.raises(ValueError, match="out must have the shape of x"):
            solve(op, cut(b, 9, 20), out=np.zeros(3))

    def test_where_they_are_cut_by_default(self):
        op = layer(size=(48, 48))
        b = noisy(op)
        expected = solve(op, b, rtol=1e-12, on_failure="ignore").x
        result = solve(op, cut(b, 16, 16), rtol=1e-9)
        assert result.success
        assert far(result.x.compute(), expected) < 1e-8

    def test_a_callback_sees_each_sweep(self):
        op, seen = layer(), []
        b = noisy(op)

        def callback(state):
            seen.append((state.nit, float(abs(state.x).max()), state.residual_norm))
            return state.nit == 2

        result = solve(
            op, cut(b, 30, 30), callback=callback, rtol=1e-13, tile=16, halo=4
        )
        assert result.status is Status.STOPPED and not result.success
        assert [nit for nit, _, _ in seen] == [1, 2]
        assert 0 < seen[1][2] < seen[0][2]
        assert 0 < result.normal_residual_norm < seen[0][2]


class TestIterations:
    @pytest.mark.parametrize("boundary", ALL)
    def test_x_is_that_in_memory(self, boundary):
        """Chunks of three sizes, some of them shorter than the reach of the kernel."""
        op = layer(boundary, size=(20, 18))
        b = noisy(op)
        expected = solve(op, b, rtol=1e-13, on_failure="ignore").x
        for chunks in ((10, 9), ((1, 19), (18,)), (20, 7)):
            result = solve(op, cut(b, *chunks), "cgls", rtol=1e-11)
            assert result.success and result.method == "cgls"
            assert far(result.x.compute(), expected) < 1e-10

    def test_what_does_not_decay(self):
        """A blur whose spectrum has zeros: consistent data, found by "auto"."""
        kernel = np.ones((1, 1, 4, 4)) / 16
        op = ConvLinearOperator(
            kernel, (1, 24, 24), padding=((2, 1),) * 2, boundary="periodic"
        )
        b = op.forward(np.random.default_rng(0).standard_normal((1, 24, 24)))
        result = solve(op, cut(b, 10, 24), rtol=1e-8)
        assert result.success and "conjugate gradients" in result.message
        left = np.linalg.norm(op.forward(result.x.compute()) - b)
        assert left <= 1e-8 * np.linalg.norm(b)
        expected = np.linalg.pinv(op.todense(), rcond=1e-10) @ b.ravel()
        assert far(result.x.compute().ravel(), expected) < 1e-5

    def test_damp(self):
        op = layer(size=(20, 18))
        b = noisy(op)
        matrix = op.todense()
        normal = matrix.T @ matrix + 0.25 * np.eye(matrix.shape[1])
        expected = np.linalg.solve(normal, matrix.T @ b.ravel())
        result = solve(op, cut(b, 7, 9), "cgls", damp=0.5, rtol=1e-11)
        assert result.success
        assert far(result.x.compute().ravel(), expected) < 1e-9

    def test_single_precision_goes_on_in_double(self):
        op = layer(dtype="float32", size=(30, 30))
        b = noisy(op)
        result = solve(op, cut(b, 13, 30), "cgls", rtol=1e-6)
        assert result.success and result.x.dtype == np.float32

    def test_a_limit(self):
        op = layer(size=(20, 20))
        with pytest.warns(ConvergenceWarning, match="iteration limit"):
            result = solve(op, cut(noisy(op), 9, 9), "cgls", maxiter=3)
        assert result.status is Status.MAXITER and result.nit == 3

    def test_a_batch(self):
        op = layer(size=(16, 18))
        b = noisy(op, (3,))
        b[1] = 0
        array = da.from_array(b, chunks=(2, 8, 10, 9))
        expected = solve(op, b, rtol=1e-12, on_failure="ignore").x
        result = solve(op, array, "cgls", rtol=1e-10)
        assert result.success and not result.x[1].compute().any()
        assert far(result.x.compute(), expected) < 1e-9


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"method": "direct"}, "'direct' needs images that are whole"),
            ({"mask": np.ones((8, 64, 60), bool)}, "mask needs images"),
            ({"weights": da.ones((8, 64, 60))}, "weights needs images"),
            ({"bounds": (0, None)}, "bounds needs images"),
            ({"preconditioner": "jacobi"}, "preconditioner needs images"),
            ({"x0": np.zeros((3, 64, 60))}, "x0 needs images"),
        ],
    )
    def test_what_needs_whole_images(self, options, words):
        op = layer()
        with pytest.raises(ValueError, match=words):
            solve(op, cut(np.ones(op.output_shape), 20, 20), **options)

    def test_other_operators(self):
        op = layer()
        with pytest.raises(TypeError, match="cut into chunks need a ConvLinearOp"):
            solve(op.H, da.ones(op.input_shape, chunks=(3, 20, 20)))

    def test_a_nan_is_placed(self):
        op = layer()
        b = noisy(op)
        b[2, 55, 10] = np.nan
        for method in ("auto", "cgls"):
            with pytest.raises(
                ValueError, match=r"NaN or infinity where .* 48:64, 0:1"
            ):
                solve(op, cut(b, 20, 20), method, tile=16, halo=8)

    def test_tiles_of_whole_images(self):
        op = layer()
        with pytest.raises(ValueError, match="tile and halo are for images"):
            solve(op, da.from_array(noisy(op), chunks=-1), tile=20)
