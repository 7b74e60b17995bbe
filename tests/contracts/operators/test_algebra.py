"""Expressions of operators against the same expressions of matrices."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla

from convinv import ConvLinearOperator
from support.arrays import every_dtype, normal
from support.operator_layers import assert_close, dense, make


class TestAlgebra:
    """Expressions against the same expressions of matrices."""

    EXPRESSIONS = {
        "H": lambda a, b, s: a.H,
        "T": lambda a, b, s: a.T,
        "HH": lambda a, b, s: a.H.H,
        "TT": lambda a, b, s: a.T.T,
        "TH": lambda a, b, s: a.T.H,
        "HT": lambda a, b, s: a.H.T,
        "sum": lambda a, b, s: a + b,
        "difference": lambda a, b, s: a - b,
        "negative": lambda a, b, s: -a,
        "multiple": lambda a, b, s: s * a,
        "multiple right": lambda a, b, s: a * s,
        "quotient": lambda a, b, s: a / s,
        "product": lambda a, b, s: a @ b,
        "product H": lambda a, b, s: a.H @ b,
        "H of product": lambda a, b, s: (a @ b).H,
        "T of product": lambda a, b, s: (a @ b).T,
        "H of multiple": lambda a, b, s: (s * a).H,
        "T of multiple": lambda a, b, s: (s * a).T,
        "T of sum": lambda a, b, s: (a + s * b).T,
        "H of sum": lambda a, b, s: (s * a + b).H,
        "mixed": lambda a, b, s: (2 * a.H @ b + s * b.T @ a) / 3 - a,
    }

    @every_dtype
    @pytest.mark.parametrize("name", [*EXPRESSIONS, "power 0", "power 1", "power 3"])
    def test_expression(self, name, dtype):
        a, b = make("square", dtype), make("square", dtype, seed=1)
        scalar = 1.5 if "float" in dtype else 1.5 - 0.5j
        A, B = dense(a), dense(b)
        if name.startswith("power"):
            power = int(name[-1])
            op, matrix = a**power, np.linalg.matrix_power(A, power)
        else:
            expression = self.EXPRESSIONS[name]
            op = expression(a, b, scalar)
            matrix = expression(_Matrix(A), _Matrix(B), scalar).array
        assert isinstance(op, spla.LinearOperator)
        assert op.dtype == dtype, "a Python scalar must not change the dtype"
        rng = np.random.default_rng(7)
        x, y = (normal(rng, op.shape[i], dtype) for i in (1, 0))
        X, Y = (normal(rng, (op.shape[i], 3), dtype) for i in (1, 0))
        scale = np.max(np.abs(np.abs(matrix) @ np.abs(x))) + np.max(np.abs(A)) ** 2
        for got, expected in (
            (op @ x, matrix @ x),
            (op.matvec(x), matrix @ x),
            (op.rmatvec(y), matrix.conj().T @ y),
            (op @ X, matrix @ X),
            (op.rmatmat(Y), matrix.conj().T @ Y),
            (op.H @ y, matrix.conj().T @ y),
            (op.T @ y, matrix.T @ y),
            (op.dot(x), matrix @ x),
            (op(x), matrix @ x),
            (op * x, matrix @ x),
            (y @ op, y @ matrix),
            (Y.T @ op, Y.T @ matrix),
        ):
            assert got.dtype == dtype
            assert_close(got, expected, 20 * scale)

    @pytest.mark.parametrize(
        ("factor", "expected"),
        [
            (2, "float32"),
            (2.5, "float32"),
            (1j, "complex64"),
            (np.float64(2), "float64"),
        ],
    )
    def test_scalar_dtypes(self, factor, expected):
        op = make("2-D", "float32")
        for scaled in (factor * op, op * factor, op.H * factor):
            assert scaled.dtype == expected
            assert (scaled @ np.ones(scaled.shape[1], "float32")).dtype == expected

    def test_a_scaled_convolution_is_one(self):
        scaled = 2 * make("2-D")
        assert isinstance(scaled, ConvLinearOperator)
        np.testing.assert_allclose(scaled.kernel, 2 * make("2-D").kernel)

    def test_H_of_H_is_the_operator(self):
        op = make("2-D", "complex128")
        assert op.H.H is op and op.T.T is op and op.adjoint().H is op

    @pytest.mark.parametrize(
        "attempt",
        [
            lambda op: op + make("1-D"),
            lambda op: op @ op,
            lambda op: op**2,
            lambda op: op @ 2.0,
            lambda op: 2.0 @ op,
            lambda op: op / op.H,
        ],
    )
    def test_refused(self, attempt):
        with pytest.raises(ValueError):
            attempt(make("2-D"))

    @pytest.mark.parametrize("power", [-1, 0.5])
    def test_refused_power(self, power):
        with pytest.raises((TypeError, ValueError)):
            make("square") ** power

    def test_adding_a_number_is_refused(self):
        with pytest.raises(TypeError):
            make("2-D") + 1
        with pytest.raises(TypeError):
            make("2-D") - 1


class _Matrix:
    """An array with the syntax of an operator."""

    def __init__(self, array):
        self.array = array

    H = property(lambda self: _Matrix(self.array.conj().T))
    T = property(lambda self: _Matrix(self.array.T))

    def __add__(self, other):
        return _Matrix(self.array + other.array)

    def __sub__(self, other):
        return _Matrix(self.array - other.array)

    def __neg__(self):
        return _Matrix(-self.array)

    def __mul__(self, scalar):
        return _Matrix(self.array * scalar)

    __rmul__ = __mul__

    def __truediv__(self, scalar):
        return _Matrix(self.array / scalar)

    def __matmul__(self, other):
        return _Matrix(self.array @ other.array)
