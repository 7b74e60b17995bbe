"""Products of other makers' operators: batches, buffers, adjoints."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.ndimage import gaussian_filter1d
from scipy.sparse.linalg import LinearOperator

from convinv import ConvergenceWarning, ConvLinearOperator, dot_test, solve
from support.foreign import WITH_ADJOINT, functions, spd


class TestBatches:
    def test_functions_of_one_vector(self):
        """Filters along the last axis take a column for something else."""

        def f(v):
            return v + gaussian_filter1d(v, 1.0, mode="wrap")

        op = LinearOperator((32, 32), matvec=f, rmatvec=f, dtype=float)
        X = np.random.default_rng(0).standard_normal((2, 32))
        B = X @ np.array([f(e) for e in np.eye(32)])
        result = solve(op, B, rtol=1e-10)
        assert result.success and abs(result.x - X).max() < 1e-8

    def test_products_by_one_dimensional_arrays(self):
        d = np.arange(1.0, 9)
        op = LinearOperator(
            (8, 8), matvec=lambda v: d * v, rmatvec=lambda v: d * v, dtype=float
        )
        B = np.random.default_rng(0).standard_normal((3, 8))
        np.testing.assert_allclose(solve(op, B, rtol=1e-12).x, B / d, atol=1e-9)

    def test_a_matmat_of_its_own_is_used(self):
        A, calls = spd(8), []

        def matmat(V):
            calls.append(V.shape)
            return A @ V

        op = functions(A, matmat=matmat, rmatmat=matmat)
        B = np.random.default_rng(0).standard_normal((3, 8))
        result = solve(op, B, rtol=1e-10)
        np.testing.assert_allclose(result.x, np.linalg.solve(A, B.T).T, atol=1e-8)
        assert (8, 3) in calls

    def test_a_subclass_with_a_matmat(self):
        class Own(LinearOperator):
            def __init__(self, A):
                self.A = A
                super().__init__(A.dtype, A.shape)

            def _matmat(self, X):
                return self.A @ X

            def _adjoint(self):
                return Own(self.A.conj().T)

        A = spd(6)
        B = np.random.default_rng(0).standard_normal((4, 6))
        result = solve(Own(A), B, rtol=1e-10)
        np.testing.assert_allclose(result.x, np.linalg.solve(A, B.T).T, atol=1e-8)

    @pytest.mark.parametrize("count", [5, 6, 7])
    def test_columns(self, count):
        rng = np.random.default_rng(0)
        A = rng.standard_normal((6, 6)) + 6 * np.eye(6)
        B = rng.standard_normal((6, count))
        result = solve(A, B, rtol=1e-12, columns=True)
        np.testing.assert_allclose(result.x, np.linalg.solve(A, B), atol=1e-9)

    def test_a_square_b_warns(self):
        A = np.eye(6)
        with pytest.warns(UserWarning, match="rows"):
            solve(A, np.ones((6, 6)))
        with pytest.raises(TypeError, match="columns must be"):
            solve(A, np.ones((6, 6)), columns="yes")
        with pytest.raises(ValueError, match=r"\(6, k\), as columns=True says"):
            solve(A, np.ones((5, 6)), columns=True)


class TestMemoryOfProducts:
    """What operators do with their argument and their result harms nobody."""

    def shared(self):
        A, o, p = spd(), np.empty(20), np.empty(20)
        op = LinearOperator(
            (20, 20),
            matvec=lambda v: np.dot(A, v, out=o),
            rmatvec=lambda v: np.dot(A.T, v, out=p),
            dtype=float,
        )
        return A, op

    @pytest.mark.parametrize("method", [*WITH_ADJOINT, "cg", "gmres"])
    def test_one_buffer_for_all_products(self, method):
        A, op = self.shared()
        b = np.random.default_rng(1).standard_normal(20)
        result = solve(op, b, method)
        assert result.success
        np.testing.assert_allclose(result.x, np.linalg.solve(A, b), atol=1e-5)

    @pytest.mark.parametrize("method", [*WITH_ADJOINT, "cg", "gmres"])
    def test_operators_that_give_their_argument_back(self, method):
        op = LinearOperator(
            (9, 9), matvec=lambda v: v, rmatvec=lambda v: v, dtype=float
        )
        b = np.random.default_rng(1).standard_normal(9)
        before = b.copy()
        result = solve(op, b, method)
        assert result.success and not np.shares_memory(result.x, b)
        np.testing.assert_allclose(result.x, b, atol=1e-6)
        np.testing.assert_array_equal(b, before)

    @pytest.mark.parametrize("method", [*WITH_ADJOINT, "cg", "gmres"])
    def test_operators_that_write_into_their_argument(self, method):
        A = spd()

        def product(v):
            v *= 2
            w = A @ v / 2
            v[:] = np.nan
            return w

        op = LinearOperator((20, 20), matvec=product, rmatvec=product, dtype=float)
        b = np.random.default_rng(1).standard_normal(20)
        before = b.copy()
        result = solve(op, b, method)
        assert result.success
        np.testing.assert_allclose(result.x, np.linalg.solve(A, b), atol=1e-5)
        np.testing.assert_array_equal(b, before)


class TestAdjoints:
    @pytest.mark.parametrize("method", ["cg", "gmres"])
    @pytest.mark.parametrize("kind", ["zero", "raises"])
    def test_methods_without_adjoint_never_call_it(self, method, kind):
        A = spd()

        def stub(v):
            if kind == "raises":
                raise RuntimeError("no adjoint here")
            return 0 * v

        op = LinearOperator((20, 20), matvec=lambda v: A @ v, rmatvec=stub, dtype=float)
        result = solve(op, A @ np.ones(20), method)
        assert result.success
        np.testing.assert_allclose(result.x, 1, atol=1e-4)

    @pytest.mark.parametrize("method", ["cgls", "lsqr", "lsmr"])
    def test_a_wrong_adjoint_is_named(self, method):
        A = np.random.default_rng(0).standard_normal((20, 20)) + 8 * np.eye(20)
        op = LinearOperator(
            (20, 20), matvec=lambda v: A @ v, rmatvec=lambda v: A @ v, dtype=float
        )
        with pytest.warns(ConvergenceWarning, match="adjoint of op is not its adjoint"):
            result = solve(op, np.ones(20), method, maxiter=50)
        assert not result.success

    def test_dot_test(self):
        A = np.random.default_rng(0).standard_normal((5, 7))
        C = A + 1j * A[::-1]
        layer = ConvLinearOperator(np.ones((2, 1, 3)), (1, 9), padding=1)
        for op in (A, C, sp.csr_array(C), functions(C), layer, layer.H):
            assert dot_test(op)
        transposed = LinearOperator(
            C.shape, matvec=lambda v: C @ v, rmatvec=lambda v: C.T @ v, dtype=complex
        )
        with pytest.raises(ValueError, match="<A x, y>"):
            dot_test(transposed)
        assert not dot_test(transposed, raiseerror=False)
        with pytest.raises(TypeError, match="no adjoint"):
            dot_test(LinearOperator((2, 2), matvec=lambda v: v, dtype=float))
