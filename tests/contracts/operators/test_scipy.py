"""Operators among those of SciPy, and in its solvers."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla

from convinv import ConvLinearOperator
from support.arrays import every_dtype, normal
from support.operator_layers import assert_close, dense, make


class TestSciPy:
    @every_dtype
    def test_composites_with_foreign_operators(self, dtype):
        op, rng = make("square", dtype), np.random.default_rng(8)
        n = op.shape[1]
        A, D = dense(op), normal(rng, (n, n), dtype)
        foreign = spla.aslinearoperator(D)
        x = normal(rng, n, dtype)
        X = normal(rng, (n, 3), dtype)
        scale = 40 * np.max(np.abs(D)) * np.max(np.abs(A)) * n
        for got, matrix in (
            (op + foreign, A + D),
            (foreign + op, A + D),
            (op - foreign, A - D),
            (foreign - op, D - A),
            (op @ foreign, A @ D),
            (foreign @ op, D @ A),
            (op * foreign, A @ D),
            (op.H @ foreign, A.conj().T @ D),
            (foreign @ op.T, D @ A.T),
            ((op @ foreign).H, (A @ D).conj().T),
            ((op + foreign).T, (A + D).T),
            (2 * (op + foreign) @ op, 2 * (A + D) @ A),
        ):
            assert isinstance(got, spla.LinearOperator)
            # SciPy's own composites may answer in double precision
            for product, expected in (
                (got @ x, matrix @ x),
                (got @ X, matrix @ X),
                (got.H @ x, matrix.conj().T @ x),
            ):
                assert_close(product.astype(dtype), expected, scale)

    def test_aslinearoperator(self):
        op = make("2-D")
        assert spla.aslinearoperator(op) is op
        assert isinstance(op, spla.LinearOperator)

    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_solvers(self, dtype):
        rng = np.random.default_rng(9)
        op = ConvLinearOperator(normal(rng, (6, 2, 3, 3), dtype), (2, 6, 6))
        A, x = dense(op), normal(rng, op.shape[1], dtype)
        b = A @ x
        for solver in (spla.lsqr, spla.lsmr):
            got = solver(op, b, 0.0, 1e-14, 1e-14, 0, 2000)[0]
            np.testing.assert_allclose(got, x, atol=1e-8)
        normal_matrix = op.H @ op
        got, info = spla.gmres(normal_matrix, op.H @ b, rtol=1e-12, restart=80)
        assert info == 0
        np.testing.assert_allclose(got, x, atol=1e-8)

    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_svds(self, dtype):
        op = make("2-D", dtype)
        v0 = np.ones(min(op.shape), dtype)
        values = spla.svds(op, k=3, v0=v0, return_singular_vectors=False)
        expected = np.linalg.svd(dense(op), compute_uv=False)[:3]
        np.testing.assert_allclose(np.sort(values)[::-1], expected, rtol=1e-10)

    def test_onenormest(self):
        op = make("square")
        norm = np.abs(dense(op)).sum(axis=0).max()
        assert 0.3 * norm <= spla.onenormest(op) <= norm * (1 + 1e-12)

    @every_dtype
    def test_row_vectors(self, dtype):
        op, rng = make("2-D", dtype), np.random.default_rng(10)
        A = dense(op)
        y, Y = normal(rng, op.shape[0], dtype), normal(rng, (2, op.shape[0]), dtype)
        assert_close(y @ op, y @ A, 100 * np.max(np.abs(A)))
        assert_close(Y @ op, Y @ A, 100 * np.max(np.abs(A)))
        assert_close(y * op, y @ A, 100 * np.max(np.abs(A)))

    def test_adjoint_without_argument(self):
        op = make("2-D", "complex128")
        y = normal(np.random.default_rng(11), op.shape[0], "complex128")
        np.testing.assert_array_equal(
            op.adjoint() @ y, op.adjoint(y.reshape(op.output_shape)).ravel()
        )
        np.testing.assert_array_equal(op.transpose() @ y, op.T @ y)
