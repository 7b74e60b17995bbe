"""Operators of PyLops, from and to those of the package."""

import numpy as np
import pytest

pylops = pytest.importorskip("pylops")

from convinv import ConvLinearOperator, dot_test, layer_report, solve  # noqa: E402
from convinv.interop.pylops import (  # noqa: E402
    PyLopsOperator,
    from_pylops,
    to_pylops,
)
from convinv.operators import ShapedOperator  # noqa: E402
from support.arrays import normal  # noqa: E402
from support.interop_layers import every_layer, layer  # noqa: E402
from support.operator_layers import dense  # noqa: E402


def data(op, seed=0):
    return normal(np.random.default_rng(seed), op.input_shape, op.dtype)


class TestOurs:
    @every_layer
    def test_products(self, op):
        theirs, matrix, x = to_pylops(op), dense(op), data(op)
        assert isinstance(theirs, pylops.LinearOperator) and theirs.dtype == op.dtype
        assert (theirs.dims, theirs.dimsd) == (op.input_shape, op.output_shape)
        assert pylops.utils.dottest(theirs, complexflag=3 * (op.dtype.kind == "c"))
        y = theirs @ x
        assert y.shape == op.output_shape
        np.testing.assert_allclose(y.ravel(), matrix @ x.ravel(), atol=1e-12)
        np.testing.assert_allclose(theirs @ x.ravel(), y.ravel(), atol=1e-12)
        back = theirs.H @ y
        assert back.shape == op.input_shape
        np.testing.assert_allclose(
            back.ravel(), matrix.conj().T @ y.ravel(), atol=1e-11
        )
        np.testing.assert_allclose(theirs.todense(), matrix, atol=1e-13)

    def test_columns_are_one_product(self, monkeypatch):
        op = layer()
        counted, apply = [], op.apply
        monkeypatch.setattr(op, "apply", lambda X: counted.append(len(X)) or apply(X))
        X = normal(np.random.default_rng(0), (op.shape[1], 4), "float64")
        theirs = to_pylops(op)
        np.testing.assert_allclose(theirs @ X, dense(op) @ X, atol=1e-12)
        shaped = theirs @ X.reshape(*op.input_shape, 4)
        assert shaped.shape == (*op.output_shape, 4) and counted == [4, 4]

    def test_large_matrices(self):
        """PyLops hands over a sparse identity from a thousand columns on."""
        op = ConvLinearOperator(np.arange(1.0, 4).reshape(1, 1, 3), (1, 1005))
        np.testing.assert_allclose(to_pylops(op).todense(), dense(op))

    def test_single_precision(self):
        op = layer(dtype="float32")
        x = data(op)
        assert (to_pylops(op) @ x).dtype == np.float32
        found, *_ = pylops.cgls(to_pylops(op), op.forward(x), niter=300, tol=1e-12)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.reshape(x.shape), x, atol=1e-4)

    @pytest.mark.parametrize(
        "boundary", ["zero", "periodic", "reflect", "symmetric", "replicate"]
    )
    def test_solvers(self, boundary):
        op = layer(boundary=boundary)
        theirs, x = to_pylops(op), data(op)
        b = op.forward(x)
        zero = np.zeros(op.input_shape)
        normal_op = theirs.H @ theirs
        found = {
            "cg": pylops.cg(normal_op, theirs.H @ b, x0=zero, niter=400, tol=1e-12)[0],
            "cgls": pylops.cgls(theirs, b, x0=zero, niter=400, tol=1e-12)[0],
            "lsqr": pylops.lsqr(theirs, b, x0=zero, niter=400)[0],
        }
        for name, got in found.items():
            assert got.shape == op.input_shape, name
            np.testing.assert_allclose(got, x, atol=1e-5, err_msg=name)

    def test_sparse_solutions(self):
        """Their FISTA goes to the minimizer, whose optimality is checked."""
        op = layer(boundary="symmetric")
        matrix, eps = dense(op), 0.5
        b = matrix @ data(op).ravel()
        found = pylops.optimization.sparsity.fista(
            to_pylops(op), b, niter=2000, eps=eps, tol=1e-14
        )[0]
        gradient = matrix.T @ (matrix @ found - b)
        on = np.abs(found) > 1e-10
        assert on.any() and np.abs(gradient).max() <= eps / 2 * (1 + 1e-4)
        np.testing.assert_allclose(
            gradient[on], -eps / 2 * np.sign(found[on]), atol=1e-4 * eps
        )

    def test_regularized_inversion(self):
        op = layer(boundary="reflect")
        L = pylops.Laplacian(op.input_shape, axes=(1, 2))
        b, eps = op.forward(data(op)), 0.3
        found = pylops.optimization.leastsquares.regularized_inversion(
            to_pylops(op), b.ravel(), [L], epsRs=[eps], iter_lim=500, atol=1e-14,
            btol=1e-14,
        )[0]  # fmt: skip
        A, R = dense(op), L.todense()
        want = np.linalg.solve(A.T @ A + eps**2 * R.T @ R, A.T @ b.ravel())
        np.testing.assert_allclose(found.ravel(), want, atol=1e-7)

    @pytest.mark.parametrize("raw", [True, False])
    def test_stacks(self, raw):
        """The operator itself goes into their stacks too."""
        op = layer(boundary="replicate")
        own, D = op if raw else to_pylops(op), pylops.Gradient(op.input_shape)
        A, B, C = dense(op), D.todense(), np.zeros
        m, n = A.shape
        for stack, matrix in (
            (pylops.VStack([own, D]), np.vstack([A, B])),
            (pylops.HStack([own, pylops.Identity(m)]), np.hstack([A, np.eye(m)])),
            (
                pylops.BlockDiag([own, pylops.Identity(n)]),
                np.block([[A, C((m, n))], [C((n, n)), np.eye(n)]]),
            ),
        ):
            assert stack.shape == matrix.shape and pylops.utils.dottest(stack)
            np.testing.assert_allclose(stack.todense(), matrix, atol=1e-13)
        assert pylops.VStack([own, D]).dims == op.input_shape

    def test_expressions(self):
        op = layer(boundary="periodic")
        P, A, n = to_pylops(op), dense(op), op.shape[1]
        w = np.arange(1.0, n + 1)
        W = pylops.Diagonal(w)
        for found, want in (
            (P @ W, A * w),
            (2 * P, 2 * A),
            (P + P, 2 * A),
            (P.H @ P + W, A.T @ A + np.diag(w)),
            (P.T, A.T),
            (W @ op.H, w[:, None] * A.T),
            (P - 3 * P, -2 * A),
        ):
            assert isinstance(found, pylops.LinearOperator)
            np.testing.assert_allclose(found.todense(), want, atol=1e-11)

    def test_the_left_side_decides(self):
        """A product of ours with theirs is ours, which the exact methods can't take."""
        op = layer()
        W = pylops.Diagonal(np.arange(1.0, op.shape[1] + 1))
        found, matrix = op @ W, dense(op) * np.arange(1.0, op.shape[1] + 1)
        assert isinstance(found, ShapedOperator) and dot_test(found)
        np.testing.assert_allclose(found @ np.eye(op.shape[1]), matrix, atol=1e-12)
        total = op.H @ op + W
        want = dense(op).T @ dense(op) + np.diag(np.arange(1.0, op.shape[1] + 1))
        np.testing.assert_allclose(total @ np.eye(op.shape[1]), want, atol=1e-12)

    def test_arrays_of_cupy_pass(self, cupy):
        op = layer()
        theirs = to_pylops(ConvLinearOperator(cupy.asarray(op.kernel), op.input_shape))
        x = data(op).ravel()
        y = theirs.matvec(cupy.asarray(x))
        assert isinstance(y, cupy.ndarray)
        plain = ConvLinearOperator(op.kernel, op.input_shape)
        np.testing.assert_allclose(y.get(), plain @ x, atol=1e-12)
        assert isinstance(theirs.rmatvec(y), cupy.ndarray)


