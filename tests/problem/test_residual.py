"""Residuals in double precision, item by item, and what methods are given of them."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from convinv import ConvLinearOperator
from convinv._problem import residual
from convinv._problem.residual import Residuals
from convinv.operators._foreign import as_operator
from convinv.solvers import METHODS
from support.quiet import quietly

BATCH = 5


def problem(dtype, batch=BATCH, shape=(2, 6, 7), noise=0.1):
    """An operator, data and the points they are of."""
    rng = np.random.default_rng(0)
    parts = (1, 1j) if np.dtype(dtype).kind == "c" else (1,)

    def normal(*size):
        return sum(p * rng.standard_normal(size) for p in parts).astype(dtype)

    op = ConvLinearOperator(normal(4, shape[0], 3, 3), shape)
    x = normal(batch, op.shape[1])
    b = op.forward(x.reshape(batch, *shape)).reshape(batch, -1)
    return op, (b + noise * normal(*b.shape)).astype(dtype), x


def expected(op, b, x, damp):
    """r and s by dense algebra in double precision."""
    A = op.todense().astype(np.result_type(op.dtype, "float64"))
    r = b.astype(A.dtype) - x.astype(A.dtype) @ A.T
    return r, r @ A.conj() - damp**2 * x


@pytest.fixture(params=[1, 2, BATCH], ids=["singly", "in twos", "at once"])
def items(request, monkeypatch):
    """How many items are taken at a time."""

    def of(op):
        size = request.param * op.shape[0] * np.result_type(op.dtype, "f8").itemsize
        monkeypatch.setattr(residual, "PIECE_BYTES", size)
        return request.param

    return of


class TestResiduals:
    @pytest.mark.parametrize("damp", [0.0, 0.3])
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
    def test_equals_dense_algebra(self, dtype, damp, items):
        op, b, x = problem(dtype)
        count = items(op)
        residuals = Residuals(op, b, damp)
        assert len(residuals.pieces) == -(-BATCH // count)
        r, s = expected(op, b, x, damp)
        norms = np.array([np.linalg.norm(a, axis=1) for a in (r, s)])
        for last in (0, 2, BATCH):  # the first item that is not good
            found, *kept = residuals(x, lambda norms, items: items.stop <= last)
            np.testing.assert_allclose(found, norms, rtol=1e-6)
            if last == BATCH:
                assert kept == [None, None]
                continue
            for got, want in zip(kept, (r, s)):
                assert got.dtype == dtype and got.shape == want.shape
                close = 1e-5 * np.abs(want).max()
                np.testing.assert_allclose(got, want, rtol=0, atol=close)

    def test_what_was_kept_stays(self, items):
        op, b, x = problem("float64")
        items(op)
        residuals = Residuals(op, b, 0.0)
        _, r, s = residuals(x, lambda *_: False)
        before = r.copy(), s.copy()
        residuals(x + 1, lambda *_: False)
        np.testing.assert_array_equal(r, before[0])
        np.testing.assert_array_equal(s, before[1])

    def test_single_precision_data(self):
        """Products are summed in double precision: the residual is rounding of b."""
        op, b, x = problem("float32", noise=0)
        norms, *_ = Residuals(op, b, 0.0)(x, lambda *_: True)
        r, s = expected(op, b, x, 0.0)
        assert np.all(norms[0] < 1e-6 * np.linalg.norm(b, axis=1))
        np.testing.assert_allclose(norms[0], np.linalg.norm(r, axis=1), rtol=1e-8)
        np.testing.assert_allclose(norms[1], np.linalg.norm(s, axis=1), rtol=1e-6)

    def test_memory(self):
        """A check of many items needs memory for some of them only."""
        op, b, x = problem("float32", batch=200, shape=(2, 66, 66))
        residuals = Residuals(op, b, 0.0)
        residuals(x, lambda *_: True)  # makes what is made once
        residuals = Residuals(op, b, 0.0)
        tracemalloc.start()
        residuals(x, lambda *_: True)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= 2.2 * residual.PIECE_BYTES < 8 * b.size / 2

    @pytest.mark.parametrize("damp", [0.0, 0.3])
    def test_general_operators(self, damp):
        conv, b, x = problem("float64")
        r, s = expected(conv, b, x, damp)
        for op in (conv + 0 * conv, as_operator(aslinearoperator(conv.tosparse()))):
            _, *kept = Residuals(op, b, damp)(x, lambda *_: False)
            for got, want in zip(kept, (r, s)):
                np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)

    def test_products_that_are_their_operand(self):
        """An identity hands its operand back: x and b must not be written to."""
        op = ConvLinearOperator(np.ones((1, 1, 1)), (1, 9)) ** 0
        rng = np.random.default_rng(0)
        b, x = rng.standard_normal((2, 3, 9))
        before = b.copy(), x.copy()
        norms, r, s = Residuals(op, b, 0.5)(x, lambda *_: False)
        np.testing.assert_array_equal(b, before[0])
        np.testing.assert_array_equal(x, before[1])
        np.testing.assert_allclose(r, b - x)
        np.testing.assert_allclose(s, b - x - 0.25 * x)


@pytest.fixture
def method():
    """Enrols a function of the problem as the method "probe"."""

    def enrol(function):
        def probe(problem, monitor):
            d = function(problem)
            monitor.update(d, problem.fill(0.0), problem.fill(0.0))
            return d, {}

        METHODS["probe"] = dataclasses.replace(
            METHODS["cgls"], name="probe", function=probe
        )

    yield enrol
    METHODS.pop("probe", None)


def run(op, b, method="probe", **arguments):
    return quietly(op, b, method, **arguments)


class TestGradient:
    @pytest.mark.parametrize("damp", [0.0, 0.3])
    @pytest.mark.parametrize("start", [False, True])
    @pytest.mark.parametrize("scale", [1.0, 2.0**90])
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
    def test_is_that_of_the_start(self, dtype, scale, start, damp, method, items):
        """At every start of the method: after the first one, of what it returned."""
        op, b, x = problem(dtype)
        items(op)
        seen = []

        def function(problem):
            seen.append(problem.gradient)
            s, _ = problem.normal_residual(problem.b, None)
            close = 1e-4 if dtype in ("float32", "complex64") else 1e-12
            size = float(np.abs(s).max()) + 1
            np.testing.assert_allclose(problem.gradient, s, rtol=0, atol=close * size)
            assert problem.gradient.dtype == problem.b.dtype
            # a start that makes progress is followed by another one
            exact = (x * (scale / problem.x_scale[:, None])).astype(problem.b.dtype)
            return exact * 0.9 if problem.origin is None else exact - problem.origin

        method(function)
        x0 = {"x0": (scale * 0.5 * x).reshape(BATCH, *op.input_shape)} if start else {}
        data = (scale * b).reshape(BATCH, *op.output_shape)
        run(op, data.astype(dtype), damp=damp, rtol=1e-12, maxiter=3, **x0)
        assert len(seen) > 1

    def test_answers_that_are_what_was_given(self, method):
        """The user's b is not handed out, nor what is kept of it."""
        op = ConvLinearOperator(np.ones((1, 1, 1)), (1, 9))
        for name in ("b", "gradient"):
            method(lambda problem: getattr(problem, name))
            b = np.random.default_rng(0).random((2, 1, 9))
            result = run(op, b)
            assert result.success and not np.shares_memory(result.x, b)
            np.testing.assert_array_equal(result.x, b)

    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    def test_ordinary_data_are_not_copied(self, dtype, method):
        op, b, _ = problem(dtype)
        b = b.reshape(BATCH, *op.output_shape)
        shared = []
        method(lambda p: shared.append(np.shares_memory(p.b, b)) or p.gradient)
        run(op, b, maxiter=1)
        run(op, b.astype("float64" if dtype == "float32" else dtype)[::-1], maxiter=1)
        run(op, b * 2.0**60, maxiter=1)
        assert shared == [True, False, False]


