"""Conversions between the user's units and those of a solve are exact."""

import math
from fractions import Fraction

import numpy as np
import pytest

from convinv._problem.units import Units

OPERATORS = (1e-300, 1e-160, 1.0, 3e40, 1e300)
DATA = np.array([1e-300, 5e-324, 7.0, 1e160, 1e300])


def power_of(value):
    return math.frexp(value)[1]


def units_of(operator):
    return Units(power_of(operator), np.array([power_of(b) for b in DATA]))


def exactly(value, power):
    """``value * 2**power`` as a float, by rational arithmetic."""
    exact = Fraction(float(value)) * Fraction(2) ** int(power)
    return float(exact) if abs(exact) < Fraction(2) ** 1024 else math.inf


@pytest.mark.parametrize("operator", OPERATORS)
def test_data_and_operator_become_ordinary(operator):
    units = units_of(operator)
    b = units.scale_b(np, np.repeat(DATA[:, None], 3, axis=1))
    assert np.all((b >= 0.5) & (b < 1))
    assert 0.5 <= units.scale_damp(operator) < 1
    assert units.unscale_damp(units.scale_damp(operator)) == operator
    assert units.operator_scale == exactly(1.0, -units.operator)


@pytest.mark.parametrize("operator", OPERATORS)
def test_x_there_and_back(operator):
    units, rng = units_of(operator), np.random.default_rng(0)
    scaled = rng.standard_normal((len(DATA), 4))
    with np.errstate(over="ignore"):
        x = units.unscale_x(np, scaled)
    powers = units.data - units.operator
    for item, power, got in zip(scaled, powers, x):
        expected = [exactly(value, power) for value in item]
        # the two factors round a subnormal result twice
        np.testing.assert_allclose(got, np.copysign(np.abs(expected), item), 0, 5e-324)
    whole = np.abs(powers) < 1000  # nothing over- or underflows
    np.testing.assert_array_equal(units.scale_x(np, x)[whole], scaled[whole])


@pytest.mark.parametrize("operator", OPERATORS)
def test_norms_in_the_units_of_the_data(operator):
    units = units_of(operator)
    norm = np.random.default_rng(1).random(len(DATA)) + 0.5
    with np.errstate(over="ignore"):
        residual = units.unscale_residual_norm(norm)
        normal = units.unscale_normal_norm(norm)
        single = units.unscale_residual_norm(norm.astype(np.float32))
    for i, power in enumerate(units.data):
        assert residual[i] == exactly(norm[i], power)
        assert normal[i] == exactly(norm[i], power + units.operator)
        assert single[i] == exactly(np.float32(norm[i]), power)
    back = units.scale_residual_norm(residual)
    ordinary = DATA > 1e-323  # a subnormal number has lost digits
    np.testing.assert_array_equal(back[ordinary], norm[ordinary])


def test_a_tolerance_beyond_the_range_is_infinite():
    units = Units(0, np.array([-1000, 0]))
    got = units.scale_residual_norm(1e300)
    np.testing.assert_array_equal(got, [np.inf, 1e300])


def test_ordinary_problems_keep_their_arrays():
    units, b = Units(0, np.zeros(2, int)), np.ones((2, 3))
    assert units.scale_b(np, b) is b and units.keep_x
    assert not Units(1, np.zeros(2, int)).keep_x
    assert Units(3, np.array([3])).keep_x
    np.testing.assert_array_equal(Units(3, np.array([5])).x_scale, [4.0])
