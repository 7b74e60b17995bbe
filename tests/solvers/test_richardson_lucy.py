"""Richardson-Lucy: its iterates, its accelerations, total variation and stopping."""

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize

from convinv import ConvergenceWarning, ConvLinearOperator, gallery, solve
from support.arrays import BOUNDARIES
from support.counts import PROBLEMS, case, divergence, gradient

NAME = "richardson-lucy"


def blur(size, shape, sigma=1.3, **options):
    kernel = gallery.gaussian_kernel(size, sigma)[None, None]
    options = {"padding": "same", "boundary": "symmetric", **options}
    return ConvLinearOperator(kernel, shape, **options)


def iterates(op, b, x0=None, background=0.0, **options):
    """The x of every iteration."""
    found = []
    with pytest.warns(ConvergenceWarning):
        solve(
            op,
            b,
            NAME,
            x0=x0,
            background=background,
            rtol=0,
            callback=lambda state: found.append(state.x.copy()),
            **options,
        )
    return found


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_plain_steps(problem, seed):
    """``x A^H(b / (A x + background)) / A^H 1`` with the matrix, from a flat x."""
    c = case(problem, seed)
    b, A = c.b[seed], c.A
    s = A.sum(0)
    x = np.full(A.shape[1], max(b.sum() - c.background.sum(), 0.01 * b.sum()) / s.sum())
    found = iterates(c.op, b, background=c.background, acceleration=None, maxiter=25)
    seen = s > 1e-12 * s.max()
    for got in found:
        u = A @ x + c.background
        back = A.T @ np.divide(b, u, out=np.zeros_like(u), where=b > 0)
        x = np.where(seen, x * np.divide(back, s, out=np.ones_like(s), where=seen), x)
        close = {"rtol": 1e-10, "atol": 1e-10 * x.max()}
        np.testing.assert_allclose(got.ravel(), x, **close)


@pytest.mark.parametrize("boundary", ["periodic", "symmetric"])
@pytest.mark.parametrize("size", [5, 31])
def test_sums_are_kept(boundary, size):
    """Also with products by FFT, whose roundings have both signs."""
    op = blur(size, (1, 40, 36), size / 5, boundary=boundary)
    sky = np.zeros(op.input_shape)
    sky[0, 20, 12], sky[0, 5, 30] = 4000, 900
    means = np.maximum(op.forward(sky), 0)
    b = np.random.default_rng(0).poisson(means).astype(float)
    for x in iterates(op, b, acceleration=None, maxiter=20):
        assert x.min() >= 0
        assert x.sum() == pytest.approx(b.sum(), rel=1e-10)


@pytest.mark.parametrize("problem", ["zero", "reflect", "stride", "matrix"])
@pytest.mark.parametrize("acceleration", [None, "gradient-projection"])
def test_the_divergence_decreases(problem, acceleration):
    c = case(problem)
    found = iterates(
        c.op, c.b[0], background=c.background, acceleration=acceleration, maxiter=40
    )
    values = [divergence(c.A, x.ravel(), c.b[0], c.background) for x in found]
    assert (np.diff(values) <= 1e-9 * values[0]).all()


@pytest.mark.parametrize("acceleration", ["gradient-projection", "biggs-andrews"])
def test_accelerations_are_faster(acceleration):
    """They reach the likelihood of many plain steps in a fraction of them."""
    op, rng = blur(13, (1, 48, 48), 2.0), np.random.default_rng(1)
    sky = np.zeros(op.input_shape)
    for _ in range(12):
        sky[0, rng.integers(48), rng.integers(48)] += 3000 * rng.exponential()
    b = rng.poisson(op.forward(sky) + 20.0).astype(float)
    A = op.tosparse().toarray()
    kwargs = {"background": 20.0, "maxiter": 200}
    values = {
        a: [
            divergence(A, x.ravel(), b.ravel(), 20.0)
            for x in iterates(op, b, acceleration=a, **kwargs)
        ]
        for a in (None, acceleration)
    }
    reached = np.flatnonzero(np.array(values[acceleration]) <= values[None][-1])[0]
    assert reached < 60


