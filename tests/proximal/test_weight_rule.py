"""Weights that a solver chooses from the noise."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery
from convinv.proximal import (
    L1,
    NonNegative,
    NuclearNorm,
    TotalVariation,
    admm,
    fista,
    minimize,
)

OPTIONS = {"maxiter": 2000, "on_failure": "ignore"}


def noisy(size, noise, boundary="symmetric"):
    x = gallery.image("camera", size)
    kernel = gallery.gaussian_kernel(7, 1.3)[None, None]
    op = ConvLinearOperator(kernel, x.shape, padding="same", boundary=boundary)
    rng = np.random.default_rng(2)
    return x, op, op.forward(x) + noise * rng.standard_normal(x.shape)


@pytest.mark.parametrize("noise", [0.003, 0.03])
@pytest.mark.parametrize("known", [True, False])
def test_almost_the_best_of_all_weights(noise, known):
    x, op, b = noisy(64, noise)

    def error(result):
        return np.linalg.norm(result.x - x)

    weights = noise * np.geomspace(1e-3, 1, 13)
    best = min(error(admm(op, b, TotalVariation(w), **OPTIONS)) for w in weights)
    found = minimize(op, b, TotalVariation(), noise_level=noise if known else None)
    assert found.success and error(found) < 1.05 * best
    assert found.extra["weight"] > 0 and 3 <= found.extra["weights_tried"] <= 12
    assert found.extra["noise_level"] == pytest.approx(noise, rel=0.1)
    same = admm(op, b, TotalVariation(found.extra["weight"]))
    assert same.objective == pytest.approx(found.objective, rel=1e-3)


def test_units():
    x, op, b = noisy(32, 0.02, "zero")
    g = [TotalVariation(), NonNegative()]
    plain = minimize(op, b, g)
    scaled = minimize(op, 100 * b, g)
    assert scaled.extra["weight"] == pytest.approx(100 * plain.extra["weight"], rel=0.1)
    np.testing.assert_allclose(scaled.x / 100, plain.x, atol=0.05)
    assert plain.x.min() >= 0 and g[0].weight is None


def test_other_priors():
    """One that fista solves with, and the sum of two."""
    rng = np.random.default_rng(0)
    x = np.outer(rng.standard_normal(24), rng.standard_normal(24))[None]
    kernel = rng.standard_normal((3, 1, 3, 3))
    op = ConvLinearOperator(kernel, x.shape, padding="same")
    b = op.forward(x) + 0.5 * rng.standard_normal(op.output_shape)
    found = fista(op, b, NuclearNorm(), noise_level=0.5)
    errors = [
        np.linalg.norm(fista(op, b, NuclearNorm(w)).x - x)
        for w in found.extra["weight"] * np.geomspace(1e-2, 1e2, 9)
    ]
    assert np.linalg.norm(found.x - x) < 1.2 * min(errors)


def test_refuses():
    x, op, b = noisy(16, 0.02)
    with pytest.raises(ValueError, match="only one weight.*TotalVariation, L1 have"):
        minimize(op, b, [TotalVariation(), L1()])
    with pytest.raises(ValueError, match="noise_level is for a prior whose weight is"):
        minimize(op, b, TotalVariation(0.1), noise_level=0.1)
    with pytest.raises(ValueError, match="needs noise_level, the standard deviation"):
        minimize(op.todense(), b.ravel(), TotalVariation(), shape=x.shape)
    with pytest.raises(ValueError, match="noise estimated from b is zero"):
        minimize(op, 0 * b, TotalVariation())
    with pytest.raises(ValueError, match="noise_level must be finite and positive"):
        minimize(op, b, TotalVariation(), noise_level=0)
