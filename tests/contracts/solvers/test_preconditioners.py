"""Preconditioners by name, as functions and as operators."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from convinv import ConvLinearOperator, solve
from convinv.precondition import Jacobi
from support.arrays import BOUNDARIES, normal
from support.problems import METHODS, case, easy, every_method, is_solution, matrix_of


class TestPreconditioners:
    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_jacobi_diagonals(self, boundary, seed, dtype):
        rng = np.random.default_rng(seed)
        ndim = seed % 3 + 1
        groups = rng.integers(1, 3)
        taps, size = rng.integers(1, 4, ndim), rng.integers(2, 5, ndim)
        shape = (2 * groups, rng.integers(1, 3), *taps)
        op = ConvLinearOperator(
            normal(rng, shape, dtype),
            (shape[1] * groups, *size),
            padding=tuple((int(p), int(p) + 1) for p in rng.integers(1, 6, ndim)),
            stride=tuple(int(s) for s in rng.integers(1, 3, ndim)),
            groups=int(groups),
            boundary=boundary,
            flip=bool(seed % 2),
        )
        A = matrix_of(op)
        expected = np.diag(A.conj().T @ A).real + 0.7**2
        inverse = Jacobi(op, 0.7) @ np.ones(op.shape[1])
        np.testing.assert_allclose(1 / inverse, expected)

    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize("groups", [1, 2])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_plain_jacobi_diagonals(self, boundary, groups, dtype):
        rng = np.random.default_rng(8)
        op = ConvLinearOperator(
            normal(rng, (4, 4 // groups, 3, 4), dtype),
            (4, 3, 5),
            padding="same",
            groups=groups,
            boundary=boundary,
        )
        inverse = Jacobi(op, equations="plain") @ np.ones(op.shape[1])
        np.testing.assert_allclose(1 / inverse, np.diag(matrix_of(op)))

    def test_jacobi_with_zeros_on_the_diagonal(self):
        op = ConvLinearOperator(np.array([[[0.0, 0.0, 1.0]]]), (1, 6), padding=1)
        with pytest.raises(ValueError, match="diagonal without zeros"):
            solve(op, np.ones(6), "gmres", preconditioner="jacobi")

    @every_method
    def test_a_perfect_preconditioner(self, method):
        entry = METHODS[method]
        if not entry.preconditioner:
            pytest.skip("takes no preconditioner")
        c, arguments = easy(method)
        inverse = np.linalg.inv(c.A if entry.square else c.A.T @ c.A)

        def apply(v):
            assert v.shape[1:] == c.op.input_shape
            return (v.reshape(len(v), -1) @ inverse.T).reshape(v.shape)

        operator = aslinearoperator(inverse)
        for preconditioner in (apply, operator):
            result = solve(c.op, c.b, **arguments, preconditioner=preconditioner)
            assert result.success and result.nit <= 2
            assert is_solution(c, result.x, 1e-6)

    def test_it_must_not_be_handed_the_solvers_own_arrays(self):
        """A preconditioner may work in place on what it gets, or return its input."""
        c = case("over")
        plain = solve(c.op, c.b, "cgls", rtol=1e-9)
        for identity in (lambda v: v, lambda v: np.multiply(v, 1.0, out=v.copy())):
            result = solve(c.op, c.b, "cgls", rtol=1e-9, preconditioner=identity)
            assert abs(result.nit - plain.nit) <= 1 + plain.nit // 10
            np.testing.assert_allclose(result.x, plain.x, atol=1e-9)

    @pytest.mark.parametrize("factor", [1e-6, 1e6])
    def test_its_scale_does_not_matter(self, factor):
        c = case("ill-conditioned")
        one = solve(c.op, c.b, "cgls", preconditioner=lambda v: v)
        two = solve(c.op, c.b, "cgls", preconditioner=lambda v: factor * v)
        assert one.success and two.success
        assert is_solution(c, one.x, 1e-6) and is_solution(c, two.x, 1e-6)
        # rounding alone moves the count, by a few in a hundred
        assert abs(one.nit - two.nit) <= 1 + one.nit // 5

    @pytest.mark.parametrize("power", [-330, 330])
    @every_method
    def test_its_units_are_the_users(self, method, power):
        """It approximates the inverse of the user's matrix, whatever solve scales."""
        entry = METHODS[method]
        if not entry.preconditioner:
            pytest.skip("takes no preconditioner")
        c, arguments = easy(method)
        inverse = np.linalg.inv(c.A if entry.square else c.A.T @ c.A)
        inverse = np.ldexp(inverse, -power if entry.square else -2 * power)
        result = solve(
            2.0**power * c.op,
            c.b,
            **arguments,
            preconditioner=aslinearoperator(inverse),
        )
        assert result.success and result.nit <= 2
