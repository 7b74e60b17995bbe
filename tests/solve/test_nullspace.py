"""Projections onto null spaces, and solutions nearest to a prior."""

import warnings

import numpy as np
import pytest

import convinv
from convinv import ConvergenceWarning, ConvLinearOperator, solve
from convinv._solve import nullspace
from support.arrays import random
from support.layers import matrix
from support.torus_layers import LAYERS, NAMES, layer, named


def others(name, dtype):
    """Layers that are not periodic."""
    if name == "more data than rank":
        return ConvLinearOperator(random((2, 1, 3, 3), dtype), (1, 8, 8))
    shape, options = {
        "valid": ((2, 3, 3, 3), {}),
        "strided": ((4, 3, 3, 3), {"stride": 2, "padding": 1}),
        "reflect": ((2, 3, 3, 3), {"padding": 1, "boundary": "reflect"}),
    }[name]
    return ConvLinearOperator(random(shape, dtype), (3, 6, 7), **options)


def make(name, dtype="float64"):
    return named(name, dtype) if name in NAMES else others(name, dtype)


def projection(A, rcond=1e-12):
    return np.eye(A.shape[1]) - np.linalg.pinv(A, rcond=rcond) @ A


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(
    "name",
    [
        *LAYERS,
        "deficient",
        "repeated",
        "valid",
        "strided",
        "reflect",
        "more data than rank",
    ],
)
def test_projects(name, dtype):
    op = make(name, dtype)
    A = matrix(op)
    assert name != "more data than rank" or np.linalg.matrix_rank(A) < min(A.shape)
    x = random((2, *op.input_shape), dtype, 3)
    z = convinv.project_nullspace(op, x)
    assert z.shape == x.shape and z.dtype == dtype and not np.shares_memory(z, x)
    expected = x.reshape(2, -1) @ projection(A).T
    exact = name in LAYERS or name in ("deficient", "repeated")
    atol = 1e-12 if exact else 1e-7
    np.testing.assert_allclose(z.reshape(2, -1), expected, atol=atol)
    seen = np.linalg.norm(z.reshape(2, -1) @ A.T)
    assert seen <= 10 * atol * np.linalg.norm(A, 2)


@pytest.mark.parametrize("name", ["wide", "valid"])
def test_shapes(name):
    op = make(name)
    x = random((2, 3, *op.input_shape), "float64", 4)
    z = convinv.project_nullspace(op, x)
    assert z.shape == x.shape
    item = convinv.project_nullspace(op, x[1, 2])
    vector = convinv.project_nullspace(op, x[1, 2].ravel())
    assert item.shape == op.input_shape and vector.shape == (op.shape[1],)
    np.testing.assert_allclose(item, z[1, 2], atol=1e-7)
    np.testing.assert_allclose(vector, item.ravel(), atol=1e-7)


@pytest.mark.parametrize(
    ("kernel", "x"), [("float32", "float32"), ("float32", "complex64")]
)
def test_dtypes(kernel, x):
    op = layer("wide", kernel)
    x = random(op.input_shape, x, 5)
    z = convinv.project_nullspace(op, x)
    assert z.dtype == x.dtype
    expected = projection(matrix(op)) @ x.ravel()
    np.testing.assert_allclose(z.ravel(), expected, atol=1e-5)


def test_integers_and_views():
    op = layer("wide")
    x = np.arange(2 * np.prod(op.input_shape)).reshape(2, *op.input_shape)[:, :, ::-1]
    z = convinv.project_nullspace(op, x)
    expected = x.reshape(2, -1) @ projection(matrix(op)).T
    assert z.dtype == "float64"
    np.testing.assert_allclose(z.reshape(2, -1), expected, atol=1e-9)


def test_full_rank_gives_zero():
    op = layer("tall")
    z = convinv.project_nullspace(op, random(op.input_shape, "float64"))
    assert not z.any()


