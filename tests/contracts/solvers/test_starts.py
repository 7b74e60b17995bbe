"""Where methods start: zero, x0, the solution itself, far away."""

import dataclasses

import numpy as np
import pytest

from convinv import ConvergenceWarning, Status, solve
from support.arrays import every_dtype, normal
from support.problems import (
    LOOSE,
    METHODS,
    VARIANTS,
    case,
    check_one_truth,
    easy,
    every_method,
    finds_minimum_norm,
    is_slow,
    is_solution,
    may_fail,
    pairs,
    run,
    variants,
)


class TestStarts:
    @every_dtype
    @every_method
    def test_no_iterations(self, method, dtype):
        c, arguments = easy(method)
        b = c.b.astype(dtype)
        with pytest.warns(ConvergenceWarning, match="iteration limit"):
            result = solve(c.op, b, **arguments, maxiter=0)
        assert result.status is Status.MAXITER and not result.success
        assert result.nit == 0 and result.history.shape == (0,)
        assert not result.x.any() and result.x.shape == c.x.shape
        assert result.residual_norm == pytest.approx(np.linalg.norm(b))

    @every_method
    def test_one_iteration(self, method):
        c, arguments = easy(method)
        calls = []
        result, _ = run(
            arguments["method"], c.op, c.b, maxiter=1, rtol=1e-13, callback=calls.append
        )
        assert result.nit == 1 == len(calls) and result.history.shape == (1,)
        assert result.residual_norm < np.linalg.norm(c.b)

    @pytest.mark.parametrize("x0", [None, 1.0])
    @variants
    def test_zero_b(self, variant, x0):
        c, _ = easy(VARIANTS[variant][0])
        b = np.zeros((2, *c.op.output_shape), "float32")
        x0 = None if x0 is None else np.full((2, *c.op.input_shape), x0)
        result, caught = run(variant, c.op, b, x0=x0)
        check_one_truth(result, caught)
        assert result.success and result.nit == 0
        assert result.x.shape == (2, *c.op.input_shape) and result.x.dtype == "float64"
        assert not result.x.any() and result.x.flags.writeable
        assert not np.any(result.residual_norm)
        assert not np.any(result.normal_residual_norm)

    @variants
    def test_exact_starting_point(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        x0 = c.x.copy()
        result, caught = run(variant, c.op, c.b, x0=x0)
        check_one_truth(result, caught)
        assert result.success and result.nit == 0
        np.testing.assert_array_equal(result.x, x0)
        assert not np.shares_memory(result.x, x0)

    @pairs()
    def test_far_starting_point(self, variant, problem):
        c = case(problem)
        x0 = 1e6 * normal(np.random.default_rng(2), c.x.size)
        slow = is_slow(variant) or may_fail(variant, problem)
        maxiter = 200 if slow else 3000
        result, caught = run(variant, c.op, c.b, x0=x0, maxiter=maxiter)
        check_one_truth(result, caught, maxiter)
        assert not result.success or is_solution(c, result.x, 1e-6)
        if not slow:
            assert result.success, result

    @pairs(
        lambda variant, problem: finds_minimum_norm(variant)
        and problem in ("under", "rank-deficient", "both", "torus, strided")
        and not may_fail(variant, problem)
    )
    def test_finds_the_solution_nearest_to_the_start(self, variant, problem):
        c = case(problem)
        x0 = normal(np.random.default_rng(3), c.x.size)
        result, _ = run(variant, c.op, c.b, x0=x0, rtol=LOOSE)
        assert result.success
        step = result.x - x0
        own = c.pinv @ (c.A @ step)
        assert np.linalg.norm(step - own) <= 1e-9 * np.linalg.norm(result.x)

    @every_method
    def test_near_starting_points_with_damp(self, method):
        """They save iterations where the registry says so, and only there."""
        entry = METHODS[method]
        if not entry.damp or entry.rate == "exact":
            pytest.skip("takes no damp, or no iterations")
        c, arguments = easy(method)
        gram = c.A.T @ c.A + 0.7**2 * np.eye(c.x.size)
        x = np.linalg.solve(gram, c.A.T @ c.b)
        near = x + 1e-4 * normal(np.random.default_rng(4), c.x.size)
        arguments |= {"damp": 0.7, "rtol": 1e-6, "maxiter": 5000}
        far = solve(c.op, c.b, **arguments).nit
        close = solve(c.op, c.b, x0=near, **arguments).nit
        assert (close < 0.8 * far) == entry.start_with_damp, (close, far)

    def test_good_starting_points_save_iterations(self):
        c = case("over")
        near = c.x + 1e-4 * normal(np.random.default_rng(4), c.x.size)
        far = solve(c.op, c.b, "cgls")
        assert solve(c.op, c.b, "cgls", x0=near).nit < far.nit

    @pytest.mark.parametrize("form", ["result", "item", "flat item"])
    def test_shapes_of_the_starting_point(self, form):
        c = case("over")
        b = np.stack([c.b.reshape(c.op.output_shape)] * 3)
        x0 = {
            "result": np.stack([c.x.reshape(c.op.input_shape)] * 3),
            "item": c.x.reshape(c.op.input_shape),
            "flat item": c.x,
        }[form]
        result = solve(c.op, b, x0=x0)
        assert result.nit == 0 and result.x.shape == (3, *c.op.input_shape)
        columns = np.stack([c.b] * 3, axis=1)
        x0 = np.stack([c.x] * 3, axis=1) if form == "result" else c.x
        assert solve(c.op, columns, x0=x0).nit == 0

    def test_complex_starting_point_of_a_real_problem(self):
        c = case("under")
        result = solve(c.op, c.b, x0=1j * np.ones(c.x.size))
        assert result.success and result.x.dtype == "complex128"
        c = dataclasses.replace(c, A=c.A.astype(complex))
        assert is_solution(c, result.x, 1e-6)
