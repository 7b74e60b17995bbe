"""Batches in arrays of Dask: blocks, their arguments, results and errors."""

import pickle

import numpy as np
import pytest

import convinv
from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

SHAPE = (3, 10, 9)
SCHEDULERS = ["threads", "processes", "synchronous"]


@pytest.fixture(scope="module")
def op():
    kernel = np.random.default_rng(11).standard_normal((5, 3, 3, 3))
    return ConvLinearOperator(kernel, SHAPE, padding=1)


@pytest.fixture(scope="module")
def data(op):
    """Noisy data of 4 x 5 images."""
    rng = np.random.default_rng(12)
    b = op.forward(rng.standard_normal((4, 5, *SHAPE)))
    return b + 0.1 * rng.standard_normal(b.shape)


def chunked(b, *lead):
    return da.from_array(b, chunks=(*lead, *b.shape[len(lead) :]))


def least_squares(op, b):
    flat = b.reshape(-1, op.shape[0])
    x = np.linalg.lstsq(op.tosparse().toarray(), flat.T, rcond=None)[0].T
    return x.reshape(*b.shape[: b.ndim - 3], *op.input_shape)


@pytest.mark.parametrize("lead", [(4, 5), (1, 2), (3, 3)])
def test_x_is_that_of_least_squares(op, data, lead):
    result = solve(op, chunked(data, *lead), rtol=1e-11)
    expected = least_squares(op, data)
    assert isinstance(result.x, da.Array)
    assert result.x.chunks[:2] == chunked(data, *lead).chunks[:2]
    assert np.allclose(result.x, expected, rtol=0, atol=1e-10 * abs(expected).max())


def test_the_result_is_that_of_solve(op, data):
    """In the order of the batch, not of the blocks."""
    expected = solve(op, data, "cgls", rtol=1e-8)
    result = solve(op, chunked(data, 3, 2), "cgls", rtol=1e-8)
    assert result.success and result.status is Status.CONVERGED
    assert result.method == "cgls" and result.nit == expected.nit
    for name in ("residual_norm", "normal_residual_norm", "history"):
        found, wanted = getattr(result, name), getattr(expected, name)
        assert found.shape == wanted.shape
    assert np.allclose(result.residual_norm, expected.residual_norm, rtol=1e-9)
    assert (result.extra["nit"] == expected.extra["nit"]).all()
    assert result.extra["status"] == expected.extra["status"]
    assert result.extra["success"].shape == (4, 5)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_schedulers(op, data, scheduler):
    with dask.config.set(scheduler=scheduler, num_workers=2):
        result = solve(op, chunked(data, 2, 5), damp=0.3, rtol=1e-10)
    matrix = op.tosparse().toarray()
    normal = matrix.T @ matrix + 0.09 * np.eye(op.shape[1])
    expected = np.linalg.solve(normal, matrix.T @ data.reshape(20, -1).T).T
    assert np.allclose(result.x.reshape(20, -1), expected, atol=1e-9)


def test_one_image(op, data):
    result = solve(op, chunked(data[0, 0]), rtol=1e-10)
    assert isinstance(result.residual_norm, float) and result.x.shape == SHAPE
    assert np.allclose(result.x, least_squares(op, data[0, 0]), atol=1e-9)


def test_cut_channels_are_joined(op, data):
    b = da.from_array(data, chunks=(4, 5, 2, 10, 9))
    assert np.allclose(solve(op, b, rtol=1e-10).x, least_squares(op, data), atol=1e-9)


def test_a_matrix(data):
    matrix = np.random.default_rng(1).standard_normal((9, 6))
    b = data[..., :9].reshape(-1, 9)
    result = solve(matrix, da.from_array(b, chunks=(50, -1)), rtol=1e-12)
    expected = np.linalg.lstsq(matrix, b.T, rcond=None)[0].T
    assert np.allclose(result.x, expected, atol=1e-10)


