"""What iterates of methods have in common, and what decreases along them."""

import numpy as np
import pytest

from support.problems import LOOSE, case, norms, run
from support.quiet import quietly


class TestIdentities:
    """Relations between the iterates of methods that hold in exact arithmetic."""

    STEPS = 12

    def iterates(self, c, method, **kwargs):
        xs = []
        quietly(
            c.op,
            c.b,
            method,
            rtol=1e-14,
            maxiter=self.STEPS,
            callback=lambda s: xs.append(s.x + 0),
            **kwargs,
        )
        return np.array(xs)

    @pytest.mark.parametrize("damp", [0.0, 1.0])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    @pytest.mark.parametrize("problem", ["over, two channels", "inconsistent", "under"])
    @pytest.mark.parametrize(("one", "other"), [("lsqr", "cgls"), ("lsmr", "gmres")])
    def test_same_iterates(self, one, other, problem, dtype, damp):
        c = case(problem, dtype)
        options = {"normal": True} if other == "gmres" else {}
        xs = self.iterates(c, one, damp=damp)
        ys = self.iterates(c, other, damp=damp, **options)
        assert len(xs) == len(ys) == self.STEPS
        np.testing.assert_allclose(xs, ys, atol=1e-7 * np.max(np.abs(xs)))

    @pytest.mark.parametrize("problem", ["definite"])
    def test_cg_minimizes_the_energy(self, problem):
        c = case(problem)
        errors = self.iterates(c, "cg") - np.linalg.solve(c.A, c.b)
        energy = np.einsum("ki,ij,kj->k", errors, c.A, errors)
        assert np.all(np.diff(energy) <= 1e-12 * energy[0])

    @pytest.mark.parametrize(
        "problem", ["over, two channels", "inconsistent", "under", "ill-conditioned"]
    )
    @pytest.mark.parametrize("method", ["cgls", "lsqr", "lsmr", "gmres"])
    def test_what_decreases(self, method, problem):
        c = case(problem)
        options = {"normal": True} if method == "gmres" else {}
        values = np.array([norms(c, x) for x in self.iterates(c, method, **options)])
        column = {"cgls": 0, "lsqr": 0, "lsmr": 1, "gmres": 1}[method]
        assert np.all(np.diff(values[:, column]) <= 1e-10 * values[0, column])

    @pytest.mark.parametrize("method", ["cgls", "lsqr", "lsmr", "gradient"])
    def test_history_is_the_residual(self, method):
        c = case("inconsistent")
        result, _ = run(method, c.op, c.b, maxiter=10, rtol=1e-14)
        values = [norms(c, x)[0] for x in self.iterates(c, method)][:10]
        np.testing.assert_allclose(result.history, values, rtol=1e-8)

    def test_the_first_step_of_adam(self):
        c = case("over")
        x = self.iterates(c, "gradient", step="adam", step_size=0.05)[0]
        np.testing.assert_allclose(x, 0.05 * np.sign(c.A.T @ c.b), rtol=1e-6)

    def test_fixed_steps(self):
        c = case("over")
        xs = self.iterates(c, "gradient", step="fixed", step_size=0.01)
        x = np.zeros(c.x.size)
        for got in xs:
            x = x + 0.01 * c.A.T @ (c.b - c.A @ x)
            np.testing.assert_allclose(got, x, atol=1e-12)

    def test_the_estimated_step_is_stable(self):
        c = case("over")
        result, _ = run("gradient fixed", c.op, c.b, rtol=LOOSE, rng=1)
        assert 0.8 / c.singular[0] ** 2 <= result.extra["step_size"]
        assert result.extra["step_size"] <= 1 / c.singular[0] ** 2 and result.success