class TestScale:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("power", [-60, -20, 20, 60])
    def test_powers_of_two_change_no_bit(self, dtype, power):
        """Whether data are scaled or near enough to 1 to be left alone."""
        op, b, _ = problem(dtype)
        b = b.reshape(BATCH, *op.output_shape)
        arguments = {"rtol": 1e-3, "maxiter": 50}
        want = run(op, b, "cgls", **arguments)
        factor = np.dtype(dtype).type(2.0**power)
        got = run(op, b * factor, "cgls", **arguments)
        np.testing.assert_array_equal(got.x, want.x * factor)
        kernel = ConvLinearOperator(op.kernel * factor, op.input_shape)
        got = run(kernel, b, "cgls", **arguments)
        np.testing.assert_array_equal(got.x, want.x / factor)

    @pytest.mark.parametrize("dtype", ["float32", "complex64"])
    def test_data_orthogonal_to_the_range(self, dtype):
        """A^H b is rounding noise of its own sum unless that is in double precision."""
        op, b, _ = problem(dtype, shape=(2, 20, 20))
        A = op.todense().astype(np.result_type(dtype, "float64"))
        b = (b.T - A @ np.linalg.lstsq(A, b.T.astype(A.dtype))[0]).T.astype(dtype)
        result = run(op, b.reshape(BATCH, *op.output_shape), "cgls")
        assert result.success and result.nit == 0 and not result.x.any()
        want = np.linalg.norm(b @ A.conj(), axis=1)
        np.testing.assert_allclose(result.normal_residual_norm, want, rtol=1e-6)
