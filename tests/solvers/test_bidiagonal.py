"""LSQR and LSMR with a preconditioner: Golub-Kahan in its inner product."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, Status, methods, solve
from convinv._problem.batch import Layout
from convinv._problem.items import Goals
from convinv._problem.monitor import Monitor
from convinv._problem.scaling import ScaledProblem
from convinv.solvers._bidiagonal import Bidiagonalization
from support import oracles
from support.arrays import doubles, normal
from support.quiet import quietly

STEPS = 10
METHODS = ["lsqr", "lsmr"]
BOTH = pytest.mark.parametrize("method", METHODS)
DAMPS = pytest.mark.parametrize("damp", [0.0, 0.8])


def problem(dtype, shape=(6, 1, 3, 3), size=(1, 7, 8)):
    """An operator, its matrix, data that are not in its range, and a root of an M."""
    rng = np.random.default_rng(5)
    op = ConvLinearOperator(normal(rng, shape, dtype), size)
    A = op.tosparse().toarray()
    b = normal(rng, op.shape[0], dtype)
    n = op.shape[1]
    root = np.eye(n) + 0.4 / np.sqrt(n) * normal(rng, (n, n), dtype)
    return op, A, b, root * np.geomspace(0.3, 3, n)


def times(matrix):
    """A preconditioner from a matrix."""
    return lambda v: (v.reshape(len(v), -1) @ matrix.T).reshape(v.shape)


def iterates(op, b, method, steps=STEPS, **options):
    """What callbacks see: x, and the norm in the history."""
    xs, norms = [], []

    def callback(state):
        xs.append(state.x + 0)
        norms.append(state.residual_norm)

    quietly(op, b, method, rtol=1e-15, maxiter=steps, callback=callback, **options)
    return np.array(xs), np.array(norms)


@BOTH
@doubles
@DAMPS
def test_it_is_the_method_on_a_preconditioned_matrix(method, dtype, damp):
    """``x = L y`` with the y of the plain method on ``[A; damp I] L``."""
    op, A, b, root = problem(dtype)
    M = root @ root.conj().T
    xs, _ = iterates(op, b, method, damp=damp, preconditioner=times(M))
    m, n = A.shape
    tall = np.vstack([A, damp * np.eye(n)]) @ root
    ys, _ = iterates(tall, np.append(b, np.zeros(n)), method)
    expected = ys @ root.T
    assert len(xs) == len(ys) == STEPS
    np.testing.assert_allclose(xs, expected, atol=1e-9 * np.abs(expected).max())


@doubles
@DAMPS
def test_iterates_of_lsqr_are_those_of_cgls(dtype, damp):
    op, _, b, root = problem(dtype)
    options = {"damp": damp, "preconditioner": times(root @ root.conj().T)}
    one, _ = iterates(op, b, "lsqr", **options)
    other, _ = iterates(op, b, "cgls", **options)
    np.testing.assert_allclose(one, other, atol=1e-9 * np.abs(other).max())


class Recorder(Monitor):
    """A monitor that keeps what the method reports."""

    def count(self, d, residual=None, normal=None):
        self.seen.append((d + 0, residual + 0, normal + 0))
        return super().count(d, residual, normal)


@BOTH
@doubles
@DAMPS
@pytest.mark.parametrize("preconditioned", [False, True])
def test_reported_norms_are_those_of_the_iterate(method, dtype, damp, preconditioned):
    """Both norms, recomputed; with damp they are those of the augmented problem."""
    op, A, b, root = problem(dtype)
    batch = np.stack([b, -3 * b]).reshape(2, *op.output_shape)
    scaled = ScaledProblem(op, Layout(op, batch, None), damp, 1e-15, 0.0)
    with np.errstate(over="ignore"):
        check = scaled.check(None)
    apply = times(root @ root.conj().T) if preconditioned else None
    inner = scaled.problem(check, apply, STEPS, np.random.default_rng(0))
    none = np.full(2, -1.0)
    goals = Goals(none, none, none)
    monitor = Recorder(inner, goals, np.ones(2, bool), None, 0, lambda nit: None)
    monitor.seen = []
    {m.name: m for m in methods()}[method].function(inner, monitor)
    assert len(monitor.seen) == STEPS
    A = A * scaled.units.operator_scale
    for d, residual, gradient in monitor.seen:
        r = inner.b - d @ A.T
        s = r @ A.conj() - scaled.damp**2 * d
        below = scaled.damp * d
        tall = np.linalg.norm(np.hstack([r, below]), axis=1)
        np.testing.assert_allclose(residual, tall, rtol=1e-10)
        np.testing.assert_allclose(gradient, np.linalg.norm(s, axis=1), rtol=1e-7)


@pytest.mark.parametrize("damp", [0.0, 0.6])
@BOTH
def test_an_exact_inverse_takes_one_iteration(method, damp):
    for dtype, rtol in (("float64", 1e-10), ("complex64", 1e-4), ("float32", 1e-4)):
        op, A, b, _ = problem(dtype)
        wide = A.astype(np.result_type(dtype, "float64"))
        gram = wide.conj().T @ wide + damp**2 * np.eye(A.shape[1])
        inverse = np.linalg.inv(gram).astype(dtype)
        result = solve(
            op, b, method, damp=damp, rtol=rtol, preconditioner=times(inverse)
        )
        assert result.success and result.nit <= 2 and result.x.dtype == dtype
        expected = np.linalg.solve(gram, wide.conj().T @ b)
        close = 1e3 * np.finfo(dtype).eps
        assert np.linalg.norm(result.x - expected) <= close * np.linalg.norm(expected)


@BOTH
@doubles
def test_jacobi_agrees_with_lstsq(method, dtype):
    op, A, b, _ = problem(dtype)
    kernel = op.kernel * np.geomspace(0.01, 1, len(op.kernel)).reshape(-1, 1, 1, 1)
    op = ConvLinearOperator(kernel, op.input_shape)
    result = solve(op, b, method, rtol=1e-11, preconditioner="jacobi")
    expected = np.linalg.lstsq(op.tosparse().toarray(), b, rcond=None)[0]
    assert result.success
    np.testing.assert_allclose(result.x, expected, atol=1e-9)


@BOTH
def test_the_minimum_is_that_of_the_inner_product(method):
    """Among solutions, the one of least ``||M^(-1/2) x||``."""
    op, A, b, root = problem("float64", (1, 2, 3, 3), (2, 6, 6))
    M = root @ root.T
    result = solve(op, b, method, rtol=1e-12, preconditioner=times(M))
    expected = root @ (oracles.pinv(A @ root) @ b)
    np.testing.assert_allclose(result.x, expected, atol=1e-9)


@BOTH
def test_what_decreases(method):
    op, A, b, root = problem("float64")
    xs, norms = iterates(op, b, method, preconditioner=times(root @ root.T))
    r = b - xs @ A.T
    np.testing.assert_allclose(norms, np.linalg.norm(r, axis=1), rtol=1e-10)
    if method == "lsmr":
        norms = np.linalg.norm(r @ A @ root, axis=1)
    assert np.all(np.diff(norms) < 0)


@BOTH
@pytest.mark.parametrize("sign", [-1.0, 0.0])
def test_preconditioners_that_are_not_positive_definite(method, sign):
    op, _, b, _ = problem("float64")
    with pytest.warns(ConvergenceWarning, match="broke down"):
        result = solve(op, b, method, preconditioner=lambda v: sign * v)
    assert result.status is Status.BREAKDOWN and not result.x.any()


@BOTH
def test_breaking_down_on_the_way_keeps_what_was_found(method):
    """x is LSQR's of the space so far, which needs no further alpha, in both methods.

    The other items of the batch go on.
    """
    op, _, b, _ = problem("float64")
    calls = []

    def broken(v):
        calls.append(1)
        signs = np.where((len(calls) == 4) & (np.arange(len(v)) == 1), -1.0, 1.0)
        return v * signs.reshape(-1, 1, 1, 1)

    batch = np.stack([b, b]).reshape(2, *op.output_shape)
    with pytest.warns(ConvergenceWarning, match="broke down"):
        result = solve(op, batch, method, rtol=1e-9, preconditioner=broken)
    assert result.extra["status"] == [Status.CONVERGED, Status.BREAKDOWN]
    xs, _ = iterates(op, b, "lsqr", preconditioner=lambda v: v)
    np.testing.assert_allclose(result.x[1].ravel(), xs[2], atol=1e-10)


def test_without_one_nothing_is_kept_twice():
    op, _, b, _ = problem("float64")
    scaled = ScaledProblem(op, Layout(op, b, None), 0.0, 1e-6, 0.0)
    inner = scaled.problem(scaled.check(None), None, 5, np.random.default_rng(0))
    one = np.ones(1)
    goals = Goals(-one, -one, -one)
    monitor = Monitor(inner, goals, one > 0, None, 0, lambda nit: None)
    basis = Bidiagonalization(inner, monitor)
    basis.lengthen(np, monitor.items, *basis.advance())
    assert basis.P is basis.V and basis.normal is basis.alpha
