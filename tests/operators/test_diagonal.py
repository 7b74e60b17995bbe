"""Multiplication entry by entry."""

import pickle

import numpy as np
import pytest

from convinv import solve
from convinv.operators import DiagonalOperator
from support.arrays import every_dtype, normal


@every_dtype
@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 4), (2, 1, 1), (1, 4), (1,), ()])
def test_broadcasts(shape, dtype):
    rng = np.random.default_rng(0)
    d = normal(rng, shape, dtype)
    op = DiagonalOperator(d, (2, 3, 4))
    x = normal(rng, (5, 2, 3, 4), dtype)
    np.testing.assert_array_equal(op.forward(x), x * d)
    np.testing.assert_array_equal(op.adjoint(x), x * d.conj())
    assert op.shape == (24, 24) and op.dtype == dtype


def test_own_shape():
    op = DiagonalOperator([[1, 2], [3, 4]])
    assert op.input_shape == (2, 2) and op.dtype == "float64"
    np.testing.assert_array_equal(op @ np.ones(4), [1, 2, 3, 4])


def test_adjoints_of_real_ones_are_they_themselves():
    real, complex_ = DiagonalOperator([1.0, 2.0]), DiagonalOperator([1.0, 2j])
    assert real.H is real and real.T is real and complex_.T is complex_
    np.testing.assert_array_equal(complex_.H.diagonal, [1.0, -2j])


def test_the_array_is_copied():
    d = np.ones(3)
    op = DiagonalOperator(d)
    d[:] = 0
    np.testing.assert_array_equal(op @ np.ones(3), np.ones(3))
    for one in (op, pickle.loads(pickle.dumps(op))):
        with pytest.raises(ValueError, match="read-only"):
            one.diagonal[:] = 0


def test_matrix_class():
    with pytest.warns(PendingDeprecationWarning):
        op = DiagonalOperator(np.matrix([[1.0, 2.0]]))
    np.testing.assert_array_equal(op.forward([[3.0, 4.0]]), [[3.0, 8.0]])


def test_weighted_least_squares():
    rng = np.random.default_rng(1)
    A, b, w = rng.standard_normal((9, 4)), rng.standard_normal(9), rng.random(9) + 0.1
    result = solve(DiagonalOperator(w) @ A, w * b, rtol=1e-12)
    expected = np.linalg.lstsq(w[:, None] * A, w * b)[0]
    np.testing.assert_allclose(result.x, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.ones((2, 3)), (3, 2)), ValueError, "must broadcast to input_shape"),
        ((np.ones((2, 3)), (3,)), ValueError, "must broadcast to input_shape"),
        ((2.0,), ValueError, "input_shape must be given"),
        (([1.0], (0,)), ValueError, "input_shape entries"),
        (([1.0], (1.5,)), TypeError, "input_shape entries"),
        ((["a"],), TypeError, "diagonal must"),
        (([[1.0], [2.0, 3.0]],), ValueError, "diagonal must"),
    ],
)
def test_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        DiagonalOperator(*arguments)
