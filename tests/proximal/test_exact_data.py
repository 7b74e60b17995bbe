"""admm(data="hard"): no wrong success, whatever the units and the penalty are."""

import numpy as np
import pytest
from scipy.optimize import linprog

from convinv import ConvergenceWarning, ConvLinearOperator
from convinv.operators import MaskOperator
from convinv.proximal import NuclearNorm, Proximal, TotalVariation, admm
from convinv.proximal._penalty import Penalty, typical


class L1(Proximal):
    """The sum of sizes, times a weight."""

    def __init__(self, weight=1.0):
        self.weight = weight

    def value(self, x):
        return self.weight * np.abs(x).sum()

    def prox(self, x, step):
        return np.sign(x) * np.maximum(np.abs(x) - step * self.weight, 0)


class NoValue:
    """A prior that has nothing but its proximal operator."""

    def __init__(self, g):
        self.prox = g.prox


class NotNegative(Proximal):
    def value(self, x):
        return 0.0 if (x >= 0).all() else np.inf

    def prox(self, x, step):
        return np.maximum(x, 0)


def pursuit(seed):
    """A, b and the least sum of sizes, by linear programming."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((8, 30))
    x = np.zeros(30)
    count = rng.integers(1, 8)
    x[rng.choice(30, count, replace=False)] = rng.standard_normal(count)
    b = A @ x if seed % 2 else rng.standard_normal(8)
    both = np.hstack([A, -A])
    best = linprog(np.ones(60), A_eq=both, b_eq=b, bounds=(0, None)).fun
    return A, b, best


@pytest.mark.parametrize("seed", range(16))
def test_basis_pursuit(seed):
    """Success, with the value that a linear program finds, in any units."""
    A, b, best = pursuit(seed)
    rng = np.random.default_rng(1000 + seed)
    of_A, of_b, weight = 10.0 ** rng.uniform(-6, 6, 3) if seed >= 6 else (1, 1, 1)
    rho = None if seed % 3 == 0 else 10.0 ** rng.uniform(-9, 9)
    result = admm(
        of_A * A,
        of_b * b,
        L1(weight),
        data="hard",
        rtol=1e-4,
        rho=rho,
        maxiter=20000,
        inner="lsqr",
    )
    assert result.success
    value = result.objective / (weight * of_b / of_A)
    assert value == pytest.approx(best, rel=1e-3)
    assert result.residual_norm <= 1e-4 * np.linalg.norm(of_b * b)
    assert result.optimality <= 1e-4


class TestUnits:
    @pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e-3, 1e6])
    def test_of_a_layer(self, scale):
        rng = np.random.default_rng(0)
        x = np.outer(rng.standard_normal(12), rng.standard_normal(12))[None]
        kernel = rng.standard_normal((2, 1, 3, 3))
        results = []
        for factor in (1.0, scale):
            op = ConvLinearOperator(factor * kernel, x.shape)
            results.append(admm(op, op.forward(x), NuclearNorm(), data="hard"))
        assert all(result.success for result in results)
        for result in results:
            assert np.linalg.norm(result.x - x) < 1e-5 * np.linalg.norm(x)
        np.testing.assert_allclose(results[0].x, results[1].x, atol=1e-6)

    @pytest.mark.parametrize("scale", [1e-5, 1.0, 100.0])
    def test_of_a_matrix(self, scale):
        rng = np.random.default_rng(1)
        x = np.outer(rng.standard_normal(10), rng.standard_normal(10))
        A = scale * rng.standard_normal((60, 100))
        result = admm(A, A @ x.ravel(), NuclearNorm(), data="hard", shape=x.shape)
        assert result.success
        assert np.linalg.norm(result.x - x) < 1e-4 * np.linalg.norm(x)

    @pytest.mark.parametrize("rho", [None, 1e-12, 1e-6, 1.0, 1e6, 1e12])
    @pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
    def test_any_penalty(self, rho, scale):
        rng = np.random.default_rng(0)
        x = scale * np.outer(rng.standard_normal(30), rng.standard_normal(30))
        op = MaskOperator(rng.random(x.shape) < 0.6)
        result = admm(op, op.forward(x), NuclearNorm(), data="hard", rho=rho)
        assert result.success
        assert np.linalg.norm(result.x - x) < 1e-4 * np.linalg.norm(x)

    @pytest.mark.parametrize("weight", [1e-8, 1e8])
    @pytest.mark.parametrize("known", [True, False])
    def test_of_the_prior(self, weight, known):
        """Also where it has no value that would tell its units."""
        A, b, best = pursuit(1)
        g = L1(weight) if known else NoValue(L1(weight))
        result = admm(A, b, g, data="hard", rtol=1e-4, maxiter=20000, inner="lsqr")
        assert result.success
        assert np.abs(result.x).sum() == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("maxiter", [1, 2, 5, 20])
def test_an_early_end_is_no_success(maxiter):
    A, b, best = pursuit(2)
    with pytest.warns(ConvergenceWarning):
        result = admm(A, b, L1(), data="hard", rho=1e6, maxiter=maxiter)
    assert not result.success and result.nit == maxiter
    assert result.optimality > 1e-6


def test_total_variation_of_a_known_pixel():
    """A constant image, at which the subgradient is zero."""
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    op, g = MaskOperator(mask), TotalVariation(0.3, rtol=1e-7)
    result = admm(op, np.array([5.0]), g, data="hard", rtol=1e-4)
    assert result.success
    np.testing.assert_allclose(result.x, np.full((3, 3), 5.0), atol=1e-2)


def test_float32():
    rng = np.random.default_rng(2)
    x = np.outer(rng.standard_normal(20), rng.standard_normal(20)).astype("f4")
    op = MaskOperator(rng.random(x.shape) < 0.7)
    result = admm(op, op.forward(x), NuclearNorm(), data="hard", rho=1e4, rtol=1e-4)
    assert result.success and result.x.dtype == np.float32
    assert np.linalg.norm(result.x - x) < 1e-2 * np.linalg.norm(x)


class TestNoUnits:
    """Priors and data that have none."""

    @pytest.mark.parametrize("rho", [None, 1e-8, 1e8])
    def test_a_prior_that_is_zero(self, rho):
        """The solution of least norm, the first point, is as good as any."""
        A, b, _ = pursuit(3)
        result = admm(A, b, L1(0.0), data="hard", rho=rho)
        assert result.success
        np.testing.assert_allclose(A @ result.x, b, atol=1e-5)

    def test_data_that_are_zero(self):
        A, _, _ = pursuit(4)
        result = admm(A, np.zeros(8), L1(), data="hard")
        assert result.success and not result.x.any()

    def test_a_set(self):
        """x >= 0 and A x = b: feasible, if it is a success."""
        rng = np.random.default_rng(5)
        A = rng.standard_normal((8, 30))
        b = A @ rng.random(30)
        result = admm(A, b, NotNegative(), data="hard", rtol=1e-5, maxiter=5000)
        assert result.success
        np.testing.assert_allclose(A @ result.x, b, atol=1e-3)
        assert result.x.min() >= -1e-3

    def test_data_that_nothing_has(self):
        """Rows that contradict each other."""
        A = np.ones((2, 3))
        options = {"data": "hard", "maxiter": 300, "on_failure": "ignore"}
        result = admm(A, np.array([1.0, 2.0]), L1(), **options)
        assert not result.success


def test_balanced_penalties_stay_in_the_units_of_the_problem():
    penalty = Penalty(1e30, 2.0, 1e-16)
    assert penalty.rho == pytest.approx(2 * 1e16 ** (1 / 3))
    factor = penalty.balance(10, 0.0, 1.0)
    assert factor < 1 and penalty.rho == pytest.approx(2e-2 * 1e16 ** (1 / 3))
    assert penalty.balance(20, 1.0, 2.0) == 1.0
    assert penalty.balance(20, np.nan, 2.0) == 1.0
    looked = [nit for nit in range(1, 2000) if penalty.due(nit)]
    assert looked[:10] == list(range(10, 101, 10)) and len(looked) < 20


def test_a_typical_penalty_has_the_units_of_the_prior():
    class Problem:
        norm, scalar = staticmethod(np.linalg.norm), staticmethod(float)

        def __init__(self, g):
            self.g, self.check_prox = g, g.prox

    x = np.random.default_rng(0).standard_normal(50)
    for weight in (1e-7, 1.0, 1e7):
        one = typical(Problem(L1(weight)), x) / weight
        assert one == pytest.approx(np.abs(x).sum() / (x @ x))
        two = typical(Problem(NoValue(L1(weight))), x) / weight
        assert 1 / 50 < two / one < 50
    assert typical(Problem(L1(0.0)), x) is None
    assert typical(Problem(NotNegative()), np.abs(x)) is None
