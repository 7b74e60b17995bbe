"""Inverses as operators, against dense pseudoinverses."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from convinv import ConvergenceWarning, ConvLinearOperator, dot_test, solve
from convinv.operators import DifferenceOperator, MaskOperator, StackedOperator
from convinv.operators._foreign import as_operator
from support.arrays import doubles, normal
from support.operator_kinds import columns, differences
from support.operator_layers import dense

SIZE = (2, 7, 8)


def layer(shape, dtype, **options):
    kernel = normal(np.random.default_rng(0), shape, dtype)
    op = ConvLinearOperator(kernel, SIZE, **options)
    return op, dense(op)


def tall(dtype):
    return layer((5, 2, 3, 3), dtype)


def wide(dtype):
    return layer((1, 2, 3, 3), dtype, padding=1)


def of_layer_and_differences(dtype):
    op, A = layer((2, 2, 3, 3), dtype)
    D = columns(lambda x: differences(x, (1, 2), "symmetric"), SIZE)
    return StackedOperator([op, DifferenceOperator(SIZE)]), np.concatenate([A, D])


def of_masked_layer(dtype):
    op, A = layer((3, 2, 3, 3), dtype, padding=1)
    keep = np.arange(op.shape[0]).reshape(op.output_shape) % 4 > 0
    return MaskOperator(keep) @ op, A[keep.ravel()]


def of_matrix(dtype):
    A = normal(np.random.default_rng(1), (12, 9), dtype)
    return as_operator(A), A


def of_products(dtype):
    A = normal(np.random.default_rng(2), (9, 12), dtype)
    found = LinearOperator(
        A.shape, matvec=lambda x: A @ x, rmatvec=lambda y: A.conj().T @ y, dtype=dtype
    )
    return as_operator(found), A


OPERATORS = {
    function.__name__: function
    for function in (
        tall,
        wide,
        of_layer_and_differences,
        of_masked_layer,
        of_matrix,
        of_products,
    )
}
operators = pytest.mark.parametrize("name", OPERATORS)


def pseudoinverse(A, damp):
    if not damp:
        return np.linalg.pinv(A)
    gram = A.conj().T @ A + damp**2 * np.eye(A.shape[1])
    return np.linalg.solve(gram, A.conj().T)


@doubles
@operators
@pytest.mark.parametrize("damp", [0.0, 0.5])
class TestPseudoinverse:
    def test_products(self, name, damp, dtype):
        op, A = OPERATORS[name](dtype)
        P, inverse = pseudoinverse(A, damp), op.inverse(damp, rtol=1e-11)
        assert inverse.shape == P.shape and inverse.dtype == op.dtype
        assert inverse.input_shape == op.output_shape
        assert inverse.output_shape == op.input_shape
        rng = np.random.default_rng(3)
        b, x = (normal(rng, (2, n), dtype) for n in P.shape[::-1])
        atol = 1e-6 * np.linalg.norm(P, 2)
        for got, expected in (
            (inverse @ b[0], P @ b[0]),
            (inverse.H @ x[0], P.conj().T @ x[0]),
            (inverse.rmatvec(x[1]), P.conj().T @ x[1]),
            (inverse.T @ x[0], P.T @ x[0]),
            (inverse.matmat(b.T), P @ b.T),
            (inverse.forward(b.reshape(2, *op.output_shape)).reshape(2, -1), b @ P.T),
            ((2 * inverse) @ b[1], 2 * P @ b[1]),
        ):
            np.testing.assert_allclose(got, expected, atol=atol * np.linalg.norm(b))

    def test_dot_test(self, name, damp, dtype):
        op, _ = OPERATORS[name](dtype)
        assert dot_test(op.inverse(damp, rtol=1e-12), rtol=1e-7)


@operators
def test_products_with_the_operator_project(name):
    op, A = OPERATORS[name]("float64")
    projection = op.inverse(rtol=1e-11) @ op
    expected = np.linalg.pinv(A) @ A
    x = np.random.default_rng(4).standard_normal(op.shape[1])
    np.testing.assert_allclose(projection @ x, expected @ x, atol=1e-6)
    assert projection.input_shape == projection.output_shape == op.input_shape


def test_what_it_gives_is_what_solve_gives():
    op, _ = tall("float64")
    b = np.random.default_rng(5).standard_normal((3, *op.output_shape))
    options = {"damp": 0.1, "rtol": 1e-9, "maxiter": 300}
    inverse = op.inverse(method="lsmr", **options)
    np.testing.assert_array_equal(inverse.forward(b), solve(op, b, "lsmr", **options).x)


def test_batches_as_long_as_vectors_are_rows():
    A = np.random.default_rng(6).standard_normal((6, 6)) + 4 * np.eye(6)
    inverse = as_operator(A).inverse(rtol=1e-12)
    b = np.random.default_rng(7).standard_normal((6, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = inverse.forward(b)
    np.testing.assert_allclose(x, np.linalg.solve(A, b.T).T, atol=1e-8)


def test_empty_batches():
    op, _ = tall("float64")
    inverse = op.inverse()
    assert inverse.forward(np.zeros((0, *op.output_shape))).shape == (0, *SIZE)
    assert inverse.adjoint(np.zeros((0, *SIZE))).shape == (0, *op.output_shape)


def test_single_precision():
    op, A = tall("float32")
    b = normal(np.random.default_rng(8), op.shape[0], "float32")
    x = op.inverse() @ b
    assert x.dtype == "float32"
    np.testing.assert_allclose(x, np.linalg.pinv(A) @ b, atol=1e-5)


def test_inverses_of_adjoints():
    op, A = tall("complex128")
    x = normal(np.random.default_rng(9), op.shape[1], "complex128")
    expected = np.linalg.pinv(A).conj().T @ x
    for inverse in (op.H.inverse(rtol=1e-11), op.inverse(rtol=1e-11).H):
        np.testing.assert_allclose(inverse @ x, expected, atol=1e-7)


def test_pickles():
    op, _ = tall("float64")
    inverse = op.inverse(0.2, method="cgls")
    b = np.random.default_rng(10).standard_normal(op.shape[0])
    again = pickle.loads(pickle.dumps(inverse))
    np.testing.assert_array_equal(again @ b, inverse @ b)


def test_what_does_not_converge_warns():
    op, _ = tall("float64")
    b = np.random.default_rng(11).standard_normal(op.shape[0])
    inverse = op.inverse(method="cgls", rtol=1e-12, maxiter=1)
    for product, data in ((inverse.matvec, b), (inverse.rmatvec, b[: op.shape[1]])):
        with pytest.warns(ConvergenceWarning, match="cgls"):
            product(data)


class TestRefused:
    def test_without_an_adjoint(self):
        op = as_operator(LinearOperator((3, 3), matvec=lambda x: x, dtype=float))
        with pytest.raises(TypeError, match="inverse needs the adjoint"):
            op.inverse()

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"damp": -1}, ValueError, "damp"),
            ({"damp": "gcv"}, TypeError, "damp must be a real number"),
            ({"rtol": np.nan}, ValueError, "rtol"),
            ({"method": "nope"}, ValueError, "method must be one of"),
        ],
    )
    def test_before_any_product(self, options, error, words):
        op, _ = tall("float64")
        with pytest.raises(error, match=words):
            op.inverse(**options)

    def test_methods_that_do_not_take_the_operator(self):
        with pytest.raises(TypeError, match="'strip' needs a ConvLinearOperator"):
            as_operator(aslinearoperator(np.eye(3))).inverse(method="strip")
        op, _ = tall("float64")
        inverse = op.inverse(method="strip")
        assert inverse.forward(np.zeros(op.output_shape)).shape == SIZE
        with pytest.raises(TypeError, match="'strip' needs a ConvLinearOperator"):
            inverse.H
