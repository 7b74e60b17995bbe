"""The solver contract: every method solves every problem that it takes."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from convinv import solve
from support.arrays import DTYPES, normal
from support.problems import (
    LOOSE,
    METHODS,
    PROBLEMS,
    VARIANTS,
    applies,
    case,
    check_one_truth,
    entry,
    finds_minimum_norm,
    is_solution,
    may_fail,
    norms,
    pairs,
    run,
    tolerance,
)


class TestAnswers:
    @pairs()
    def test_reaches_its_tolerance(self, variant, problem):
        for dtype in DTYPES:
            c = case(problem, dtype)
            maxiter = 200 if may_fail(variant, problem) else 3000
            result, caught = run(variant, c.op, c.b, rtol=LOOSE, maxiter=maxiter)
            check_one_truth(result, caught, maxiter)
            assert result.x.dtype == dtype and result.method == VARIANTS[variant][0]
            solved = is_solution(c, result.x, LOOSE)
            assert solved == result.success or not result.success
            assert result.success or may_fail(variant, problem), result
            residual, gradient = norms(c, result.x)
            rounding = np.finfo(float).eps * c.singular[0]
            size = np.linalg.norm(c.b)
            got = (result.residual_norm, result.normal_residual_norm)
            assert abs(got[0] - residual) <= 1e-6 * residual + 100 * rounding * size
            assert (
                abs(got[1] - gradient)
                <= 1e-6 * gradient + 100 * rounding * size * c.singular[0]
            )

    @pairs(lambda variant, problem: not may_fail(variant, problem))
    def test_agrees_with_the_pseudoinverse(self, variant, problem):
        for dtype in ("float64", "complex128"):
            c = case(problem, dtype)
            rtol = tolerance(variant, 1e-8)
            result, _ = run(variant, c.op, c.b, rtol=rtol, maxiter=5000)
            assert result.success
            best, x = c.pinv @ c.b, result.x
            own = c.pinv @ (c.A @ x)  # the part of x in the row space
            residual, gradient = norms(c, x)
            bound = gradient / c.singular[-1] ** 2
            if PROBLEMS[problem][1]:
                bound = min(bound, residual / c.singular[-1])
            floor = 1e-11 * np.linalg.norm(x)
            assert np.linalg.norm(own - best) <= 1.001 * bound + floor
            if finds_minimum_norm(variant):
                assert np.linalg.norm(x - own) <= 1e-9 * np.linalg.norm(x)

    @pairs(lambda variant, problem: not may_fail(variant, problem))
    def test_history_ends_at_the_truth(self, variant, problem):
        c = case(problem)
        result, _ = run(variant, c.op, c.b, rtol=LOOSE)
        truths = result.residual_norm, result.normal_residual_norm
        floor = 1e-13 * c.singular[0] ** 2 * np.linalg.norm(c.x)
        assert min(abs(result.history[-1] - t) - 1e-3 * t for t in truths) <= floor

    @pytest.mark.parametrize("damp", [0.3, 2.0])
    @pairs(lambda variant, problem: entry(variant).damp and case(problem).is_conv)
    def test_damp_is_tikhonov(self, variant, problem, damp):
        if damp < 1 and may_fail(variant, "*", damped=True):
            return  # after thousands of iterations
        c = case(problem)
        rtol = tolerance(variant, 1e-9)
        result, caught = run(variant, c.op, c.b, damp=damp, rtol=rtol, maxiter=5000)
        check_one_truth(result, caught)
        gram = c.A.T @ c.A + damp**2 * np.eye(c.A.shape[1])
        expected = np.linalg.solve(gram, c.A.T @ c.b)
        if not result.success:
            assert may_fail(variant, problem, damped=True), result
            return
        bound = rtol * np.linalg.norm(c.A.T @ c.b) / damp**2
        assert np.linalg.norm(result.x - expected) <= 1.01 * bound + 1e-10
        assert is_solution(c, result.x, rtol, damp=damp)

    def test_damp_needs_the_normal_equations(self):
        c = case("square")
        with pytest.raises(ValueError, match="normal=True"):
            solve(c.op, c.b, "gmres", damp=1.0)

    def test_damp_with_a_starting_point(self):
        c = case("over")
        for variant in VARIANTS:
            if not (entry(variant).damp and applies(variant, c)):
                continue
            if may_fail(variant, "over", damped=True):
                continue
            x0 = normal(np.random.default_rng(1), c.x.size)
            rtol = tolerance(variant, 1e-9)
            result, _ = run(variant, c.op, c.b, damp=0.7, x0=x0, rtol=rtol)
            assert result.success, variant
            assert is_solution(c, result.x, rtol, damp=0.7), variant

    def test_auto(self):
        assert solve(case("over").op, case("over").b).method in METHODS
        assert solve(case("sparse").op, case("sparse").b).method in METHODS
        D = case("square").A
        only_forward = LinearOperator(D.shape, matvec=lambda v: D @ v, dtype=float)
        result = solve(only_forward, case("square").b)
        assert result.success and not METHODS[result.method].needs_adjoint

    @pytest.mark.parametrize("rtol", [0.0, 1e-12, 1e-3])
    @pytest.mark.parametrize("atol", [0.0, 1e-2, 1e3])
    @pytest.mark.parametrize("problem", ["over", "inconsistent", "rank-deficient"])
    def test_tolerances(self, problem, rtol, atol):
        c = case(problem)
        result, caught = run("cgls", c.op, c.b, rtol=rtol, atol=atol, maxiter=500)
        check_one_truth(result, caught, 500)
        assert not result.success or is_solution(c, result.x, rtol, atol)
        if atol == 1e3:
            assert result.success and result.nit == 0 and not result.x.any()
        if rtol == 1e-3 or atol == 1e-2 and problem == "over":
            assert result.success
