"""Priors against those of PyProximal, which others have written."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, proximal

theirs = pytest.importorskip("pyproximal")
SHAPE = 24, 30
RNG = np.random.default_rng(7)
X = RNG.standard_normal(SHAPE)
PAIRS = {  # with a step, which multiplies the weight of ours
    "L1": (lambda w: proximal.L1(w), lambda w: theirs.L1(sigma=w)),
    "nuclear norm": (
        lambda w: proximal.NuclearNorm(w),
        lambda w: theirs.Nuclear(SHAPE, sigma=w),
    ),
    "box": (lambda w: proximal.Box(-w, w), lambda w: theirs.Box(-w, w)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("step", [0.3, 1.0, 2.5])
def test_proximal_operators(name, step):
    ours, other = (make(0.7) for make in PAIRS[name])
    wanted = other.prox(X.ravel(), step).reshape(SHAPE)
    np.testing.assert_allclose(ours.prox(X, step), wanted, rtol=1e-12, atol=1e-12)
    value = other(X.ravel())
    if not isinstance(value, (bool, np.bool_)):
        assert ours.value(X) == pytest.approx(value, rel=1e-8)  # theirs adds a little


@pytest.mark.parametrize("weight", [0.05, 0.4])
def test_total_variation(weight):
    """The same minimum as their iterations approach from above."""
    found = proximal.prox_total_variation(X, weight, rtol=1e-7)
    other = theirs.TV(SHAPE, sigma=weight, niter=1000, rtol=0)
    wanted = other.prox(X.ravel(), 1.0).reshape(SHAPE)

    def objective(z):
        return ((z - X) ** 2).sum() / 2 + weight * proximal.total_variation(z)

    assert objective(found) <= objective(wanted) * (1 + 1e-7)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_deblurring():
    """An image with a total variation prior, by their primal-dual iteration."""
    pylops = pytest.importorskip("pylops")
    from convinv.interop.pylops import to_pylops

    kernel = RNG.random((1, 1, 3, 3))
    op = ConvLinearOperator(kernel, (1, *SHAPE), padding="same", boundary="symmetric")
    b, weight = op.forward(X[None]), 0.3
    ours = proximal.minimize(op, b, proximal.TotalVariation(weight), rtol=1e-7).x
    gradient = pylops.Gradient(SHAPE, kind="forward", dtype="float64")
    norm = np.sqrt(kernel.sum() ** 2 + 8)
    wanted = theirs.optimization.primaldual.PrimalDual(
        theirs.L2(to_pylops(op), b.ravel(), niter=20),
        theirs.L21(2, sigma=weight),
        gradient,
        x0=np.zeros(X.size),
        tau=0.9 / norm,
        mu=0.9 / norm,
        niter=3000,
    ).reshape(ours.shape)

    def objective(z):
        misfit = ((op.forward(z) - b) ** 2).sum() / 2
        return misfit + weight * proximal.total_variation(z)

    assert objective(ours) <= objective(wanted) * (1 + 1e-5)
    np.testing.assert_allclose(objective(wanted), objective(ours), rtol=1e-3)
