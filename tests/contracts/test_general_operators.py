"""Operators of other makers: whatever SciPy's solvers take, `solve` takes."""

import gc
import warnings
import weakref

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from scipy.ndimage import gaussian_filter1d
from scipy.sparse.linalg import LinearOperator

from convinv import (
    ConvergenceWarning,
    ConvLinearOperator,
    Status,
    dot_test,
    normal_solve,
    solve,
)
from convinv.operators._foreign import GeneralOperator, as_operator

WITH_ADJOINT = ("cgls", "lsqr", "lsmr", "rshk", "rshek", "gradient")


def spd(n=20, seed=0):
    A = np.random.default_rng(seed).standard_normal((n, n))
    return A @ A.T + n * np.eye(n)


def functions(A, **options):
    adjoint = A.conj().T
    return LinearOperator(
        A.shape,
        matvec=lambda v: A @ v,
        rmatvec=lambda v: adjoint @ v,
        dtype=A.dtype,
        **options,
    )


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


class Duck:
    """No more than a shape, a dtype and products."""

    def __init__(self, A):
        self.A, self.shape, self.dtype = A, A.shape, A.dtype

    def matvec(self, v):
        return self.A @ v


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


class TestData:
    """Masks, NaN and subclasses of arrays."""

    def layer(self):
        x = np.random.default_rng(0).random((1, 16, 16))
        kernel = np.ones((1, 1, 3, 3)) / 9
        op = ConvLinearOperator(kernel, x.shape, padding=1, boundary="symmetric")
        return op, x, op.forward(x)

    def test_masked_entries_are_refused_with_a_way_out(self):
        from convinv.operators import MaskOperator

        op, x, b = self.layer()
        b[0, 5, 5] = 1e6
        masked = np.ma.masked_array(b, mask=b > 1e5)
        with pytest.raises(ValueError, match="1 masked.*MaskOperator"):
            solve(op, masked, damp=0.05)
        keep = ~np.ma.getmaskarray(masked)
        result = solve(MaskOperator(keep) @ op, masked.data[keep], damp=0.05)
        assert result.success
        assert abs(result.x.reshape(x.shape) - x).max() < 0.5
        np.testing.assert_array_equal(
            solve(op, np.ma.masked_array(b), damp=0.05).x, solve(op, b, damp=0.05).x
        )

    def test_nan_says_how_to_leave_it_out(self):
        op, _, b = self.layer()
        b[0, 0, 0] = np.nan
        with pytest.raises(ValueError, match="MaskOperator"):
            solve(op, b)

    def test_subclasses_keep_working(self):
        class Quantity(np.ndarray):
            unit = "m"

        op, _, b = self.layer()
        result = solve(op, b.view(Quantity), damp=0.1)
        np.testing.assert_array_equal(result.x, solve(op, b, damp=0.1).x)

    def test_ragged_lists_are_named(self):
        op, _, _ = self.layer()
        with pytest.raises(ValueError, match="b is no array of numbers"):
            solve(op, [[1.0, 2], [3]])


class TestArguments:
    def test_huge_damp(self):
        op = ConvLinearOperator(np.ones((1, 1, 3, 3)), (1, 8, 8))
        for op_, b in ((op, np.ones((1, 6, 6))), (np.eye(4), np.ones(4))):
            for damp in (1e100, 1e200, 1e300):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    result = solve(op_, b, "cgls", damp=damp)
                assert abs(result.x).max() < 1e-90

    @pytest.mark.parametrize("method", ["rk", "rshk", "fdbk", "cgls"])
    def test_a_callback_that_stops_gets_what_it_saw(self, method):
        rng = np.random.default_rng(3)
        A, b = rng.standard_normal((12, 8)), rng.standard_normal(12)
        x0, seen = np.linalg.lstsq(A, b)[0] + 1e-3, []

        def callback(state):
            seen.append(state.x.copy())
            return True

        result = solve(A, b, method, x0=x0, rtol=1e-12, callback=callback)
        assert result.status is Status.STOPPED and result.nit == 1
        np.testing.assert_array_equal(result.x, seen[-1])

    def test_conlim(self):
        A = np.diag(np.geomspace(1, 1e-5, 12))
        b = np.ones(12)
        for method in ("cgls", "lsqr", "lsmr", "cg", "gmres"):
            with pytest.warns(ConvergenceWarning, match="conlim"):
                cycles = {"restart": 5} if method == "gmres" else {}
                result = solve(A, b, method, conlim=100, rtol=1e-12, **cycles)
            assert result.status is Status.ILL_CONDITIONED
            assert solve(A, b, method, conlim=1e9, rtol=1e-3).success
        with pytest.raises(ValueError, match="takes no conlim.*lsmr"):
            solve(A, b, "kaczmarz", conlim=100)
        with pytest.raises(ValueError, match="at least 1"):
            solve(A, b, "cgls", conlim=0.5)

    def test_rtol_normal(self):
        rng = np.random.default_rng(0)
        A, b = rng.standard_normal((30, 10)), rng.standard_normal(30)
        loose = solve(A, b, "cgls", rtol_normal=1e-2)
        tight = solve(A, b, "cgls", rtol_normal=1e-10)
        assert loose.success and tight.success and loose.nit < tight.nit
        with pytest.warns(ConvergenceWarning):
            assert not solve(A, b, "cgls", rtol_normal=0, maxiter=5).success
        with pytest.raises(ValueError, match="rtol_normal"):
            solve(A, b, rtol_normal=-1)


