"""The exact inverse by a block Cholesky factor, and what it shares with `schwarz`."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import convinv
from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv._inverse.block_cholesky import BlockCholesky
from convinv._inverse.border_correction import BorderCorrectedCirculant
from convinv._inverse.gram import Gram
from convinv.solvers import METHODS
from support.arrays import random
from support.layers import layer, layers, matrix

BOTH = pytest.mark.parametrize("method", ["direct", "schwarz"])
# Images with an interior; with depth=6 `schwarz` uses tori.
DEPTH = {"direct": {}, "schwarz": {"depth": 5}}
LAYERS = {
    "tall": ((8, 1, 3, 3), (1, 24, 23), {}),
    "wide": ((1, 4, 3, 3), (4, 23, 24), {}),
    "square": ((2, 2, 3, 3), (2, 22, 23), {"padding": 1, "boundary": "symmetric"}),
    "strided": ((8, 1, 3, 3), (1, 40, 23), {"stride": (2, 1), "padding": 1}),
    "groups": ((8, 1, 2, 3), (2, 19, 23), {"groups": 2, "flip": True}),
}
named = pytest.mark.parametrize("name", LAYERS)


def make(name, dtype="float64"):
    shape, input_shape, options = LAYERS[name]
    op = layer(shape, input_shape, dtype, **options)
    if name == "square":  # well conditioned
        kernel = 0.1 * op.kernel.copy()
        kernel[[0, 1], [0, 1], 1, 1] += 1
        op = ConvLinearOperator(kernel, input_shape, **options)
    return op


def minimizer(A, b, damp=0.0, x0=None, rcond=1e-10):
    """Dense: the least-squares solution nearest to x0, or the damped one."""
    if damp:
        normal = A.conj().T @ A + damp**2 * np.eye(A.shape[1])
        return np.linalg.solve(normal, A.conj().T @ b.T).T
    x0 = np.zeros(A.shape[1]) if x0 is None else x0
    r = b - A @ x0
    if rcond is None and A.shape[0] >= A.shape[1]:  # full rank
        return x0 + np.linalg.solve(A.conj().T @ A, A.conj().T @ r.T).T
    if rcond is None:
        return x0 + (A.conj().T @ np.linalg.solve(A @ A.conj().T, r.T)).T
    return x0 + r @ np.linalg.pinv(A, rcond=rcond).T


def run(op, b, method, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = solve(op, b, method, **options)
    assert {w.category for w in caught} <= {ConvergenceWarning}
    assert np.all(np.isfinite(result.x))
    assert bool(caught) == (not result.success and result.status is not Status.STOPPED)
    return result


@BOTH
@named
class TestAnswers:
    @pytest.mark.parametrize(
        ("dtype", "damp"), [("float64", 0.0), ("float64", 0.3), ("complex128", 0.3)]
    )
    def test_equals_the_dense_minimizer(self, method, name, damp, dtype):
        op = make(name, dtype)
        b = random((2, op.shape[0]), dtype, 1)
        x0 = random(op.shape[1], dtype, 2)
        for start in (None, x0):
            result = run(
                op,
                b.reshape(2, *op.output_shape),
                method,
                damp=damp,
                rtol=1e-12,
                x0=start,
                **DEPTH[method],
            )
            assert result.success, result
            expected = minimizer(matrix(op), b, damp, start, None)
            x = result.x.reshape(2, -1)
            assert np.linalg.norm(x - expected) <= 1e-9 * np.linalg.norm(expected)

    @pytest.mark.parametrize("dtype", ["float32", "complex64"])
    def test_single_precision_is_refined(self, method, name, dtype):
        op = make(name, dtype)
        b = op.forward(random(op.input_shape, dtype, 1))
        result = run(op, b, method, rtol=3e-7, **DEPTH[method])
        assert result.success and result.x.dtype == dtype
        expected = minimizer(matrix(op), b.reshape(-1).astype(complex), rcond=None)
        error = np.linalg.norm(result.x.ravel() - expected)
        assert error <= 1e-4 * np.linalg.norm(expected)

    def test_shapes(self, method, name):
        op = make(name)
        b = random((3, op.shape[0]), seed=4)
        expected = run(op, b.reshape(3, *op.output_shape), method).x.reshape(3, -1)
        columns = run(op, b.T, method)
        flat = run(op, b[0], method)
        assert columns.x.shape == (op.shape[1], 3) and flat.x.shape == (op.shape[1],)
        np.testing.assert_allclose(columns.x.T, expected, atol=1e-5)
        np.testing.assert_allclose(flat.x, expected[0], atol=1e-5)

    def test_history(self, method, name):
        """An entry for each application, of the normal residual as it is."""
        op = make(name)
        b = random(op.output_shape, seed=5)
        states = []

        def callback(state):
            states.append((state.nit, state.residual_norm, state.x.copy()))

        result = run(op, b, method, rtol=1e-13, callback=callback, **DEPTH[method])
        assert len(result.history) == result.nit == len(states)
        assert [nit for nit, *_ in states] == list(range(1, result.nit + 1))
        A = matrix(op)
        for (_, norm, x), kept in zip(states, result.history):
            assert norm == kept
            truth = np.linalg.norm(A.conj().T @ (b.ravel() - A @ x.ravel()))
            size = np.linalg.norm(A) ** 2 * np.linalg.norm(x)
            assert abs(truth - norm) <= 1e-12 * size
        if method == "schwarz":
            assert result.nit > 1  # the bands leave something to refine

    def test_maxiter_and_stops(self, method, name):
        op = make(name)
        b = random(op.output_shape, seed=6)
        limited = run(op, b, method, rtol=0, maxiter=1, **DEPTH[method])
        assert limited.nit == 1 and len(limited.history) == 1
        assert limited.success or limited.status is Status.MAXITER
        stopped = run(op, b, method, rtol=0, callback=lambda s: True, **DEPTH[method])
        assert stopped.nit == 1
        assert stopped.success == limited.success
        assert stopped.success or stopped.status is Status.STOPPED
        np.testing.assert_array_equal(stopped.x, limited.x)


@settings(max_examples=120)
@given(
    layers(),
    st.sampled_from(["direct", "schwarz", "auto"]),
    st.sampled_from([0.0, 0.4]),
    st.booleans(),
)
def test_any_layer(op, method, damp, start):
    """Right where it says success, and success where the layer has full rank."""
    local = op.geometry.boundary != "periodic" or not any(
        op.geometry.before + op.geometry.after
    )
    if op.shape[1] > 600 or not (local or method == "auto"):
        return
    A, b = matrix(op), random((2, op.shape[0]), op.dtype, 5)
    x0 = random(op.shape[1], op.dtype, 6) if start else None
    result = run(
        op, b.reshape(2, *op.output_shape), method, damp=damp, rtol=1e-10, x0=x0
    )
    s = np.linalg.svd(A, compute_uv=False)
    rank = int(np.sum(s > 1e-10 * s[0]))
    condition = s[0] / s[rank - 1] if rank else 1.0
    expected = minimizer(A, b, damp, x0)
    error = np.linalg.norm(result.x.reshape(2, -1) - expected)
    size = np.linalg.norm(expected) + 1e-6 * np.linalg.norm(b) * start
    if result.success:
        assert error <= 1e-8 * condition**2 * size
    else:
        # the rounding errors of x may leave more of b than the tolerance allows
        beyond = condition * np.finfo(float).eps > 1e-11
        assert not damp and (method != "auto" or beyond)
        assert rank < min(op.shape) or condition > 1e3
        assert result.status in (Status.BREAKDOWN, Status.STALLED)


def deficient(name):
    kernel = random((4, 1, 3, 3))
    if name == "one filter more":
        kernel = random((3, 2, 3, 3))
    elif name == "zero":
        kernel[:] = 0
    else:
        kernel -= kernel.mean(axis=(2, 3), keepdims=True)
    return ConvLinearOperator(kernel, (kernel.shape[1], 20, 11))


@pytest.mark.parametrize("name", ["one filter more", "zero", "differences"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestRankDeficiency:
    @BOTH
    def test_is_reported(self, method, name, dtype):
        op = deficient(name).astype(dtype)
        b = random(op.output_shape, dtype, 3)
        result = run(op, b, method)
        if name == "zero":  # x = 0 is the answer before any work
            assert result.success and not result.x.any()
            return
        if method == "direct":  # which tends to the solution of least norm
            assert "Tikhonov" in result.message and result.nit > 0
            result = run(op, b, method, shift=0.0)
        assert result.status is Status.BREAKDOWN and result.nit == 0
        assert "rank-deficient" in result.message and not result.x.any()

    def test_auto_finds_the_least_norm(self, name, dtype):
        op = deficient(name).astype(dtype)
        b = random(op.output_shape, dtype, 3)
        rtol = 1e-9 if dtype == "float64" else 1e-5
        result = run(op, b, "auto", rtol=rtol)
        assert result.success and result.method in METHODS
        rcond = 1e-10 if dtype == "float64" else 1e-5
        expected = minimizer(matrix(op), b.ravel().astype(float), rcond=rcond)
        error = np.linalg.norm(result.x.ravel() - expected)
        assert error <= 1e3 * rtol * np.linalg.norm(expected)


def gaussian(sigma, reach):
    g = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.outer(g, g)[None, None] / g.sum() ** 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["direct", "schwarz", "auto"])
def test_blurs_without_damping(method, dtype):
    """Condition numbers of 1e8 and more: no NaN, no false success."""
    for sigma in (1.0, 2.0):
        kernel = gaussian(sigma, 4).astype(dtype)
        op = ConvLinearOperator(kernel, (1, 24, 22), padding=4, boundary="reflect")
        b = random(op.output_shape, dtype, 3)
        result = run(op, b, method, rtol=1e-5, maxiter=300)
        A, r = matrix(op), result.x.ravel().astype(float)
        r = b.ravel() - A @ r
        floor = 4 * np.finfo(dtype).eps * np.linalg.norm(A, 2) * np.linalg.norm(b)
        right = np.linalg.norm(r) <= 1.001e-5 * np.linalg.norm(b) or (
            np.linalg.norm(A.T @ r)
            <= max(1.001e-5 * np.linalg.norm(A.T @ b.ravel()), floor)
        )
        assert right or not result.success


def counting(monkeypatch):
    counts = {}
    for cls in (Gram, BlockCholesky, BorderCorrectedCirculant):
        counts[cls.__name__] = 0

        def init(self, *args, _cls=cls, _init=cls.__init__, **kwargs):
            counts[_cls.__name__] += 1
            _init(self, *args, **kwargs)

        monkeypatch.setattr(cls, "__init__", init)
    return counts


class TestSetUp:
    @BOTH
    def test_is_kept_with_the_operator(self, method, monkeypatch):
        counts = counting(monkeypatch)
        op = make("tall")
        first = run(op, random(op.output_shape), method, **DEPTH[method])
        before = dict(counts)
        assert before["Gram"] == 1
        again = run(op, random(op.output_shape), method, **DEPTH[method])
        batch = random((3, *op.output_shape))
        run(op, batch, method, x0=first.x, **DEPTH[method])
        run(op, batch.astype("float32"), method, **DEPTH[method])
        assert counts == before
        np.testing.assert_array_equal(first.x, again.x)

    @BOTH
    def test_damps_share_the_stencil_and_few_are_kept(self, method, monkeypatch):
        counts = counting(monkeypatch)
        op = make("tall")
        b = random(op.output_shape)
        for damp in (0.1, 0.2, 0.3, 0.4):
            run(op, b, method, damp=damp)
        assert counts["Gram"] == 1
        kept = [k for k in op.cached_keys if k[0] == method]
        assert [k[1] for k in kept] == [0.3, 0.4]

    @BOTH
    def test_copies_and_pickles(self, method):
        op = make("tall")
        b = random(op.output_shape)
        result = run(op, b, method)
        assert len(pickle.dumps(op)) < 20000
        for other in (pickle.loads(pickle.dumps(op)), copy.copy(op), copy.deepcopy(op)):
            assert not other.cached_keys
            np.testing.assert_array_equal(run(other, b, method).x, result.x)

    def test_auto_uses_what_is_there(self, monkeypatch):
        op = make("tall")
        b = random(op.output_shape)
        few = {"maxiter": 5}  # too few for iterations without a set-up
        first = run(op, b, "auto", **few)
        assert first.method == "direct"
        counts = counting(monkeypatch)
        np.testing.assert_array_equal(run(op, b, "auto", **few).x, first.x)
        assert not any(counts.values())


class TestDirect:
    def test_the_registry(self):
        method = METHODS["direct"]
        assert (
            method.applies_inverse and method.convolution_only and method.minimum_norm
        )
        assert [*method.options] == ["axis", "memory", "accuracy", "shift"]
        assert not method.preconditioner

    @pytest.mark.parametrize("axis", [0, 1, -1, -2])
    def test_axes(self, axis):
        op = make("tall")
        b = random(op.output_shape)
        result = run(op, b, "direct", axis=axis)
        assert result.success and result.extra["axis"] == axis % 2
        np.testing.assert_allclose(result.x, run(op, b, "direct").x, atol=1e-5)

    def test_one_and_three_dimensions(self):
        shapes = {(3, 2, 4): (2, 60), (4, 1, 2, 3, 2): (1, 9, 4, 7)}
        for shape, input_shape in shapes.items():
            op = layer(shape, input_shape)
            b = random(op.output_shape)
            for axis in range(len(input_shape) - 1):
                x = run(op, b, "direct", rtol=1e-12, axis=axis).x.ravel()
                expected = minimizer(matrix(op), b.ravel())
                np.testing.assert_allclose(x, expected, atol=1e-9)

    def test_wrong_arguments(self):
        op = make("tall")
        b = random(op.output_shape)
        for axis in (2, -3, 0.5, "0"):
            with pytest.raises((ValueError, TypeError), match="axis must be"):
                solve(op, b, "direct", axis=axis)
        with pytest.raises(ValueError, match="kB, more than the 16.38 kB allowed"):
            solve(op, b, "direct", memory=2**14)
        assert run(op, b, "direct", memory=2**26).success
        # a factor that is kept does not lift the limit
        with pytest.raises(ValueError, match="kB, more than the 16.38 kB allowed"):
            solve(op, b, "direct", memory=2**14)

    @BOTH
    def test_layers_that_wrap_are_refused(self, method):
        op = layer((4, 1, 3, 3), (1, 9, 8), padding=1, boundary="periodic")
        with pytest.raises(ValueError, match=f"{method}' takes no layers that wrap"):
            solve(op, np.ones(op.output_shape), method)
        valid = layer((4, 1, 3, 3), (1, 9, 8), boundary="periodic")
        assert run(valid, np.ones(valid.output_shape), method).success


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("name", ["tall", "wide", "strided"])
@pytest.mark.parametrize("method", ["direct", "schwarz", "auto"])
def test_device_equals_host(cupy, method, name, dtype):
    host = make(name, dtype)
    b, x0 = random((2, *host.output_shape), dtype), random(host.input_shape, dtype, 1)
    options = {"rtol": 1e-5 if dtype == "float32" else 1e-10, **DEPTH.get(method, {})}
    device = ConvLinearOperator(
        cupy.asarray(host.kernel), host.input_shape, **host.options
    )
    for damp in (0, 0.2):
        want = run(host, b, method, damp=damp, x0=x0, **options)
        start = cupy.asarray(x0)
        got = convinv.solve(
            device, cupy.asarray(b), method, damp=damp, x0=start, **options
        )
        assert isinstance(got.x, cupy.ndarray) and got.success and want.success
        size = np.abs(want.x).max()
        close = 1e-3 if dtype == "float32" else 1e-8
        np.testing.assert_allclose(got.x.get(), want.x, atol=close * size)
