"""What every prior of `convinv.proximal` promises of its proximal operator.

Those here have a weight and nothing else that must be given: norms of the image.
"""

import inspect

import numpy as np
import pytest

from convinv import proximal
from convinv.operators import DifferenceOperator
from convinv.proximal import L1, Analysis, Box, Proximal
from support.arrays import every_dtype, random

ALL = [
    cls
    for name in proximal.__all__
    if inspect.isclass(cls := getattr(proximal, name))
    and issubclass(cls, Proximal)
    and next(iter(inspect.signature(cls).parameters), "") == "weight"
]
SETS = [cls for cls in ALL if issubclass(cls, Box)]
PRIORS = [cls for cls in ALL if cls not in SETS and cls is not Analysis]
SHAPE = (3, 6, 5)
every_prior = pytest.mark.parametrize("prior", PRIORS)
every_set = pytest.mark.parametrize("prior", SETS)


def inner(x, y):
    return np.vdot(x, y).real


@every_prior
@every_dtype
def test_prox_solves_its_problem(prior, dtype):
    """``(x - z) / step`` is a subgradient of g at ``z = prox(x, step)``."""
    g, x = prior(0.7), random(SHAPE, dtype)
    given = x.copy()
    close = 1e-3 if np.finfo(dtype).eps > 1e-10 else 1e-6
    for step in (0.1, 1.0, 30.0):
        z = g.prox(x, step)
        assert z.dtype == dtype and z.shape == SHAPE
        subgradient = (x - z) / step
        value = g.value(z)
        size = np.linalg.norm(x) ** 2 / step + value
        for seed in range(5):
            for near in (1e-3, 1.0, 10.0):
                u = z + near * random(SHAPE, dtype, seed + 1)
                below = value + inner(subgradient, u - z)
                assert below <= g.value(u) + close * size
        # it holds with equality at z = 0 and twice z, as g is homogeneous
        assert abs(value - inner(subgradient, z)) <= close * size
    np.testing.assert_array_equal(x, given)


@every_prior
def test_value(prior):
    """A seminorm, in proportion to the weight."""
    g, x, y = prior(0.7), random(SHAPE, seed=1), random(SHAPE, seed=2)
    assert g.value(x) > 0 and g.value(0 * x) == 0
    np.testing.assert_allclose(g.value(-3 * x), 3 * g.value(x))
    np.testing.assert_allclose(prior(1.4).value(x), 2 * g.value(x))
    assert g.value(x + y) <= g.value(x) + g.value(y)


@every_prior
def test_limits(prior):
    x = random(SHAPE)
    np.testing.assert_allclose(prior(0.7).prox(x, 0.0), x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(prior(0.0).prox(x, 2.0), x, rtol=0, atol=1e-12)
    assert prior(0.7).value(prior(0.7).prox(x, 1e4)) < 1e-6


@every_prior
def test_start_remembers(prior):
    """The function of one solve gives what `prox` gives."""
    g, x = prior(0.3), random(SHAPE)
    prox = g.start()
    for factor in (1.0, 1.01):
        want = g.prox(factor * x, 0.5)
        np.testing.assert_allclose(prox(factor * x, 0.5), want, rtol=0, atol=1e-5)


@every_prior
def test_weight(prior):
    for weight in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="weight must be"):
            prior(weight)
    with pytest.raises(TypeError, match="weight must be a number"):
        prior("much")


@every_prior
def test_no_weight(prior):
    """Without one there is neither a value nor a proximal operator."""
    x = random(SHAPE)
    for call in (
        prior().value,
        lambda x: prior().prox(x, 1.0),
        lambda x: prior().start()(x, 1.0),
    ):
        with pytest.raises(ValueError, match="has no weight"):
            call(x)
    np.testing.assert_array_equal(
        prior().with_weight(0.3).prox(x, 1.0), prior(0.3).prox(x, 1.0)
    )


def example(prior):
    return prior(-0.2, 0.5) if prior is Box else prior()


@every_set
def test_sets(prior):
    """The nearest element, which is the same for every step."""
    g, x = example(prior), random(SHAPE)
    given, z = x.copy(), g.prox(x, 0.3)
    assert g.value(z) == 0 and g.value(x) == np.inf
    np.testing.assert_array_equal(z, g.prox(x, 30.0))
    np.testing.assert_array_equal(z, g.prox(z, 1.0))
    for seed in range(20):
        u = g.prox(random(SHAPE, seed=seed + 1), 1.0)
        assert inner(x - z, u - z) <= 1e-12
    np.testing.assert_array_equal(x, given)
    assert g.prox(x.astype("f4"), 0.3).dtype == np.float32
    with pytest.raises(TypeError, match="bounds are for real x"):
        g.prox(x + 1j, 0.3)


def test_bounds():
    with pytest.raises(ValueError, match="low must be less than high, got 1.0 and 0"):
        Box(1, 0)
    with pytest.raises(TypeError, match="high must be a number or None, got 'much'"):
        Box(0, "much")
    with pytest.raises(ValueError, match="low must be a number or None, got nan"):
        Box(np.nan, None)
    assert Box(None, None).value(np.array([-1e300])) == 0


def test_priors_of_products():
    """Values come from the prior of ``L x``; there is no proximal operator."""
    x, op = random(SHAPE), DifferenceOperator(SHAPE)
    g = Analysis(op, L1(0.7))
    wanted = 0.7 * np.abs(op.todense() @ x.ravel()).sum()
    assert g.value(x) == pytest.approx(wanted)
    both = np.stack([x, 2 * x])
    assert g.value(both) == pytest.approx(3 * wanted)
    assert g.with_weight(1.4).value(x) == pytest.approx(2 * wanted)
    with pytest.raises(TypeError, match="use minimize or admm"):
        g.prox(x, 1.0)
    with pytest.raises(TypeError, match="prior must have a proximal operator"):
        Analysis(op, g)