class TestProof:
    """What the normal residual proves, and what it does not."""

    def poisson(self, n):
        kernel = np.array([[0, -1, 0], [-1, 4.0, -1], [0, -1, 0]])[None, None]
        return ConvLinearOperator(kernel, (1, n, n), padding=1)

    @pytest.mark.parametrize("method", ["cg", "gmres", "cgls", "lsmr"])
    def test_smooth_residuals_of_a_warm_start(self, method):
        n = 64
        op = self.poisson(n)
        lu = sla.splu(op.tosparse().tocsc())
        s = np.sin(np.pi * np.arange(1, n + 1) / (n + 1))
        old = np.random.default_rng(0).standard_normal((1, n, n))
        new = old + 0.02 * np.outer(s, s)
        x0, x = (lu.solve(b.ravel()).reshape(b.shape) for b in (old, new))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = solve(op, new, method, x0=x0, maxiter=400)
        error = np.linalg.norm(result.x - x) / np.linalg.norm(x)
        assert not result.success or error < 1e-2
        residual = np.linalg.norm(new - op.forward(result.x))
        assert not result.success or residual <= 1e-6 * np.linalg.norm(new)

    @pytest.mark.parametrize("method", ["cgls", "lsqr", "lsmr", "auto"])
    def test_square_ill_conditioned_layers(self, method):
        rng = np.random.default_rng(0)
        kernel = rng.uniform(-1, 1, (3, 3, 3, 3)) / np.sqrt(27)
        op = ConvLinearOperator(kernel, (3, 20, 20), padding=1)
        x = rng.random(op.input_shape)
        result = solve(op, op.forward(x), method, rtol=1e-6)
        error = np.linalg.norm(result.x - x) / np.linalg.norm(x)
        assert result.success and result.residual_norm <= 1e-6 * 1e3
        assert error <= 2 * result.error_bound <= 1
        assert result.error_bound < 1e-3 or "off by" in result.message

    @pytest.mark.parametrize("method", ["cgls", "lsmr", "kaczmarz", "gauss-seidel"])
    def test_damping_bounds_the_error_of_every_method(self, method):
        rng = np.random.default_rng(0)
        A, b = rng.standard_normal((20, 20)), rng.standard_normal(20)
        result = solve(A, b, method, damp=0.5, maxiter=9000)
        x = np.linalg.solve(A.T @ A + 0.25 * np.eye(20), A.T @ b)
        assert result.success
        error = np.linalg.norm(result.x - x) / np.linalg.norm(x)
        assert error <= result.error_bound < 1e-2

    def test_single_precision_reaches_what_double_does(self):
        rng = np.random.default_rng(0)
        kernel = (rng.uniform(-1, 1, (3, 3, 3, 3)) / np.sqrt(27)).astype("f4")
        op = ConvLinearOperator(kernel, (3, 20, 20), padding=1)
        x = rng.random(op.input_shape, dtype="f4")
        b = op.forward(x)
        errors = []
        for o in (op, op.astype("f8")):
            result = solve(o, b)
            errors.append(np.linalg.norm(result.x - x) / np.linalg.norm(x))
            assert result.success
        assert errors[0] <= 2 * errors[1] + 1e-6

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("method", ["auto", "cgls", "lsmr"])
    def test_inconsistent_square_problems(self, method, dtype):
        """A singular blur and data outside its range: shown by the normal residual."""
        kernel = np.array([[[0.25, 0.5, 0.25]]])
        op = ConvLinearOperator(
            kernel.astype(dtype), (1, 16), padding="same", boundary="periodic"
        )
        b = np.random.default_rng(0).standard_normal((1, 16)).astype(dtype)
        result = solve(op, b, method)
        assert result.success and "not in the range" in result.message
        want = np.linalg.pinv(op.todense().astype(float), rcond=1e-6) @ b.ravel()
        np.testing.assert_allclose(result.x.ravel(), want, atol=1e-3)

    def test_norms_of_taps_that_meet_only_padding(self):
        op = ConvLinearOperator([[[1e16, 1.0, 1e16]]], (1, 1), padding=1)
        result = solve(op, [[1.0]], "cgls")
        assert result.success
        np.testing.assert_allclose(result.x, 1)


