"""Bounds on x: answers of scipy.optimize.lsq_linear, and the conditions they meet."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import lsq_linear

from convinv import ConvergenceWarning, ConvLinearOperator, Status, gallery, solve
from convinv.operators import StackedOperator

RANDOM = {
    "tall": ((4, 1, 3, 3), (1, 7, 8), {}),
    "channels": ((3, 2, 3, 3), (2, 6, 5), {"padding": 1, "boundary": "reflect"}),
    "wide": ((1, 2, 3, 3), (2, 6, 6), {"padding": 1}),
    "stride": ((6, 1, 3, 3), (1, 9, 8), {"stride": 2}),
    "periodic": ((2, 1, 3, 3), (1, 6, 7), {"padding": "same", "boundary": "periodic"}),
    "1-D": ((2, 1, 4), (1, 23), {"padding": 1, "boundary": "replicate"}),
}


def random_op(name, seed):
    shape, size, options = RANDOM[name]
    rng = np.random.default_rng([seed, len(name)])
    return ConvLinearOperator(rng.standard_normal(shape), size, **options), rng


def reference(A, b, lo, hi, damp):
    n = A.shape[1]
    lo, hi = np.broadcast_to(lo, n), np.broadcast_to(hi, n)
    M = np.vstack([A, damp * np.eye(n)])
    data = np.concatenate([b, np.zeros(n)])
    return lsq_linear(M, data, (lo, hi), method="bvls", tol=1e-15, max_iter=2000).x


def projected(A, x, b, lo, hi, damp):
    """The gradient where x may follow it."""
    g = A.T @ (A @ x - b) + damp**2 * x
    held = (x <= lo) & (g > 0) | (x >= hi) & (g < 0)
    return np.where(held, 0, g)


def recorded(*args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return solve(*args, **kwargs), caught


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("method", ["auto", "cgls"])
@pytest.mark.parametrize("name", RANDOM)
def test_agrees_with_lsq_linear(name, method, seed):
    op, rng = random_op(name, seed)
    A, n = op.todense(), op.shape[1]
    b = A @ rng.standard_normal(n) + 0.3 * rng.standard_normal(op.shape[0])
    lo, width = -0.3 * rng.random(n), 0.8 * rng.random(n)
    hi = np.where(rng.random(n) < 0.3, np.inf, lo + width)
    lo = np.where(rng.random(n) < 0.3, -np.inf, lo)
    for damp in (0.1, 1.5):
        for low, high in ((0.0, None), (-0.2, 0.3), (lo, hi)):
            result, caught = recorded(
                op, b, method, damp=damp, bounds=(low, high), rtol=1e-10
            )
            assert result.success and not caught
            low = -np.inf if low is None else low
            high = np.inf if high is None else high
            x = result.x
            assert (x >= low).all() and (x <= high).all()
            wanted = reference(A, b, low, high, damp)
            assert np.linalg.norm(x - wanted) <= 1e-6 * np.linalg.norm(wanted)
            slope = projected(A, x, b, low, high, damp)
            size = np.linalg.norm(A.T @ b)
            assert np.linalg.norm(slope) <= 1.01e-10 * size + 1e-13 * size
            assert result.normal_residual_norm == pytest.approx(
                np.linalg.norm(slope), abs=1e-12 * size
            )
            assert result.residual_norm == pytest.approx(np.linalg.norm(b - A @ x))
            at = (x == low) | (x == high)
            assert result.extra["active"] <= at.mean() + 1e-12
            if low is not lo:
                assert result.extra["active"] > 0.05


@pytest.mark.parametrize("form", ["dense", "sparse", "stack"])
def test_other_operators(form):
    rng = np.random.default_rng(3)
    first, _ = random_op("tall", 1)
    A = rng.standard_normal((40, 25))
    if form == "stack":
        second = ConvLinearOperator(rng.standard_normal((1, 1, 2, 2)), (1, 7, 8))
        op = StackedOperator([first, second])
        A = np.vstack([first.todense(), second.todense()])
    else:
        op = A if form == "dense" else sparse.csr_array(A)
    b = rng.standard_normal(A.shape[0])
    result = solve(op, b, bounds=(0, 0.1), rtol=1e-10)
    assert result.success
    wanted = reference(A, b, 0, 0.1, 0.0)
    assert np.linalg.norm(result.x.ravel() - wanted) <= 1e-6 * np.linalg.norm(wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_is_its_items(dtype):
    """Also in slices, in columns, and with bounds for each item."""
    op, rng = random_op("channels", 2)
    op = op.astype(dtype)
    b = rng.standard_normal((4, *op.output_shape)).astype(dtype)
    lo = 0.8 * rng.random((4, *op.input_shape)) - 0.7
    kwargs = {"damp": 0.3, "rtol": 1e-5 if dtype == "float32" else 1e-9}
    close = {"rtol": 0, "atol": 1e-3 if dtype == "float32" else 1e-7}
    whole = solve(op, b, bounds=(lo, 0.2), **kwargs)
    assert whole.success and whole.x.dtype == dtype
    assert whole.extra["active"].shape == (4,)
    memory = 60 * b.itemsize * op.shape[0]
    sliced = solve(op, b, bounds=(lo, 0.2), max_memory=memory, **kwargs)
    assert sliced.extra["slices"] > 1
    np.testing.assert_allclose(sliced.x, whole.x, **close)
    columns = solve(
        op,
        b.reshape(4, -1).T,
        bounds=(lo.reshape(4, -1).T, 0.2),
        columns=True,
        **kwargs,
    )
    np.testing.assert_allclose(columns.x.T.reshape(whole.x.shape), whole.x, **close)
    for i in range(4):
        one = solve(op, b[i], bounds=(lo[i], 0.2), **kwargs)
        np.testing.assert_allclose(whole.x[i], one.x, **close)


def blurred(psf, n=48, seed=0, stars=False):
    rng = np.random.default_rng(seed)
    kernel = gallery.gaussian_kernel(9, 1.5)
    if psf == "disc":
        i, j = np.mgrid[-5:6, -5:6]
        kernel = (i * i + j * j <= 25) / 81.0
    image = np.zeros((1, n, n))
    if stars:
        for _ in range(n):
            image[0, rng.integers(n), rng.integers(n)] += rng.exponential()
    else:
        image[0, n // 4 : n // 2, n // 3 : n - 5] = 1
    op = ConvLinearOperator(
        kernel[None, None], image.shape, padding="same", boundary="symmetric"
    )
    b = op.forward(image)
    return op, image, b + 0.01 * b.max() * rng.standard_normal(b.shape)


@pytest.mark.parametrize("stars", [False, True])
@pytest.mark.parametrize("psf", ["gaussian", "disc"])
def test_pictures(psf, stars):
    """Bounds that hold of the image make the answer better."""
    op, image, b = blurred(psf, stars=stars)
    top = None if stars else 1.0
    plain = solve(op, b, damp=0.02)
    result = solve(op, b, damp=0.02, bounds=(0, top))
    assert result.success and "unbounded solution of" in result.message
    error = [np.linalg.norm(x - image) for x in (result.x, plain.x)]
    assert error[0] < 0.8 * error[1]
    other = solve(op, b, "cgls", damp=0.02, bounds=(0, top), rtol=1e-8)
    assert other.success and other.method == "cgls"
    size = np.linalg.norm(other.x)
    assert np.linalg.norm(result.x - other.x) <= 5e-3 * size
    again = solve(op, b, damp=0.02, bounds=(0, top), x0=result.x)
    assert again.success and again.nit <= 5


def test_the_splitting():
    """Where Newton steps go on for long; both ways have one answer."""
    op, _, _ = blurred("gaussian", n=64)
    rng = np.random.default_rng(8)
    image = np.clip(0.5 + 2 * op.forward(rng.standard_normal(op.input_shape)), 0, 1)
    b = op.forward(image) + 0.01 * rng.standard_normal(image.shape)
    both = np.stack([b, 0.5 + 0.001 * b])  # which needs no bounds
    kwargs = {"damp": 0.02, "bounds": (0, 1), "rtol": 1e-8}
    result = solve(op, both, **kwargs)
    assert result.success and "splitting" in result.message
    other = solve(op, both, "cgls", **kwargs)
    assert other.success and "splitting" not in other.message
    difference = np.linalg.norm(result.x - other.x)
    assert difference <= 1e-4 * np.linalg.norm(other.x)
    assert result.nit < other.nit


def test_bounds_that_do_not_bind():
    op, image, b = blurred("gaussian")
    plain = solve(op, b, damp=0.1)
    result = solve(op, b, damp=0.1, bounds=(-9, 9))
    assert result.nit == 0 and "within the bounds" in result.message
    np.testing.assert_array_equal(result.x, plain.x)
    assert result.extra["active"] == 0


def test_rules_look_at_the_unbounded_problem():
    op, image, b = blurred("gaussian")
    plain = solve(op, b, damp="gcv")
    result = solve(op, b, damp="gcv", bounds=(0, None))
    assert result.success and result.x.min() >= 0
    assert result.extra["damp"] == plain.extra["damp"]


def test_with_penalties_weights_and_priors():
    op, rng = random_op("tall", 4)
    A, n, shape = op.todense(), op.shape[1], op.input_shape
    b = rng.standard_normal(op.output_shape)
    weights, prior = rng.random(b.shape), rng.random(shape)
    lo = 0.2 + 0.1 * rng.random(shape)
    root = np.sqrt(weights.ravel())
    options = {"damp": 0.7, "weights": weights, "prior": prior, "rtol": 1e-10}
    result = solve(op, b, bounds=(lo, 0.6), **options)
    shifted = reference(
        root[:, None] * A,
        root * (b.ravel() - A @ prior.ravel()),
        (lo - prior).ravel(),
        0.6 - prior.ravel(),
        0.7,
    )
    assert result.success
    np.testing.assert_allclose(result.x.ravel(), shifted + prior.ravel(), atol=1e-6)
    assert result.x.min() >= lo.min() - 1e-12 and result.x.max() <= 0.6 + 1e-12
    D = [np.diff(np.eye(n).reshape(n, *shape), axis=a).reshape(n, -1) for a in (2, 3)]
    L = np.hstack(D).T
    result = solve(
        op, b, bounds=(0, None), regularizer="gradient", damp=2.0, rtol=1e-10
    )
    wanted = reference(
        np.vstack([A, 2 * L]), np.append(b.ravel(), np.zeros(len(L))), 0, np.inf, 0.0
    )
    assert result.success
    np.testing.assert_allclose(result.x.ravel(), wanted, atol=1e-6)


@pytest.mark.parametrize("power", [-200, 200])
def test_units(power):
    op, rng = random_op("tall", 5)
    b = rng.standard_normal(op.output_shape)
    one = solve(op, b, damp=0.5, bounds=(-0.1, 0.2), rtol=1e-8)
    ends = tuple(np.ldexp((-0.1, 0.2), power))
    two = solve(op, np.ldexp(b, power), damp=0.5, bounds=ends, rtol=1e-8)
    np.testing.assert_array_equal(two.x, np.ldexp(one.x, power))
    scaled = ConvLinearOperator(np.ldexp(op.kernel, power), op.input_shape)
    ends = tuple(np.ldexp((-0.1, 0.2), -power))
    three = solve(scaled, b, damp=np.ldexp(0.5, power), bounds=ends, rtol=1e-8)
    np.testing.assert_allclose(np.ldexp(three.x, power), one.x, atol=1e-7)


def test_no_data():
    """The point next to zero is right for b = 0 with an orthogonal matrix."""
    result = solve(np.eye(6), np.zeros(6), bounds=(0.5, None))
    assert result.success
    np.testing.assert_array_equal(result.x, np.full(6, 0.5))


def test_one_truth():
    op, image, b = blurred("disc")
    seen = []

    def callback(state):
        assert (state.x >= 0).all() and state.x.shape == image.shape
        seen.append((state.nit, state.residual_norm))
        return state.nit == 7

    kwargs = {"damp": 0.02, "bounds": (0, None), "rtol": 1e-9}
    result, caught = recorded(op, b, callback=callback, **kwargs)
    assert result.status is Status.STOPPED and not caught and result.nit == 7
    assert [nit for nit, _ in seen] == list(range(1, 8))
    np.testing.assert_allclose([norm for _, norm in seen], result.history)
    result, caught = recorded(op, b, maxiter=4, **kwargs)
    assert result.status is Status.MAXITER and result.nit == 4 == len(result.history)
    assert [w.category for w in caught] == [ConvergenceWarning]
    assert (result.x >= 0).all()


def test_what_is_refused():
    op, rng = random_op("tall", 6)
    b = rng.standard_normal(op.output_shape)
    for bounds, error, words in (
        (0, TypeError, "bounds must be a pair"),
        ((0, 1, 2), TypeError, "bounds must be a pair"),
        ((1, 0), ValueError, "lo <= hi"),
        ((np.inf, None), ValueError, "lo <= hi"),
        ((np.nan, None), ValueError, r"bounds\[0\] holds NaN"),
        ((None, np.zeros(3)), ValueError, r"bounds\[1\] must be a number or have the"),
        ((1j, None), ValueError, r"bounds\[0\] must be real"),
    ):
        with pytest.raises(error, match=words):
            solve(op, b, bounds=bounds)
    with pytest.raises(ValueError, match="complex"):
        solve(op, b.astype(complex), bounds=(0, 1))
    for options, words in (
        ({"method": "lsmr"}, "'lsmr' takes no bounds"),
        ({"preconditioner": "jacobi"}, "takes no preconditioner"),
        ({"conlim": 1e8}, "takes no conlim"),
    ):
        with pytest.raises(ValueError, match=words):
            solve(op, b, **{"bounds": (0, 1), **options})


def test_on_device_arrays(cupy):
    op, rng = random_op("channels", 7)
    b = rng.standard_normal((2, *op.output_shape))
    kwargs = {"damp": 0.4, "rtol": 1e-8}
    wanted = solve(op, b, bounds=(0, 0.3), **kwargs)
    device = ConvLinearOperator(cupy.asarray(op.kernel), op.input_shape, **op.options)
    got = solve(device, cupy.asarray(b), bounds=(0, 0.3), **kwargs)
    assert got.success and isinstance(got.x, cupy.ndarray)
    np.testing.assert_allclose(got.x.get(), wanted.x, atol=1e-6)
