"""The Kullback-Leibler divergence: its value, its prox, and solves with it."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import kl_div

from convinv.operators import DiagonalOperator
from convinv.proximal import KullbackLeibler, admm, fista

SHAPE = (3, 6, 5)


def counts(seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(4.0, SHAPE).astype(float) * (rng.random(SHAPE) < 0.8)


def test_value():
    b, rng = counts(), np.random.default_rng(1)
    x, background = rng.random(SHAPE) * 9 + 0.1, rng.random(SHAPE)
    g = KullbackLeibler(b, 0.7, background=background)
    assert g.value(x) == pytest.approx(0.7 * kl_div(b, x + background).sum())
    assert KullbackLeibler(b).value(b) == 0
    assert g.value(-2.0 * np.ones(SHAPE)) == np.inf
    assert KullbackLeibler(b).value(0 * x) == np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("step", [1e-6, 0.3, 50.0])
def test_prox(dtype, step):
    """The minimizer of every entry's own problem, which SciPy finds too."""
    rng, b = np.random.default_rng(2), counts(3)
    x = (10 * rng.standard_normal(SHAPE)).astype(dtype)
    background = rng.random(SHAPE)
    g = KullbackLeibler(b, 0.7, background=background)
    z = g.prox(x, step)
    assert z.dtype == dtype and z.shape == SHAPE
    close = 2e-4 if dtype == "float32" else 1e-5
    for i in np.ndindex(2, 6, 5):

        def objective(u, i=i):
            terms = kl_div(b[i], u)
            return (u - background[i] - x[i]) ** 2 / 2 + 0.7 * step * terms

        top = abs(x[i]) + b[i] + 2
        found = minimize_scalar(
            objective, bounds=(0, top), method="bounded", options={"xatol": 1e-9}
        )
        u = max(z[i] + background[i], 1e-7)  # the rounding of z may make it less
        assert objective(u) <= found.fun + close * (1 + found.fun)
        assert u == pytest.approx(found.x, abs=10 * close)


def test_small_means_are_accurate():
    """Roots of both signs of c, without cancellation."""
    g = KullbackLeibler(np.array([1e-3, 2.0, 0.0]))
    x = np.array([-1e8, 1e8, -3.0])
    z = g.prox(x, 1.0)
    np.testing.assert_allclose(z[:2], [1e-3 / (1e8 + 1), 1e8 - 1 + 2e-8], rtol=1e-12)
    assert z[2] == 0


def test_solves():
    """Denoised counts, by every method that takes a prior."""
    b, rng = counts(4), np.random.default_rng(5)
    op = DiagonalOperator(rng.random(SHAPE) + 0.5, SHAPE)
    data = 5 * rng.random(SHAPE)
    g = KullbackLeibler(b, 0.4)
    found = [method(op, data, g, rtol=1e-9) for method in (admm, fista)]
    assert all(result.success for result in found)
    np.testing.assert_allclose(found[0].x, found[1].x, rtol=1e-6, atol=1e-6)
    x = found[0].x
    d = op.forward(np.ones(SHAPE))
    slope = d * (d * x - data) + 0.4 * (1 - np.divide(b, x, where=b > 0, out=0 * x))
    assert np.all((abs(slope) < 1e-6) | ((x < 1e-6) & (slope > 0)))


def test_what_is_refused():
    for arguments, error, words in (
        ((np.array([1.0, -1.0]),), ValueError, "b must be finite and not negative"),
        ((np.array([1.0, np.nan]),), ValueError, "b must be finite"),
        ((np.array([1j]),), TypeError, "b must be an array of real numbers"),
        ((np.ones(2), -1.0), ValueError, "weight must be"),
        ((np.ones(2), "much"), TypeError, "weight must be"),
    ):
        with pytest.raises(error, match=words):
            KullbackLeibler(*arguments)
    with pytest.raises(ValueError, match="background must be"):
        KullbackLeibler(np.ones(2), background=-1.0)
    with pytest.raises(ValueError, match="shape of b"):
        KullbackLeibler(np.ones(2)).prox(np.ones(3), 1.0)
    with pytest.raises(TypeError, match="real"):
        KullbackLeibler(np.ones(2)).prox(np.ones(2, complex), 1.0)


def test_on_the_device(cupy):
    b = counts(6)
    x = np.random.default_rng(7).standard_normal(SHAPE)
    got = KullbackLeibler(cupy.asarray(b), 2.0).prox(cupy.asarray(x), 0.5)
    np.testing.assert_allclose(got.get(), KullbackLeibler(b, 2.0).prox(x, 0.5))