class TestTheirs:
    def test_there_and_back(self):
        op = layer()
        assert isinstance(to_pylops(op), PyLopsOperator)
        assert from_pylops(to_pylops(op)) is op

    @pytest.mark.parametrize("flat", [True, False])
    def test_solves(self, flat):
        """x comes back flat or shaped, as b is."""
        rng = np.random.default_rng(0)
        A = pylops.VStack([
            pylops.Identity(30, dtype="float64"),
            pylops.FirstDerivative((5, 6), axis=0, kind="forward", edge=True),
        ])  # fmt: skip
        A = from_pylops(A)
        C = pylops.signalprocessing.Convolve2D((5, 6), rng.random((3, 3)), (1, 1))
        C = C + 4 * pylops.Identity(30)
        C.dims = C.dimsd = (5, 6)
        matrix, x = C.todense(), rng.standard_normal((5, 6))
        b = matrix @ x.ravel()
        found = solve(C, b if flat else b.reshape(5, 6), rtol=1e-12)
        assert found.success and found.x.shape == ((30,) if flat else (5, 6))
        np.testing.assert_allclose(found.x.ravel(), x.ravel(), atol=1e-9)
        assert A.input_shape == (30,)

    def test_batches_and_damp(self):
        C = pylops.signalprocessing.Convolve1D((3, 8), np.array([1.0, 4, 2]), 1, axis=1)
        matrix = C.todense()
        b = np.random.default_rng(0).standard_normal((5, 3, 8))
        want = np.linalg.solve(
            matrix.T @ matrix + 0.25 * np.eye(24), matrix.T @ b.reshape(5, 24).T
        )
        for method in ("auto", "cgls", "lsqr", "lsmr"):
            found = solve(C, b, method, damp=0.5, rtol=1e-11)
            assert found.success and found.x.shape == (5, 3, 8)
            np.testing.assert_allclose(found.x.reshape(5, 24).T, want, atol=1e-8)

    def test_complex(self):
        F = pylops.signalprocessing.FFT2D((4, 6))
        assert dot_test(F)
        x = normal(np.random.default_rng(0), (4, 6), "complex128")
        found = solve(F, (F @ x.ravel()).reshape(4, 6))
        assert found.success and found.x.shape == (4, 6)
        np.testing.assert_allclose(found.x, x, atol=1e-5)

    def test_single_precision(self):
        D = pylops.Diagonal(np.arange(1, 7, dtype="float32"), dtype="float32")
        found = solve(D, np.ones(6, "float32"))
        assert found.x.dtype == np.float32
        np.testing.assert_allclose(found.x, 1 / np.arange(1, 7), rtol=1e-5)

    def test_as_a_regularizer(self):
        op = layer()
        L = pylops.Laplacian(op.input_shape, axes=(1, 2))
        b = op.forward(data(op))
        A, R = dense(op), L.todense()
        want = np.linalg.solve(A.T @ A + 0.09 * R.T @ R, A.T @ b.ravel())
        found = solve(op, b, damp=0.3, regularizer=L, rtol=1e-11)
        np.testing.assert_allclose(found.x.ravel(), want, atol=1e-8)

    def test_real_linear_operators_are_refused(self):
        F = pylops.signalprocessing.FFT(8, real=True)
        with pytest.raises(TypeError, match="of PyLops.*real numbers alone"):
            solve(F, np.ones(5, complex))

    def test_others_are_refused(self):
        with pytest.raises(TypeError, match="pylops.LinearOperator, got ndarray"):
            from_pylops(np.eye(3))
        with pytest.raises(TypeError, match="op must be a ConvLinearOperator"):
            layer_report(pylops.Identity(4))
