"""Whatever SciPy's solvers take as an operator or a preconditioner, `solve` takes."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from scipy.sparse.linalg import LinearOperator

from convinv import ConvLinearOperator, dot_test, normal_solve, solve
from convinv.operators._foreign import GeneralOperator, as_operator
from support.foreign import Duck, spd


class TestForms:
    def test_objects_with_products(self):
        A = spd(8)
        for method in ("cg", "gmres", "auto"):
            result = solve(Duck(A), A @ np.ones(8), method)
            assert result.success
            np.testing.assert_allclose(result.x, 1, atol=1e-4)
        with pytest.raises(TypeError, match="no rmatvec"):
            solve(Duck(A), np.ones(8), "cgls")

    def test_objects_with_both_products(self):
        class Both(Duck):
            def rmatvec(self, v):
                return self.A.T @ v

        A = np.random.default_rng(0).standard_normal((6, 4))
        op = Both(A)
        assert dot_test(op)
        v = normal_solve(op, np.ones(4), 0.1)
        np.testing.assert_allclose((A.T @ A + 0.01 * np.eye(4)) @ v, 1, atol=1e-6)
        assert (as_operator(op) @ np.ones(4)).shape == (6,)
        assert (as_operator(op).H @ np.ones(6)).shape == (4,)

    def test_what_is_no_operator(self):
        with pytest.raises(TypeError, match="object with shape and matvec, got str"):
            solve("A", np.ones(3))
        with pytest.raises(TypeError, match="two-dimensional|object with shape"):
            solve(np.ones(3), np.ones(3))

    @pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "bool", "float16"])
    @pytest.mark.parametrize("method", ["cgls", "kaczmarz", "gauss-seidel", "fdbk"])
    def test_narrow_matrices(self, method, dtype):
        rng = np.random.default_rng(0)
        A = rng.integers(-9, 9, (12, 8)).astype(dtype)
        wide = A.astype(float)
        x = np.arange(1.0, 9)
        for op in (A, sp.csr_array(A.astype("f4" if dtype == "float16" else dtype))):
            got = solve(op, wide @ x, method, rtol=1e-5, maxiter=20_000)
            assert got.success
            rest = np.linalg.norm(wide @ got.x - wide @ x)
            assert rest <= 1e-4 * np.linalg.norm(wide @ x)

    @pytest.mark.parametrize(
        "product",
        [lambda v: (2 * v).astype(object), lambda v: 2 * v + 0j],
        ids=["object", "complex"],
    )
    def test_products_of_another_type(self, product):
        op = LinearOperator((8, 8), matvec=product, rmatvec=product, dtype=float)
        for method in ("cgls", "cg"):
            with pytest.raises(TypeError, match="its r?matvec returned.*dtype"):
                solve(op, np.ones(8), method)

    def test_products_of_another_shape(self):
        op = LinearOperator((8, 8), matvec=lambda v: v, dtype=float)
        op = GeneralOperator(op)
        op.op = Duck(np.ones((7, 8)))
        with pytest.raises(ValueError, match=r"returned shape \(7,\), expected \(8,\)"):
            op.matvec(np.ones(8))

    @pytest.mark.parametrize("shape", [(3, 0), (0, 3)])
    def test_no_unknowns_or_no_data(self, shape):
        m, n = shape
        result = solve(np.zeros(shape), np.ones(m))
        assert result.success and result.x.shape == (n,) and not result.x.any()

    def test_sparse_right_hand_sides(self):
        b = sp.csr_array(np.array([[1.0], [0], [2]]))
        result = solve(2 * np.eye(3), b)
        np.testing.assert_allclose(result.x, b.toarray() / 2)

    def test_read_only_sparse_matrices_with_duplicates(self):
        S = sp.csr_array(
            (np.array([1.0, 2, 1, 3]), np.array([0, 0, 1, 1]), np.array([0, 2, 4])),
            shape=(2, 2),
        )
        for array in (S.data, S.indices, S.indptr):
            array.flags.writeable = False
        for method in ("kaczmarz", "cgls", "rk", "gauss-seidel", "rbk"):
            result = solve(S, np.array([3.0, 8]), method)
            assert result.success and S.nnz == 4
            np.testing.assert_allclose(result.x, [1, 2], rtol=1e-4)


class TestAlgebra:
    op = ConvLinearOperator(np.arange(1.0, 10).reshape(1, 1, 3, 3), (1, 8, 8))

    def test_sparse_matrices(self):
        A, S = self.op.todense(), sp.random_array((64, 36), density=0.3, rng=0)
        for product, want in ((self.op @ S, A @ S), (S @ self.op, S @ A)):
            assert product.shape == want.shape
            np.testing.assert_allclose(product @ np.eye(want.shape[1]), want)
            assert dot_test(product)
        with pytest.raises(ValueError, match="cannot multiply operators of shapes"):
            self.op @ sp.eye_array(5)

    def test_matrices(self):
        X = np.random.default_rng(0).standard_normal((64, 4))
        np.testing.assert_allclose(self.op @ X, self.op.todense() @ X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            product = self.op @ np.asmatrix(X)
        np.testing.assert_allclose(product, self.op.todense() @ X)
        assert (self.op @ np.zeros((64, 0))).shape == (36, 0)
        assert (self.op.H @ np.zeros((36, 0))).shape == (64, 0)


class TestPreconditioners:
    def test_matrices_and_factors(self):
        A = sp.csc_array(spd(30))
        b = np.random.default_rng(0).standard_normal((2, 30))
        want = np.linalg.solve(A.toarray(), b.T).T
        inverse = np.linalg.inv(A.toarray())
        for M in (sla.spilu(A).solve, sp.csr_array(inverse), inverse, Duck(inverse)):
            for method in ("cg", "gmres"):
                result = solve(A, b, method, preconditioner=M, rtol=1e-9)
                assert result.success and result.nit <= 3
                np.testing.assert_allclose(result.x, want, atol=1e-7)

    def test_functions_of_one_vector_for_layers(self):
        kernel = np.zeros((1, 1, 3, 3))
        kernel[0, 0] = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
        op = ConvLinearOperator(kernel, (1, 9, 9), padding=1)
        b = np.random.default_rng(0).standard_normal(op.output_shape)
        M = sla.splu(op.tosparse().tocsc()).solve
        result = solve(op, b, "cg", preconditioner=M)
        assert result.success and result.nit <= 2

    def test_what_is_none(self):
        with pytest.raises(ValueError, match=r"shape \(8, 8\), got \(7, 7\)"):
            solve(4 * np.eye(8), np.ones(8), "cg", preconditioner=np.eye(7))
        with pytest.raises(TypeError, match="name, a callable, an operator or a mat"):
            solve(4 * np.eye(8), np.ones(8), "cg", preconditioner=3.0)


def test_as_operator_keeps_ours():
    op = ConvLinearOperator(np.ones((1, 1, 2)), (1, 5))
    assert as_operator(op) is op
