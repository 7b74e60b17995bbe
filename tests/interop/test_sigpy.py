"""Linops of SigPy, from and to operators of the package."""

import numpy as np
import pytest

sigpy = pytest.importorskip("sigpy")

from sigpy import linop  # noqa: E402

from convinv import ConvLinearOperator, dot_test, solve  # noqa: E402
from convinv.interop.sigpy import from_sigpy, to_sigpy  # noqa: E402
from support.arrays import normal  # noqa: E402
from support.interop_layers import every_layer, layer  # noqa: E402
from support.operator_layers import dense  # noqa: E402


def data(op, seed=0, batch=()):
    return normal(np.random.default_rng(seed), (*batch, *op.input_shape), op.dtype)


def matrix_of(A):
    """Column by column, by the Linop's own products."""
    units = np.eye(int(np.prod(A.ishape))).reshape(-1, *A.ishape)
    return np.stack([A(unit).ravel() for unit in units], axis=1)


class TestOurs:
    @every_layer
    def test_products(self, op):
        A, matrix, x = to_sigpy(op), dense(op), data(op)
        assert isinstance(A, linop.Linop)
        assert (A.ishape, A.oshape) == (list(op.input_shape), list(op.output_shape))
        y = A(x)
        np.testing.assert_allclose(y.ravel(), matrix @ x.ravel(), atol=1e-12)
        want = matrix.conj().T @ y.ravel()
        np.testing.assert_allclose(A.H(y).ravel(), want, atol=1e-11)
        np.testing.assert_allclose(A.N(x).ravel(), want, atol=1e-11)
        np.testing.assert_array_equal(A.H.H(x), y)

    @pytest.mark.parametrize("batch", [3, (2, 3)])
    def test_batches_are_one_product(self, batch, monkeypatch):
        op = layer()
        counted, apply = [], op.apply
        monkeypatch.setattr(op, "apply", lambda X: counted.append(len(X)) or apply(X))
        A = to_sigpy(op, batch)
        X = data(op, batch=(batch,) if isinstance(batch, int) else batch)
        Y = A(X)
        assert Y.shape == (*X.shape[:-3], *op.output_shape)
        assert counted == [int(np.prod(X.shape[:-3]))]
        want = X.reshape(-1, op.shape[1]) @ dense(op).T
        np.testing.assert_allclose(Y.reshape(want.shape), want, atol=1e-12)
        assert A.H(Y).shape == X.shape
        with pytest.raises(RuntimeError):
            A(data(op))

    @pytest.mark.parametrize("lamda", [0.0, 0.25])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_least_squares(self, lamda, dtype):
        op = layer(boundary="symmetric", dtype=dtype)
        b = normal(np.random.default_rng(1), op.output_shape, dtype)
        found = sigpy.app.LinearLeastSquares(
            to_sigpy(op), b, lamda=lamda, max_iter=2000, tol=1e-13, show_pbar=False
        ).run()
        A = dense(op)
        gram = A.conj().T @ A + lamda * np.eye(A.shape[1])
        want = np.linalg.solve(gram, A.conj().T @ b.ravel())
        np.testing.assert_allclose(found.ravel(), want, atol=1e-8)

    def test_compositions(self):
        op = layer(boundary="reflect")
        A, M, x = to_sigpy(op), dense(op), data(op)
        G = linop.FiniteDifference(op.input_shape)
        W = linop.Multiply(op.input_shape, np.arange(1.0, op.shape[1] + 1).reshape(
            op.input_shape))  # fmt: skip
        w = np.arange(1.0, op.shape[1] + 1)
        for found, want in (
            (A * W, M * w),
            (A + A, 2 * M),
            (2 * A, 2 * M),
            (A.H * A, M.T @ M),
            (linop.Vstack([A, G]), np.vstack([M, matrix_of(G)])),
            (linop.Hstack([A, A], axis=0), np.hstack([M, M])),
        ):
            got = matrix_of(found)
            np.testing.assert_allclose(got, want, atol=1e-11)
            np.testing.assert_allclose(matrix_of(found.H), want.T, atol=1e-11)
        assert (A * W)(x).shape == op.output_shape

    def test_single_precision(self):
        op = layer(dtype="float32")
        assert to_sigpy(op)(data(op)).dtype == np.float32

    def test_arrays_of_cupy_pass(self, cupy):
        op = layer()
        A = to_sigpy(ConvLinearOperator(cupy.asarray(op.kernel), op.input_shape))
        y = A.apply(cupy.asarray(data(op)))
        plain = ConvLinearOperator(op.kernel, op.input_shape)
        assert isinstance(y, cupy.ndarray)
        np.testing.assert_allclose(y.get(), plain.forward(data(op)), atol=1e-12)


