"""The contract of methods that maximize the likelihood of Poisson counts."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize

from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv.operators import StackedOperator
from support.counts import (
    METHODS,
    PROBLEMS,
    VARIANTS,
    case,
    distance,
    divergence,
    gradient,
)

variants = pytest.mark.parametrize("variant", VARIANTS)
every_problem = pytest.mark.parametrize("problem", PROBLEMS)
every_method = pytest.mark.parametrize("method", METHODS)


def run(variant, op, b, **kwargs):
    """solve() with a variant's arguments; (result, warnings)."""
    name, arguments = VARIANTS[variant]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = solve(op, b, name, **{**arguments, **kwargs})
    return result, caught


def may_fail(variant):
    """Whether a variant need not reach a maximum."""
    name, arguments = VARIANTS[variant]
    return "*" in METHODS[name].at(arguments).limits


def in_dtype(op, dtype):
    """A layer or a matrix in a dtype; stacks stay as they are."""
    return op if isinstance(op, StackedOperator) else op.astype(dtype)


def check_one_truth(result, caught):
    assert result.success == (result.status is Status.CONVERGED)
    assert len(result.history) == result.nit and np.isfinite(result.history).all()
    assert np.isfinite(result.x).all() and (result.x >= 0).all()
    silent = result.success or result.status is Status.STOPPED
    assert [w.category for w in caught] == [] if silent else [ConvergenceWarning]


@variants
@every_problem
def test_success_is_a_maximum(variant, problem):
    """The conditions of Karush, Kuhn and Tucker hold, by the matrix."""
    c = case(problem)
    for dtype, rtol in (("float64", 1e-3), ("float32", 1e-2)):
        op, b = in_dtype(c.op, dtype), c.b[0].astype(dtype)
        result, caught = run(
            variant, op, b, rtol=rtol, background=c.background, maxiter=3000
        )
        check_one_truth(result, caught)
        assert result.success or may_fail(variant)
        assert result.x.dtype == np.result_type(op.dtype, dtype)
        x = result.x.ravel().astype(float)
        slack = 1e-5 if dtype == "float32" else 1e-12
        found = distance(c.A, x, c.b[0], c.background)
        assert found <= rtol + slack or not result.success
        assert found == pytest.approx(result.extra["distance"], abs=slack)
        assert result.history[-1] <= rtol or not result.success
        u = c.A @ x + c.background
        assert result.residual_norm == pytest.approx(
            np.linalg.norm(c.b[0] - u), rel=1e-4
        )
        g, _ = gradient(c.A, x, c.b[0], c.background)
        free = np.where((x > 0) | (g < 0), g, 0)
        assert result.normal_residual_norm == pytest.approx(
            np.linalg.norm(free), rel=1e-3, abs=1e-3 * np.linalg.norm(c.A, 2)
        )
        wanted = 2 * divergence(c.A, x, c.b[0], c.background) / len(u)
        assert result.extra["deviance"] == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@every_method
@pytest.mark.parametrize("problem", ["zero", "reflect", "stride", "stack", "matrix"])
def test_agrees_with_a_general_optimizer(method, problem):
    c = case(problem, seed=1)
    b, n = c.b[1], c.A.shape[1]
    result = solve(c.op, b, method, background=c.background, rtol=1e-8, maxiter=20000)
    assert result.success
    wanted = minimize(
        lambda x: divergence(c.A, x, b, c.background),
        np.full(n, b.mean()),
        jac=lambda x: gradient(c.A, x, b, c.background)[0],
        bounds=[(0, None)] * n,
        method="L-BFGS-B",
        options={"maxiter": 10000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-9},
    )
    own = divergence(c.A, result.x.ravel(), b, c.background)
    assert own <= wanted.fun * (1 + 1e-8) + 1e-9
    if np.linalg.matrix_rank(c.A) == n:
        u = c.A @ result.x.ravel(), c.A @ wanted.x
        np.testing.assert_allclose(*u, rtol=1e-3, atol=1e-2)