def test_projections_are_kept():
    op = layer("wide")
    x = random(op.input_shape, "float64")
    convinv.project_nullspace(op, x)
    kept = {key: op.cached(key, None) for key in op.cached_keys}
    convinv.project_nullspace(op, x)
    assert list(kept) == op.cached_keys and any("null space" in key for key in kept)
    assert all(op.cached(key, None) is value for key, value in kept.items())


def test_iterations_that_fall_short_are_told():
    op = make("valid")
    x = random(op.input_shape, "float64")
    with pytest.warns(ConvergenceWarning, match="project_nullspace: lsmr") as caught:
        convinv.project_nullspace(op, x, method="lsmr", maxiter=2)
    assert caught[0].filename == __file__
    loose = convinv.project_nullspace(op, x, method="lsmr", rtol=1e-2)
    tight = convinv.project_nullspace(op, x, method="lsmr", rtol=1e-9)
    exact = projection(matrix(op)) @ x.ravel()
    errors = [np.linalg.norm(z.ravel() - exact) for z in (loose, tight)]
    assert errors[1] < 1e-3 * errors[0]


def test_wrong_arguments():
    op = make("valid")
    x = np.ones(op.input_shape)
    with pytest.raises(TypeError, match="op must be a ConvLinearOperator"):
        convinv.project_nullspace(np.eye(3), np.ones(3))
    with pytest.raises(ValueError, match=r"x must have shape \(126,\), \(3, 6, 7\)"):
        convinv.project_nullspace(op, x[:, 1:])
    with pytest.raises(ValueError, match="x holds no vector"):
        convinv.project_nullspace(op, x[None][:0])
    for name in ("damp", "x0"):
        with pytest.raises(ValueError, match=f"takes no {name}"):
            convinv.project_nullspace(op, x, **{name: 1.0})
    with pytest.raises(ValueError, match="'strip' does not find .* least norm"):
        convinv.project_nullspace(op, x, method="strip")


@pytest.mark.parametrize("method", ["cgls", "spectral"])
@pytest.mark.parametrize("name", ["wide", "stride, groups", "repeated"])
def test_the_solution_nearest_to_a_prior(name, method):
    """``x0 + A^+ (b - A x0)``: the prior where the layer sees nothing."""
    op = make(name)
    A = matrix(op)
    truth, prior = (random(op.input_shape, "float64", seed) for seed in (5, 6))
    b = op.forward(truth)
    x = solve(op, b, method, x0=prior, rtol=1e-12).x
    inverse = np.linalg.pinv(A, rcond=1e-12)
    expected = prior.ravel() + inverse @ (b.ravel() - A @ prior.ravel())
    np.testing.assert_allclose(x.ravel(), expected, atol=1e-8)
    unseen = convinv.project_nullspace(op, x)
    np.testing.assert_allclose(unseen, convinv.project_nullspace(op, prior), atol=1e-8)
    shortest = solve(op, b, method, rtol=1e-12).x
    np.testing.assert_allclose(convinv.project_nullspace(op, shortest), 0, atol=1e-8)


def test_device_arrays(cupy):
    host = layer("wide")
    x = random((2, *host.input_shape), "float64")
    device = ConvLinearOperator(
        cupy.asarray(host.kernel), host.input_shape, **host.options
    )
    z = convinv.project_nullspace(device, cupy.asarray(x))
    assert isinstance(z, cupy.ndarray)
    with pytest.raises(TypeError, match="x must be a .*cupy array"):
        convinv.project_nullspace(device, x)
    np.testing.assert_allclose(z.get(), convinv.project_nullspace(host, x), atol=1e-12)


def binomial(n, dtype="float64", copies=2):
    """A binomial filter more than once, and its null space, which is known.

    ``(1 + z)^6`` annihilates ``(-1)^i p(i)`` with polynomials p of degree below 6.
    """
    filters = [[[1.0, 6, 15, 20, 15, 6, 1]]] * copies
    op = ConvLinearOperator(filters, (1, n), dtype=dtype)
    at = np.linspace(-1, 1, n)
    powers = np.polynomial.legendre.legvander(at, 5) * (-1.0) ** np.arange(n)[:, None]
    return op, np.linalg.qr(powers)[0]