class TestSingularLayers:
    """Choosing a method is part of a solve: nothing internal leaves it."""

    KERNELS = {
        "laplacian": [[0, -1, 0], [-1, 4.0, -1], [0, -1, 0]],
        "dx": [[0, 0, 0], [-1.0, 1, 0], [0, 0, 0]],
        "sobel": [[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        "binomial": [[1.0, 2, 1], [2, 4, 2], [1, 2, 1]],
        "box": [[1.0, 1, 0], [1, 1, 0], [0, 0, 0]],
    }

    @pytest.mark.parametrize("padding", [0, 1])
    @pytest.mark.parametrize("boundary", ["zero", "reflect", "replicate", "symmetric"])
    @pytest.mark.parametrize("name", KERNELS)
    def test_default_solves_and_reports(self, name, boundary, padding):
        from convinv import layer_report

        kernel = np.array(self.KERNELS[name])[None, None]
        for size in ((12, 15), (130, 136)):
            op = ConvLinearOperator(
                kernel, (1, *size), padding=padding, boundary=boundary
            )
            b = op.forward(np.random.default_rng(0).standard_normal((1, *size)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                result = solve(op, b, maxiter=300)
            residual = np.linalg.norm(b - op.forward(result.x))
            assert not result.success or residual <= 2e-6 * np.linalg.norm(b)
            if size == (12, 15):
                A = op.todense()
                least = np.linalg.pinv(A, rcond=1e-11) @ b.ravel()
                error = np.linalg.norm(result.x.ravel() - least)
                assert not result.success or error <= 1e-2 * np.linalg.norm(least)
                layer_report(op)

    def test_more_filters_than_channels_in_a_wide_layer(self):
        kernel = np.random.default_rng(0).standard_normal((3, 2, 9, 9))
        op = ConvLinearOperator(kernel, (2, 24, 24))
        assert op.shape[0] < op.shape[1]
        b = op.forward(np.ones((2, 24, 24)))
        result = solve(op, b)
        assert result.success
        assert np.linalg.norm(b - op.forward(result.x)) <= 1e-6 * np.linalg.norm(b)

    def test_dead_and_equal_filters(self):
        kernel = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
        kernel[1], kernel[2] = kernel[0], 0
        op = ConvLinearOperator(kernel, (3, 14, 14), padding=1)
        b = op.forward(np.random.default_rng(1).standard_normal((3, 14, 14)))
        result = solve(op, b, rtol=1e-11)
        assert result.success
        least = np.linalg.pinv(op.todense(), rcond=1e-10) @ b.ravel()
        np.testing.assert_allclose(result.x.ravel(), least, atol=1e-4)

    @pytest.mark.parametrize("size", [25, 49])
    def test_periodic_layers_that_are_no_torus_with_damp(self, size):
        kernel = np.random.default_rng(0).standard_normal((2, 1, 3, 3))
        op = ConvLinearOperator(
            kernel, (1, size, size), padding=1, stride=2, boundary="periodic"
        )
        b = op.forward(np.ones((1, size, size)))
        result = solve(op, b, damp=4e-3)
        assert result.success and result.nit < 1000
        single = op.astype("f4")
        assert solve(single, b.astype("f4"), damp=1e-3, rtol=1e-4).success


class TestMemoryKept:
    @pytest.mark.parametrize("method", ["schwarz", "direct", "auto", "strip", "cgls"])
    def test_operators_go_when_nobody_holds_them(self, method):
        """Without a cycle the reference count frees an operator and its set-ups."""
        kernel = np.random.default_rng(0).standard_normal((8, 3, 3, 3))
        named = {"preconditioner": "schwarz"} if method == "cgls" else {}

        def solved():
            op = ConvLinearOperator(kernel, (3, 20, 20))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                solve(op, np.ones(op.output_shape), method, maxiter=1, **named)
            return weakref.ref(op)

        solved()  # the first time kernels are compiled
        gc.collect()
        gc.disable()
        try:
            assert solved()() is None
        finally:
            gc.enable()


def test_as_operator_keeps_ours():
    op = ConvLinearOperator(np.ones((1, 1, 2)), (1, 5))
    assert as_operator(op) is op
