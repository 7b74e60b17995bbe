"""What every prior of `convinv.proximal` promises of its proximal operator.

Those here have a weight and nothing else that must be given: norms of the image.
"""

import inspect

import numpy as np
import pytest

from convinv import proximal
from convinv.proximal import Proximal
from support.arrays import every_dtype, random

PRIORS = [
    cls
    for name in proximal.__all__
    if inspect.isclass(cls := getattr(proximal, name))
    and issubclass(cls, Proximal)
    and next(iter(inspect.signature(cls).parameters), "") == "weight"
]
SHAPE = (3, 6, 5)
every_prior = pytest.mark.parametrize("prior", PRIORS)


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
