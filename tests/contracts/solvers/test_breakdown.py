"""Operators and preconditioners that break methods: no hang, no false success."""

import contextlib

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from convinv import ConvergenceWarning, Status, solve
from support.problems import (
    METHODS,
    VARIANTS,
    Case,
    applies,
    case,
    check_one_truth,
    easy,
    entry,
    every_method,
    is_slow,
    is_solution,
    matrix_of,
    named,
    recorded,
    run,
    takes_products,
    variants,
)


class TestBreakdown:
    def check(self, A, b, method, **kwargs):
        result, caught = recorded(A, b, method, maxiter=200, **kwargs)
        check_one_truth(result, caught, 200)
        A = matrix_of(A) if not callable(A) else A
        c = Case(None, A, None, np.asarray(b))
        assert not result.success or is_solution(c, result.x, 1e-6)
        assert result.residual_norm <= 1.001 * np.linalg.norm(b) + 1e-300
        return result

    ENGINEERED = {
        "nilpotent": np.eye(6, k=1),
        "skew": np.kron(np.eye(3), [[0.0, 1], [-1, 0]]),
        "singular": np.diag([3.0, 2, 1, 0, 0, 0]),
        "zero": np.zeros((6, 6)),
        "identity": np.eye(6),
    }

    @pytest.mark.parametrize("name", ENGINEERED)
    @pytest.mark.parametrize("seed", range(3))
    @variants
    def test_engineered(self, variant, name, seed):
        method, arguments = VARIANTS[variant]
        if METHODS[method].convolution_only or named(variant):
            pytest.skip("takes convolutions only")
        rng = np.random.default_rng(seed)
        A = self.ENGINEERED[name]
        b = rng.standard_normal(6) if seed else np.eye(6)[0]
        if METHODS[method].hermitian and name in ("nilpotent", "skew"):
            with pytest.raises(ValueError, match="Hermitian"):
                self.check(A, b, method, **arguments)
            return
        result = self.check(A, b, method, **arguments)
        slow, plain = is_slow(variant), entry(variant).square
        if name == "identity" and "adam" not in variant or not plain and not slow:
            assert result.success, result

    def test_lucky_breakdown(self):
        for b in (np.ones(5), np.arange(5.0)):
            result = self.check(np.eye(5), b, "gmres")
            assert result.success and result.nit == 1
            np.testing.assert_allclose(result.x, b, rtol=1e-12)

    def test_invariant_subspace(self):
        A = np.diag([1.0, 2, 3, 4, 5, 6])
        b = np.array([1.0, 1, 0, 0, 0, 0])
        for method in ("cg", "gmres", "cgls", "lsqr", "lsmr"):
            result = self.check(A, b, method, rtol=1e-12)
            assert result.success and result.nit <= 3, method

    @pytest.mark.parametrize("restart", [1, 2, 50])
    def test_gmres_never_makes_things_worse(self, restart):
        rng = np.random.default_rng(7)
        for rank in (1, 3, 7):
            A = rng.standard_normal((8, rank)) @ rng.standard_normal((rank, 8))
            b = rng.standard_normal(8)
            result = self.check(A, b, "gmres", restart=restart)
            assert result.residual_norm <= np.linalg.norm(b)

    def test_a_smaller_residual_is_kept(self):
        """A step of GMRES may make the normal residual larger."""
        A, b = np.diag([1.0, 100.0]), np.array([1.0, 0.05])
        with pytest.warns(ConvergenceWarning):
            result = solve(A, b, "gmres", rtol=0, maxiter=1)
        assert result.residual_norm < 0.98 * np.linalg.norm(b)
        assert result.normal_residual_norm > 3 * np.linalg.norm(A.T @ b)

    def test_indefinite(self):
        A = np.diag([1.0, 2, -1, 3])
        result = self.check(A, np.ones(4), "cg")
        assert result.status is Status.INDEFINITE and "cgls" in result.message

    def test_negative_definite(self):
        A = -np.diag([1.0, 2, 4, 3])
        assert self.check(A, np.ones(4), "cg").status is Status.INDEFINITE

    @pytest.mark.parametrize("A", [np.zeros((0, 4)), np.zeros((4, 0))])
    def test_empty_matrices(self, A):
        with contextlib.suppress(ValueError):
            result = solve(A, np.zeros(A.shape[0]))
            assert result.x.shape == (A.shape[1],)

    @pytest.mark.parametrize("after", [0, 1, 2, 5, 8])
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @every_method
    def test_products_that_turn_non_finite(self, method, value, after):
        if not takes_products(method):
            pytest.skip("takes no operators that only have products")
        A = case("definite").A
        calls = []

        def product(matrix):
            def apply(v):
                calls.append(1)
                y = matrix @ v
                return y * value if len(calls) > after else y

            return apply

        op = LinearOperator(A.shape, product(A), product(A.T), dtype=float)
        try:
            result, caught = recorded(op, case("definite").b, method, maxiter=50)
        except ValueError as error:  # found out before the first iteration
            assert "op" in str(error)
            return
        caught = [w for w in caught if w.category is ConvergenceWarning]
        assert not result.success and len(caught) == 1
        assert result.status is not Status.CONVERGED
        assert np.all(np.isfinite(result.x))

    BROKEN = {
        "zero": lambda v: 0 * v,
        "NaN": lambda v: v * np.nan,
        "infinite": lambda v: v * np.inf,
        "negative": lambda v: -v,
        "random": lambda v: np.random.default_rng(0).standard_normal(v.shape),
        "projector": lambda v: v * (np.arange(v[0].size).reshape(v[0].shape) % 2),
        "huge": lambda v: 1e100 * v,
        "tiny": lambda v: 1e-100 * v,
        "NaN once": None,
    }

    @pytest.mark.parametrize("broken", BROKEN)
    @every_method
    def test_broken_preconditioners(self, method, broken):
        if not METHODS[method].preconditioner:
            pytest.skip("takes no preconditioner")
        c, arguments = easy(method)
        apply = self.BROKEN[broken]
        if apply is None:
            calls = []

            def apply(v):
                calls.append(1)
                return v * np.nan if len(calls) == 3 else v

        result, caught = recorded(
            c.op, c.b, **arguments, preconditioner=apply, maxiter=100
        )
        check_one_truth(result, caught, 100)
        assert not result.success or is_solution(c, result.x, 1e-6)
        assert result.residual_norm <= np.linalg.norm(c.b) * 1.001
        if broken in ("huge", "tiny", "negative"):  # scale and sign do no harm
            assert result.success or broken == "negative", result

    def test_preconditioners_of_a_wrong_shape(self):
        c = case("over")
        for bad in (lambda v: v[..., :-1], lambda v: None, lambda v: 3.0):
            with pytest.raises((TypeError, ValueError), match="preconditioner"):
                solve(c.op, c.b, "cgls", preconditioner=bad)

    def test_precision_that_does_not_suffice(self):
        c = case("ill-conditioned", "float32")
        for method in METHODS:
            if applies(method, c) and "gradient" not in method:
                result, caught = run(method, c.op, c.b, rtol=1e-13)
                check_one_truth(result, caught)
                assert not result.success or is_solution(c, result.x, 1e-13)

    def test_float32_that_is_refined(self):
        """Restarts from the true residual go beyond what recurrences in float32 can."""
        c = case("over", "float32")
        result = solve(c.op, c.b, "cgls", rtol=2e-7)
        assert result.success and is_solution(c, result.x, 2e-7)