@pytest.mark.parametrize("acceleration", [None, "gradient-projection"])
@pytest.mark.parametrize("weight", [0.003, 0.1])
def test_total_variation(weight, acceleration):
    """The minimum of the objective that the page writes down."""
    op, rng = blur(5, (1, 9, 10)), np.random.default_rng(2)
    image = np.full(op.input_shape, 20.0)
    image[0, 2:6, 3:8] = 90
    b = rng.poisson(op.forward(image)).astype(float).ravel()
    A, shape = op.tosparse().toarray(), op.input_shape
    e = 0.01 * b.sum() / A.sum()

    def parts(x):
        d = np.zeros((2, *shape[1:]))
        image = x.reshape(shape[1:])
        d[0, :-1], d[1, :, :-1] = np.diff(image, axis=0), np.diff(image, axis=1)
        return d, np.sqrt((d**2).sum(0) + e**2)

    def value(x):
        return divergence(A, x, b) + weight * parts(x)[1].sum()

    def slope(x):
        d, size = parts(x)
        d = d / size
        back = np.zeros(shape[1:])
        back[:-1] -= d[0, :-1]
        back[1:] += d[0, :-1]
        back[:, :-1] -= d[1, :, :-1]
        back[:, 1:] += d[1, :, :-1]
        return gradient(A, x, b)[0] + weight * back.ravel()

    start = rng.random(b.size) * 50 + 5
    assert check_grad(value, slope, start) <= 1e-3
    wanted = minimize(
        value,
        start,
        jac=slope,
        bounds=[(0, None)] * b.size,
        method="L-BFGS-B",
        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15, "gtol": 1e-8},
    )
    result = solve(
        op,
        b,
        NAME,
        tv=weight,
        acceleration=acceleration,
        rtol=1e-6 if acceleration else 1e-4,
        maxiter=10000,
    )
    assert result.success
    above = 1e-6 if acceleration else 1e-3  # which is for the looser tolerance
    assert value(result.x.ravel()) <= wanted.fun + above * abs(wanted.fun)
    plain = solve(op, b, NAME, rtol=1e-4, maxiter=5000)
    assert parts(result.x)[1].sum() < 0.9 * parts(plain.x)[1].sum()


def test_total_variation_of_vectors_and_batches():
    """Matrices have x on a line; items have their own level."""
    c = case("matrix")
    for i in range(3):
        both = solve(c.A, c.b[: i + 1], NAME, tv=0.05, rtol=1e-4, columns=False)
        one = solve(c.A, c.b[i], NAME, tv=0.05, rtol=1e-4)
        assert one.success and both.success
        np.testing.assert_allclose(both.x[i], one.x, rtol=1e-3, atol=1e-2)


def test_stopping():
    op, rng = blur(9, (1, 40, 40)), np.random.default_rng(3)
    image = np.full((1, 40, 40), 50)
    image[0, 10:25, 12:30] = 200
    b = rng.poisson(op.forward(image)).astype(float)
    A = op.tosparse()
    rough = solve(op, b, NAME, stopping="discrepancy")
    assert rough.success and rough.nit > 1

    def deviance(x):
        return 2 * divergence(A, x.ravel(), b.ravel()) / b.size

    assert deviance(rough.x) <= 1 + 1e-6
    assert rough.extra["deviance"] == pytest.approx(rough.history[-1])
    assert (rough.history[:-1] > 1).all()
    result = solve(op, b, NAME, stopping="change", rtol=3e-3, acceleration=None)
    assert result.success
    g, s = gradient(A, result.x.ravel(), b.ravel())
    moved = np.linalg.norm(result.x.ravel() * g / s)
    assert moved <= 3e-3 * np.linalg.norm(result.x)
    assert moved == pytest.approx(result.extra["distance"] * np.linalg.norm(result.x))
    error = [np.linalg.norm(x - image) for x in (rough.x, result.x)]
    assert error[0] < error[1]  # later iterations fit noise


def test_a_flat_start_that_explains_all():
    """Data that are no counts: the message says so."""
    op = blur(5, (1, 12, 12))
    b = op.forward(np.random.default_rng(0).random(op.input_shape))
    result = solve(op, b, NAME, stopping="discrepancy")
    assert result.success and result.nit == 0
    assert "counts" in result.message


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_float32(boundary):
    """Single precision goes on in double where it has to."""
    op = blur(7, (1, 20, 20), boundary=boundary)
    rng = np.random.default_rng(4)
    b = rng.poisson(op.forward(100 * rng.random(op.input_shape)))
    result = solve(op, b.astype("float32"), NAME, rtol=3e-5, maxiter=20000)
    assert result.success
    wide = solve(op, b.astype("float64"), NAME, rtol=3e-5, maxiter=20000)
    difference = np.linalg.norm(op.forward(result.x - wide.x))
    assert difference <= 1e-2 * np.linalg.norm(op.forward(wide.x))