def test_dtypes_of_x(op, data):
    lone = ConvLinearOperator(op.kernel, SHAPE, padding=1, dtype="float32")
    b = chunked(data.astype("float32"), 2, 5)
    assert solve(lone, b).x.dtype == np.float32 == solve(lone, b).x.compute().dtype
    assert solve(lone, b * 1j).x.dtype == np.complex64
    start = np.zeros(SHAPE)
    result = solve(lone, b, x0=start)
    assert result.x.dtype == np.float64 == result.x.compute().dtype


class TestArguments:
    """Those with items of their own are cut as the data are."""

    def test_mask_and_weights(self, op, data):
        rng = np.random.default_rng(3)
        mask, weights = rng.random(data.shape) > 0.1, 1 + rng.random(data.shape[-3:])
        holes = np.where(mask, data, np.nan)
        expected = solve(op, data, mask=mask, weights=weights, rtol=1e-10).x
        lazy = da.from_array(mask, chunks=(4, 1, 2, -1, -1))
        for given in (mask, lazy):
            result = solve(
                op, chunked(holes, 1, 5), mask=given, weights=weights, rtol=1e-10
            )
            assert np.allclose(result.x, expected, atol=1e-7)

    def test_x0(self, data):
        """The minimizer nearest to it, of a layer that has many."""
        wide = ConvLinearOperator(np.ones((1, 3, 2, 2)), SHAPE)
        x0 = np.random.default_rng(4).standard_normal((4, 5, *SHAPE))
        b = data[..., :1, :9, :8]
        expected = solve(wide, b, x0=x0, rtol=1e-10).x
        for given in (x0, da.from_array(x0, chunks=3)):
            result = solve(wide, chunked(b, 3, 2), x0=given, rtol=1e-10)
            assert np.allclose(result.x, expected, atol=1e-7)

    def test_bounds(self, op, data):
        low = np.random.default_rng(5).random((4, 5, *SHAPE)) - 1
        expected = solve(op, data, bounds=(low, 2.0), rtol=1e-9).x
        lazy = da.from_array(low, chunks=2)
        result = solve(op, chunked(data, 1, 5), bounds=(lazy, 2.0), rtol=1e-9)
        assert np.allclose(result.x, expected, atol=1e-6)
        assert result.extra["active"].shape == (4, 5)

    def test_one_item_for_all(self, op, data):
        prior = np.random.default_rng(6).standard_normal(SHAPE)
        expected = solve(op, data, damp=0.5, prior=prior, rtol=1e-10).x
        lazy = da.from_array(prior, chunks=3)
        damp = da.asarray(0.5)
        result = solve(op, chunked(data, 1, 5), damp=damp, prior=lazy, rtol=1e-10)
        assert np.allclose(result.x, expected, atol=1e-8)

    def test_regularizer(self, op, data):
        expected = solve(op, data, damp=0.5, regularizer="gradient", rtol=1e-10)
        b = chunked(data, 1, 5)
        result = solve(op, b, damp=0.5, regularizer="gradient", rtol=1e-10)
        assert np.allclose(result.x, expected.x, atol=1e-8)

    @pytest.mark.parametrize("regularizer", [None, "gradient"])
    def test_a_rule_looks_at_some_items(self, op, data, regularizer):
        """At all twenty, here: the rule finds what it finds in memory."""
        options = {"damp": "gcv", "regularizer": regularizer}
        expected, b = solve(op, data, **options), chunked(data, 1, 2)
        result = solve(op, b, **options)
        assert np.isclose(result.extra["damp"], expected.extra["damp"], rtol=1e-6)
        assert result.extra["damp_items"].tolist() == list(range(20))
        assert np.allclose(result.x, expected.x, atol=1e-3)

    def test_random_numbers_do_not_depend_on_the_scheduler(self, op, data):
        found = []
        for scheduler in SCHEDULERS:
            with dask.config.set(scheduler=scheduler, num_workers=2):
                b = chunked(data, 2, 5)
                result = solve(op, b, "rk", rng=7, maxiter=3, on_failure="ignore")
            found.append(result.x.compute())
        assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