@variants
def test_a_batch_is_its_items(variant):
    c = case("symmetric")
    m, shape = c.A.shape[0], c.op.output_shape
    b = c.b.reshape(3, *shape)
    kwargs = {"background": c.background, "maxiter": 40, "rtol": 1e-2}
    whole, caught = run(variant, c.op, b, **kwargs)
    assert whole.x.shape == (3, *c.op.input_shape)
    assert whole.extra["deviance"].shape == (3,)
    columns, _ = run(variant, c.op, c.b.T.copy(), columns=True, **kwargs)
    np.testing.assert_allclose(
        columns.x, whole.x.reshape(3, -1).T, rtol=1e-9, atol=1e-9
    )
    sliced, _ = run(variant, c.op, b, max_memory=45 * 8 * m, **kwargs)
    assert sliced.extra["slices"] > 1
    np.testing.assert_allclose(sliced.x, whole.x, rtol=1e-9, atol=1e-9)
    for i in range(3):
        one, _ = run(variant, c.op, b[i], **kwargs)
        close = {"rtol": 1e-9, "atol": 1e-9}
        np.testing.assert_allclose(whole.x[i], one.x, **close)
        assert whole.extra["nit"][i] == one.nit
        np.testing.assert_allclose(whole.extra["deviance"][i], one.extra["deviance"])


@variants
def test_backgrounds_of_all_shapes(variant):
    """A number, an item's array, and one for each item, also in slices."""
    c = case("zero")
    b = c.b.reshape(3, *c.op.output_shape)
    three = np.stack([np.full(c.op.output_shape, v) for v in (0.5, 2.0, 0.0)])
    kwargs = {"maxiter": 20, "rtol": 0}
    for memory in (None, 45 * 8 * c.A.shape[0]):
        got, _ = run(variant, c.op, b, background=three, max_memory=memory, **kwargs)
        for i, value in enumerate((0.5, 2.0, 0.0)):
            one, _ = run(variant, c.op, b[i], background=value, **kwargs)
            np.testing.assert_allclose(got.x[i], one.x, rtol=1e-9, atol=1e-9)


@variants
@pytest.mark.parametrize("power", [-300, 5, 300])
def test_units(variant, power):
    """Powers of two in counts and kernel change nothing but the scale of x."""
    c = case("reflect")
    b, kwargs = c.b[0], {"maxiter": 30, "rtol": 0}
    one, _ = run(variant, c.op, b, background=1.0, **kwargs)
    two, _ = run(
        variant, c.op, np.ldexp(b, power), background=np.ldexp(1.0, power), **kwargs
    )
    np.testing.assert_array_equal(two.x, np.ldexp(one.x, power))
    np.testing.assert_array_equal(two.history, one.history)
    op = ConvLinearOperator(
        np.ldexp(c.op.kernel, power), c.op.input_shape, **c.op.options
    )
    three, _ = run(variant, op, b, background=1.0, **kwargs)
    np.testing.assert_array_equal(three.x, np.ldexp(one.x, -power))


@variants
def test_weights_and_masks(variant):
    """Zero weights are data that are not there, NaN or not."""
    c = case("symmetric")
    rng = np.random.default_rng(0)
    kept = rng.random(c.b[0].size) < 0.8
    kwargs = {"rtol": 1e-3, "maxiter": 3000}
    b = np.where(kept, c.b[0], np.nan).reshape(c.op.output_shape)
    masked, _ = run(variant, c.op, b, mask=kept.reshape(b.shape), **kwargs)
    assert masked.success or may_fail(variant)
    rows = solve(c.A[kept], c.b[0][kept], *VARIANTS[variant][:1], **{
        **VARIANTS[variant][1], **kwargs})  # fmt: skip
    np.testing.assert_allclose(masked.x.ravel(), rows.x, rtol=1e-6, atol=1e-6)
    weights = rng.random(b.shape)
    got, _ = run(variant, c.op, c.b[0].reshape(b.shape), weights=weights, **kwargs)
    assert got.success or may_fail(variant)
    assert (
        not got.success
        or distance(c.A, got.x.ravel(), c.b[0], 0.0, weights.ravel()) <= 1.01e-3
    )