class TestIllConditioned:
    """The normal residual is small long before the projection is right."""

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("method", ["auto", "cgls", "lsmr", "lsqr"])
    def test_repeated_filters(self, method, dtype):
        op, basis = binomial(40, dtype)  # condition 2e5, and rtol is 1e-10
        x = random(op.input_shape, dtype, 1)
        z = convinv.project_nullspace(op, x, method=method)
        assert z.dtype == dtype
        expected = basis @ (basis.T @ x.ravel())
        np.testing.assert_allclose(z.ravel(), expected, atol=5e-5)

    @pytest.mark.parametrize("n", [40, 120, 300, 3000])
    def test_right_or_told(self, n):
        """Conditions up to 1e15."""
        op, basis = binomial(n)
        x = random((2, *op.input_shape), "float64", 2)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            z = convinv.project_nullspace(op, x)
        error = np.linalg.norm(z.reshape(2, n) - x.reshape(2, n) @ basis @ basis.T)
        assert caught or error <= 1e-3 * np.linalg.norm(x)
        for warning in caught:
            assert issubclass(warning.category, ConvergenceWarning)
            assert "||A z|| is" in str(warning.message)

    @pytest.mark.parametrize("small", [True, False], ids=["dense", "solves"])
    @pytest.mark.parametrize("dtype", ["float32", "complex64"])
    @pytest.mark.parametrize("seed", range(8))
    def test_single_precision(self, monkeypatch, seed, dtype, small):
        """Computed in double: right to the rounding of the result."""
        monkeypatch.setattr(nullspace, "DENSE", nullspace.DENSE if small else 0)
        rng = np.random.default_rng(seed)
        filters, channels = rng.integers(1, 4, 2)
        kernel = random((filters, channels, 3, 3), dtype, seed)
        if seed % 3 == 0:
            kernel[:, -1] = 2 * kernel[:, 0]
        boundary = ["zero", "reflect", "symmetric", "replicate"][seed % 4]
        op = ConvLinearOperator(
            kernel, (channels, 7, 8), padding=seed % 2, boundary=boundary
        )
        A = op.astype(np.result_type(dtype, float)).todense()
        values = np.linalg.svd(A, compute_uv=False)
        x = random(op.input_shape, dtype, seed + 1)
        z = convinv.project_nullspace(op, x)
        expected = projection(A, 1e-7) @ x.ravel()
        condition = values[0] / values[values > 1e-7 * values[0]].min()
        atol = 1e-6 + 1e-9 * condition
        np.testing.assert_allclose(z.ravel(), expected, atol=atol)

    @pytest.mark.parametrize("power", [-150, 150])
    def test_scale(self, monkeypatch, power):
        op, basis = binomial(30)
        x = random(op.input_shape, "float64", 3)
        expected = basis @ (basis.T @ x.ravel())
        scaled = ConvLinearOperator(op.kernel * 10.0**power, (1, 30))
        for limit in (nullspace.DENSE, 0):
            monkeypatch.setattr(nullspace, "DENSE", limit)
            z = convinv.project_nullspace(scaled, 1e20 * x)
            np.testing.assert_allclose(z.ravel() / 1e20, expected, atol=1e-5)


def test_x_in_the_null_space(monkeypatch):
    """``A x`` is only rounding then, and does not have to be matched."""
    op, basis = binomial(40)
    for limit in (nullspace.DENSE, 0):
        monkeypatch.setattr(nullspace, "DENSE", limit)
        x = basis @ np.arange(1.0, 7)
        np.testing.assert_allclose(convinv.project_nullspace(op, x), x, atol=1e-8)


def test_numbers_that_are_not_finite():
    op, _ = binomial(20)
    with pytest.raises(ValueError, match="x holds NaN or infinity"):
        convinv.project_nullspace(op, np.full(20, np.nan))