class TestErrors:
    def test_a_failure_is_told(self, op, data):
        with pytest.warns(ConvergenceWarning, match="iteration limit"):
            result = solve(op, chunked(data, 2, 5), "cgls", maxiter=2)
        assert not result.success and result.status is Status.MAXITER
        assert not result.extra["success"].any()

    def test_only_some_items_fail(self, op, data):
        """Items of zeros are done at once."""
        b = data.copy()
        b[:2] = 0
        result = solve(op, chunked(b, 2, 5), "cgls", maxiter=2, on_failure="ignore")
        assert not result.success and result.status is Status.MAXITER
        assert result.extra["success"][:2].all()
        assert not result.extra["success"][2:].any()

    def test_a_nan_is_placed(self, op, data):
        b = data.copy()
        b[3, 4, 0, 0, 0] = np.nan
        with pytest.raises(ValueError, match=r"NaN.*block.* begins at \(2, 3\)"):
            solve(op, chunked(b, 2, 3))

    def test_what_a_chunk_raises(self, op, data):
        def broken(block):
            raise OSError("this chunk cannot be read")

        b = chunked(data, 2, 5).map_blocks(broken, dtype=float, meta=np.empty(0))
        with pytest.raises(OSError, match="cannot be read"):
            solve(op, b)

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"columns": True}, ValueError, r"pass b\.T"),
            ({"callback": print}, TypeError, "no common iterations"),
            ({"mask": np.ones((3, 5, 5, 10, 9), bool)}, ValueError, "leading axes"),
            ({"method": "cgsl"}, ValueError, "did you mean 'cgls'"),
            ({"method": "cg"}, ValueError, "square"),
            ({"rtol": -1}, ValueError, "rtol"),
        ],
    )
    def test_arguments(self, op, data, options, error, words):
        with pytest.raises(error, match=words):
            solve(op, chunked(data, 2, 5), **options)

    def test_shapes(self, op, data):
        with pytest.raises(ValueError, match=r"\(\.\.\., 5, 10, 9\)"):
            solve(op, chunked(data[..., :8], 2, 5))
        with pytest.raises(ValueError, match="no item"):
            solve(op, chunked(data[:0], 2, 5))
        unknown = chunked(data[0], 2)
        unknown = unknown[da.from_array(np.arange(5) > 1, chunks=2)]
        with pytest.raises(ValueError, match="compute_chunk_sizes"):
            solve(op, unknown)

    def test_other_arrays(self, op, data):
        with pytest.raises(TypeError, match="from_array"):
            convinv.distributed.solve(op, data)
        with pytest.raises(TypeError, match="x0 of solve is an array of Dask"):
            solve(op, data, x0=da.zeros(SHAPE))
        with pytest.raises(TypeError, match="normal_solve takes no arrays of Dask"):
            convinv.normal_solve(op, da.zeros(SHAPE))


LAPLACIAN = np.array([[[[0, 1, 0], [1, -4, 1], [0, 1, 0.0]]]] * 3)  # of each channel


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"damp": 0.5, "regularizer": "gradient"},
        {"damp": 0.5, "regularizer": LAPLACIAN},
    ],
)
def test_set_ups_are_made_once(op, data, monkeypatch, options):
    """By the first of all tasks, though two run at a time."""
    from convinv._inverse import block_cholesky

    made = []
    real = block_cholesky.BlockCholesky.__init__

    def counted(self, *args, **kwargs):
        made.append(self)
        real(self, *args, **kwargs)

    monkeypatch.setattr(block_cholesky.BlockCholesky, "__init__", counted)
    fresh = op.with_kernel(op.kernel)
    with dask.config.set(scheduler="threads", num_workers=2):
        result = solve(fresh, chunked(data, 1, 1), "direct", **options)
    assert result.success and len(made) == 1


def test_an_operator_is_unpickled_once(op):
    from convinv.distributed._shipped import Shipped

    shipped = Shipped((op, {"rtol": 1e-3}))
    data = pickle.dumps(shipped)
    assert pickle.loads(data) is shipped
    token = shipped.token
    del shipped
    first, second = pickle.loads(data), pickle.loads(data)
    assert first is second and first.token == token
    assert (first.value[0].kernel == op.kernel).all()