@variants
def test_starts(variant):
    """Unseen unknowns stay where they start, and a solution stays where it is."""
    op = ConvLinearOperator(np.ones((1, 1, 2)), (1, 9), stride=3)
    x = np.arange(1.0, 10.0)[None]
    b = op.forward(x)
    result, _ = run(variant, op, b, rtol=1e-6)
    assert result.success
    unseen = op.tosparse().toarray().sum(0) == 0
    level = b.sum() / op.tosparse().sum()
    np.testing.assert_allclose(result.x[0][unseen], level)
    x0 = np.arange(2.0, 11.0)[None]
    result, _ = run(variant, op, b, rtol=1e-6, x0=x0)
    np.testing.assert_array_equal(result.x[0][unseen], x0[0][unseen])
    again, _ = run(variant, op, b, rtol=1e-3, x0=result.x)
    assert again.success and again.nit == 0
    np.testing.assert_array_equal(again.x, result.x)
    given = x0.copy()
    run(variant, op, b, x0=x0, maxiter=2)
    np.testing.assert_array_equal(x0, given)


@variants
def test_no_counts(variant):
    c = case("periodic")
    for background in (0.0, 3.0):
        result, caught = run(variant, c.op, 0 * c.b[0], background=background)
        check_one_truth(result, caught)
        assert result.success
        assert np.max(result.x) <= 1e-6 * max(background, 1)


@variants
def test_callbacks(variant):
    c, seen = case("zero"), []

    def callback(state):
        assert state.x.shape == c.op.input_shape and (state.x >= 0).all()
        seen.append((state.nit, state.residual_norm))
        return state.nit == 4

    result, caught = run(
        variant, c.op, c.b[0].reshape(c.op.output_shape), rtol=0, callback=callback
    )
    check_one_truth(result, caught)
    assert result.status is Status.STOPPED and not result.success
    assert [nit for nit, _ in seen] == [1, 2, 3, 4]
    np.testing.assert_array_equal([norm for _, norm in seen], result.history)
    result, caught = run(variant, c.op, c.b[0], rtol=0, maxiter=3)
    assert result.nit == 3 and result.status is Status.MAXITER
    check_one_truth(result, caught)


@every_method
def test_what_is_refused(method):
    c = case("zero")
    op, b = c.op, c.b[0]
    negative = ConvLinearOperator(-op.kernel, op.input_shape, **op.options)
    wrong = b.copy()
    wrong[3] = -2.5
    for arguments, words in (
        ((op, wrong), "b must not be negative .* -2.5; .*background"),
        ((negative, b), "no negative entries .*kernel"),
        ((-c.A, b), "no negative entries .*matrix"),
        ((op, b.astype(complex)), "must be real"),
    ):
        with pytest.raises(ValueError, match=words):
            solve(*arguments, method)
    for option, words in (
        ({"damp": 0.1}, "takes no damp"),
        ({"atol": 1.0}, "takes no atol"),
        ({"rtol_normal": 1e-3}, "takes no rtol_normal"),
        ({"regularizer": "gradient"}, "takes no regularizer"),
        ({"bounds": (0, 1)}, "takes no bounds"),
        ({"preconditioner": "jacobi"}, "takes no preconditioner"),
        ({"background": -1.0}, "background must not be negative"),
        ({"background": np.ones(3)}, "background must be a number or have the shape"),
        ({"stopping": "soon"}, "stopping must be one of"),
        ({"tv": -1.0}, "tv must be"),
    ):
        with pytest.raises(ValueError, match=words):
            solve(op, b, method, **option)
    with pytest.raises(ValueError, match="b holds NaN"):
        solve(op, np.full_like(b, np.nan), method)


@pytest.mark.parametrize("tv", [0.0, 0.02])
@variants
def test_on_device_arrays(cupy, variant, tv):
    c = case("symmetric")
    b = c.b.reshape(3, *c.op.output_shape)
    kwargs = {"maxiter": 28, "rtol": 0, "background": 0.7, "tv": tv}  # some in a graph
    expected, _ = run(variant, c.op, b, **kwargs)
    op = ConvLinearOperator(cupy.asarray(c.op.kernel), c.op.input_shape, **c.op.options)
    got, caught = run(variant, op, cupy.asarray(b), **kwargs)
    assert [w.category for w in caught] == [ConvergenceWarning]
    assert isinstance(got.x, cupy.ndarray) and got.nit == 28
    np.testing.assert_allclose(got.history, expected.history, rtol=1e-3)
    np.testing.assert_allclose(got.x.get(), expected.x, rtol=1e-3, atol=1e-3)
