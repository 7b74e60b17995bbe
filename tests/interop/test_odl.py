"""Operators of ODL, from and to those of the package."""

import numpy as np
import pytest

odl = pytest.importorskip("odl")

from convinv import dot_test, solve  # noqa: E402
from convinv.interop.odl import from_odl, to_odl  # noqa: E402
from support.arrays import normal  # noqa: E402
from support.interop_layers import every_layer, layer  # noqa: E402
from support.operator_layers import dense  # noqa: E402


def data(op, seed=0):
    return normal(np.random.default_rng(seed), op.input_shape, op.dtype)


def spaces(op):
    """Spaces whose inner products have weights, of a number and of an array."""
    n = len(op.input_shape)
    first = odl.uniform_discr([0] * n, [2] * n, op.input_shape, dtype=op.dtype.name)
    weights = np.random.default_rng(1).random(op.output_shape) + 0.5
    of_numbers = odl.cn if op.dtype.kind == "c" else odl.rn
    second = of_numbers(op.output_shape, dtype=op.dtype.name, weighting=weights)
    return first, second


def matrix_of(A):
    """Column by column, by the operator's own products."""
    units = np.eye(int(np.prod(A.domain.shape))).reshape(-1, *A.domain.shape)
    return np.stack(
        [A(A.domain.element(unit)).asarray().ravel() for unit in units], axis=1
    )


class TestOurs:
    @every_layer
    @pytest.mark.parametrize("weighted", [False, True])
    def test_products(self, op, weighted):
        A = to_odl(op, *(spaces(op) if weighted else ()))
        matrix, x, y = dense(op), data(op), op.forward(data(op, 2))
        assert isinstance(A, odl.Operator) and A.is_linear
        assert (A.domain.shape, A.range.shape) == (op.input_shape, op.output_shape)
        got = A(x)
        want = matrix @ x.ravel()
        np.testing.assert_allclose(got.asarray().ravel(), want, atol=1e-12)
        left, right = got.inner(A.range.element(y)), A.domain.element(x).inner(
            A.adjoint(y)
        )
        np.testing.assert_allclose(left, right, rtol=1e-11)
        assert A.adjoint.adjoint is A
        if not weighted:
            back = A.adjoint(y).asarray().ravel()
            np.testing.assert_allclose(back, matrix.conj().T @ y.ravel(), atol=1e-11)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_solvers(self, weighted):
        op = layer(boundary="reflect")
        A, x = to_odl(op, *(spaces(op) if weighted else ())), data(op)
        found = A.domain.zero()
        odl.solvers.conjugate_gradient_normal(A, found, A(x), niter=300)
        np.testing.assert_allclose(found.asarray(), x, atol=1e-8)

    def test_expressions(self):
        op = layer(boundary="symmetric")
        A, M = to_odl(op), dense(op)
        for found, want in (
            (A.adjoint * A, M.T @ M),
            (2 * A, 2 * M),
            (A + A, 2 * M),
            (A * odl.ScalingOperator(A.domain, 3.0), 3 * M),
        ):
            np.testing.assert_allclose(matrix_of(found), want, atol=1e-11)

    def test_single_precision(self):
        op = layer(dtype="float32")
        A = to_odl(op)
        assert A(data(op)).asarray().dtype == np.float32

    def test_spaces_that_do_not_fit(self):
        op = layer()
        with pytest.raises(ValueError, match="domain must be a space .* got one of"):
            to_odl(op, odl.rn(3))
        with pytest.raises(TypeError, match="the exponent 1.0"):
            to_odl(op, odl.rn(op.input_shape, exponent=1.0))


class TestTheirs:
    def test_there_and_back(self):
        op = layer()
        assert from_odl(to_odl(op)) is op

    @pytest.mark.parametrize("flat", [True, False])
    def test_solves_between_weighted_spaces(self, flat):
        image = odl.uniform_discr([0, 0], [1, 2], (4, 5))
        A = odl.Laplacian(image, pad_mode="constant")
        op, M = from_odl(A), matrix_of(A)
        assert dot_test(op) and op.input_shape == op.output_shape == (4, 5)
        np.testing.assert_allclose(op.H @ np.eye(20), M.T, atol=1e-9)
        x = np.random.default_rng(0).standard_normal((4, 5))
        b = A(image.element(x)).asarray()
        found = solve(A, b.ravel() if flat else b, rtol=1e-12)
        assert found.success and found.x.shape == ((20,) if flat else (4, 5))
        np.testing.assert_allclose(found.x.ravel(), x.ravel(), atol=1e-8)

    def test_gradients_in_batches(self):
        A = odl.Gradient(odl.uniform_discr([0, 0], [1, 2], (4, 5)))
        op, M = from_odl(A), matrix_of(A)
        assert op.output_shape == (2, 4, 5) and dot_test(op)
        b = np.random.default_rng(0).standard_normal((3, *op.output_shape))
        want = np.linalg.solve(M.T @ M + 4 * np.eye(20), M.T @ b.reshape(3, -1).T)
        found = solve(A, b, damp=2.0, rtol=1e-11)
        np.testing.assert_allclose(found.x.reshape(3, 20).T, want, atol=1e-8)

    def test_arrays_of_weights(self):
        weights = np.random.default_rng(0).random(6) + 0.5
        X = odl.rn(6, weighting=weights)
        M = np.random.default_rng(1).standard_normal((4, 6))

        class ByMatrix(odl.Operator):
            def __init__(self, M, domain, range):
                self.M = M
                super().__init__(domain, range, linear=True)

            def _call(self, x):
                return self.M @ x.asarray()

            @property
            def adjoint(self):
                own = (self.M / weights).T
                return ByMatrix(own, self.range, self.domain)

        op = from_odl(ByMatrix(M, X, odl.rn(4)))
        np.testing.assert_allclose(op @ np.eye(6), M)
        np.testing.assert_allclose(op.H @ np.eye(4), M.T)

    def test_without_an_adjoint(self):
        class OneWay(odl.Operator):
            def __init__(self):
                super().__init__(odl.rn(3), odl.rn(3), linear=True)

            def _call(self, x):
                return 2 * x.asarray()

        assert not from_odl(OneWay()).has_adjoint
        found = solve(OneWay(), np.ones(3), "gmres")
        np.testing.assert_allclose(found.x, 0.5)

    def test_others_are_refused(self):
        with pytest.raises(TypeError, match="linear odl.Operator, got ndarray"):
            from_odl(np.eye(3))
        with pytest.raises(TypeError, match="linear odl.Operator, got"):
            solve(odl.NormOperator(odl.rn(3)), np.ones(1))
