"""Operators of other makers get the floor and the units that layers get."""

import numpy as np
import pytest
import scipy.sparse as sp

from convinv import ConvLinearOperator, solve
from support.foreign import WITH_ADJOINT, functions, spd


class TestScale:
    """Operators of any size get the floor and the units that layers get."""

    @pytest.mark.parametrize(
        ("dtype", "scale"),
        [("f4", 1e-5), ("f4", 1e-8), ("f8", 1e-12), ("f8", 1e-16), ("f8", 1e-18)],
    )
    def test_small_norms(self, dtype, scale):
        rng = np.random.default_rng(0)
        A, x = rng.standard_normal((50, 20)), rng.standard_normal(20)
        for op in ((scale * A).astype(dtype), functions((scale * A).astype(dtype))):
            result = solve(op, (A @ x).astype(dtype))
            assert result.success
            assert np.linalg.norm(scale * result.x - x) <= 1e-4 * np.linalg.norm(x)

    def test_a_small_definite_matrix(self):
        rng = np.random.default_rng(0)
        A, x = rng.standard_normal((50, 20)), rng.standard_normal(20)
        S = 1e-18 * A.T @ A
        np.testing.assert_allclose(solve(S, S @ x, "cg").x, x, rtol=1e-3, atol=1e-3)

    def test_b_that_a_probe_might_cancel(self):
        result = solve(1e-30 * np.eye(4), -np.ones(4), "cgls")
        assert result.success
        np.testing.assert_allclose(result.x, -1e30)
        result = solve(1e-16 * np.eye(3), np.ones(3))
        np.testing.assert_allclose(result.x, 1e16)

    @pytest.mark.parametrize("seed", range(6))
    def test_b_orthogonal_to_the_range(self, seed):
        rng = np.random.default_rng(seed)
        A, b = 30 * rng.standard_normal((50, 20)), rng.standard_normal(50)
        b = b - A @ np.linalg.lstsq(A, b)[0]
        result = solve(A, b)
        assert result.success and np.linalg.norm(result.x) < 1e-12

    def test_a_product_of_single_precision_layers(self):
        kernel = 1e-3 * np.random.default_rng(0).standard_normal((4, 2, 3))
        op = ConvLinearOperator(kernel.astype("f4"), (2, 20))
        M = op.H @ op
        result = solve(M, M @ np.ones(40, "f4"))
        assert result.success and abs(result.x - 1).max() < 1e-2

    @pytest.mark.parametrize("scale", [1e-30, 1e30])
    @pytest.mark.parametrize("method", WITH_ADJOINT[:3])
    def test_scales_change_only_x(self, method, scale):
        A, x = spd(), np.arange(1.0, 21)
        for op in (scale * A, sp.csr_array(scale * A), functions(scale * A)):
            result = solve(op, A @ x, method, rtol=1e-8)
            assert result.success
            np.testing.assert_allclose(scale * result.x, x, rtol=1e-5)