class TestTheirs:
    def test_there_and_back(self):
        op = layer()
        assert from_sigpy(to_sigpy(op)) is op
        many = from_sigpy(to_sigpy(op, 3))
        assert many.input_shape == (3, *op.input_shape) and dot_test(many)

    @pytest.mark.parametrize("flat", [True, False])
    @pytest.mark.parametrize("mode", ["full", "valid"])
    def test_convolutions(self, mode, flat):
        """x comes back flat or shaped, as b is."""
        filt = np.random.default_rng(0).standard_normal((5, 2, 2, 3))
        A = linop.ConvolveData((2, 5, 6), filt, mode=mode, multi_channel=True)
        op = from_sigpy(A)
        assert op.dtype == np.float32 and dot_test(op)
        assert (op.input_shape, op.output_shape) == ((2, 5, 6), tuple(A.oshape))
        x = np.random.default_rng(1).standard_normal((2, 5, 6))
        b = A(x)
        found = solve(A, b.ravel() if flat else b, rtol=1e-11)
        assert found.success and found.x.shape == ((60,) if flat else (2, 5, 6))
        np.testing.assert_allclose(found.x.ravel(), x.ravel(), atol=1e-8)

    def test_batches_and_damp(self):
        A = linop.FiniteDifference((4, 5))
        M = matrix_of(A)
        b = np.random.default_rng(0).standard_normal((3, *A.oshape))
        want = np.linalg.solve(M.T @ M + 0.25 * np.eye(20), M.T @ b.reshape(3, -1).T)
        for method in ("auto", "cgls", "lsmr"):
            found = solve(A, b, method, damp=0.5, rtol=1e-11)
            assert found.x.shape == (3, 4, 5)
            np.testing.assert_allclose(found.x.reshape(3, 20).T, want, atol=1e-8)

    def test_complex_products_of_real_numbers(self):
        A = linop.FFT((4, 6))
        op = from_sigpy(A)
        assert op.dtype == np.complex64 and dot_test(op)
        x = normal(np.random.default_rng(0), (4, 6), "complex128")
        found = solve(A, A(x), rtol=1e-12)
        assert found.success and found.x.dtype == np.complex128
        np.testing.assert_allclose(found.x, x, atol=1e-9)

    @pytest.mark.parametrize("axis", [None, 0])
    def test_stacks_with_complex_parts(self, axis):
        """SigPy drops imaginary parts of those where the input is real."""
        parts = [linop.FFT((4, 6)), linop.Identity((4, 6))]
        A = linop.Vstack([linop.Vstack(parts, axis), linop.Vstack(parts, axis)], axis)
        assert from_sigpy(A).dtype == np.complex64 and dot_test(from_sigpy(A))
        x = normal(np.random.default_rng(0), (4, 6), "complex128")
        np.testing.assert_allclose(solve(A, A(x), rtol=1e-12).x, x, atol=1e-9)
        real = from_sigpy(A) @ x.real.ravel()
        np.testing.assert_allclose(real, A(x.real + 0j).ravel(), atol=1e-12)

    def test_expressions_with_ours(self):
        op, scale = layer(), linop.Multiply((2, 5, 6), 3.0)
        found = op @ scale
        assert dot_test(found)
        np.testing.assert_allclose(found @ np.eye(60), 3 * dense(op), atol=1e-11)

    def test_a_dtype(self):
        assert from_sigpy(linop.Identity((3,)), dtype="complex128").dtype.kind == "c"

    def test_others_are_refused(self):
        with pytest.raises(TypeError, match="sigpy.linop.Linop, got ndarray"):
            from_sigpy(np.eye(3))
