"""The series of the inverse near a reference matrix."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator, gmres

from convinv import ConvergenceWarning, ConvLinearOperator
from convinv.local_inverse import (
    FeasibleRegion,
    LocalInverse,
    NeumannOperator,
    certify,
    newton_schulz,
    relu_realization,
)
from support.arrays import random
from support.centers import KINDS, center, size


@pytest.mark.parametrize("order", range(5))
@KINDS
def test_the_series(order, kind):
    near = LocalInverse(center(4, kind), order)
    D = 0.05 * random((7, 4, 4), kind, 1)
    X0 = np.linalg.inv(near.A0)
    terms = [X0]
    for _ in range(order):
        terms.append(-X0 @ D @ terms[-1])
    x = near.approximate(near.A0 + D)
    assert x.shape == (7, 4, 4) and x.dtype == kind
    accuracy = 1e-4 if kind in ("float32", "complex64") else 1e-13
    expected = sum(terms[1:], np.broadcast_to(X0, D.shape))
    np.testing.assert_allclose(x, expected, atol=accuracy)


@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_the_remainder_is_bounded(order):
    near = LocalInverse(center(4), order)
    for part in (0.01, 0.1, 0.5):
        D = random((200, 4, 4), seed=2)
        D *= part / near.inverse_norm / size(D, "spectral")[:, None, None]
        A = near.A0 + D
        error = size(near.approximate(A) - np.linalg.inv(A), "spectral")
        bound = near.remainder_bound(A)
        assert (error <= bound * (1 + 1e-9) + 1e-14).all()
        plain = part ** (order + 1) * near.inverse_norm / (1 - part)
        assert (bound <= plain * (1 + 1e-9)).all()


def test_the_remainder_is_infinite_far_away():
    near = LocalInverse(np.eye(2))
    assert near.remainder_bound(-np.eye(2)) == np.inf


def test_a_quarter_of_the_error_at_half_the_distance():
    near = LocalInverse(center(3))
    D = 0.05 * np.random.default_rng(0).uniform(-1, 1, (4000, 3, 3))
    errors = []
    for part in (1, 0.5, 0.25):
        A = near.A0 + part * D
        errors.append(np.abs(near.approximate(A) - np.linalg.inv(A)).mean())
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=0.02)


def test_the_linear_term_is_the_derivative():
    """Central differences of the exact inverse."""
    near, h = LocalInverse(center(4)), 1e-5
    D = random((4, 4), seed=3)
    numeric = np.linalg.inv(near.A0 + h * D) - np.linalg.inv(near.A0 - h * D)
    term = near.approximate(near.A0 + D) - near.inverse
    np.testing.assert_allclose(term, numeric / (2 * h), rtol=1e-7, atol=1e-8)


def test_stacks_of_references():
    A0 = center(3, shape=(2, 1))
    near = LocalInverse(A0, 2)
    A = A0 + 0.01 * random((2, 5, 3, 3), seed=4)
    found = near(A)
    assert found.success and found.bound.shape == (2, 5)
    for i, k in itertools.product(range(2), range(5)):
        alone = LocalInverse(A0[i, 0], 2).approximate(A[i, k])
        np.testing.assert_allclose(found.x[i, k], alone, atol=1e-14)


def test_calls_are_certified():
    near = LocalInverse(center(3), 1)
    A = near.A0 + 0.05 * random((9, 3, 3), seed=5)
    before = A.copy()
    found = near(A)
    assert found.success and "bounded" in repr(found)
    assert (size(found.x - np.linalg.inv(A), "spectral") <= found.bound).all()
    np.testing.assert_array_equal(A, before)
    A[4] = -near.A0  # the series does not converge there
    with pytest.warns(ConvergenceWarning, match="no bound for 1 of 9"):
        found = near(A)
    assert not found.success and np.isinf(found.bound).tolist() == [
        k == 4 for k in range(9)
    ]


@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_the_operator_is_the_series(order, kind):
    near = LocalInverse(center(6, kind), order)
    A = near.A0 + 0.05 * random((6, 6), kind, 1)
    M = near.operator(A)
    expected = near.approximate(A)
    assert isinstance(M, LinearOperator) and M.dtype == kind
    np.testing.assert_allclose(M @ np.eye(6), expected, atol=1e-13)
    np.testing.assert_allclose(M.H @ np.eye(6), expected.conj().T, atol=1e-13)
    v = random(6, kind, 2)
    np.testing.assert_allclose(M @ v, expected @ v, atol=1e-13)


def test_the_operator_preconditions():
    A0 = np.diag(np.linspace(1, 1000, 50)) + 0.1 * random((50, 50))
    A = A0 + 0.02 * random((50, 50), seed=1)
    b, steps = np.ones(50), {}
    for name, M in (("none", None), ("series", LocalInverse(A0, 2).operator(A))):
        count = []
        gmres(A, b, M=M, rtol=1e-10, callback=count.append, callback_type="pr_norm")
        steps[name] = len(count)
    assert steps["series"] <= 5 < 20 < steps["none"]


def test_the_operator_takes_convolutions():
    kernel = np.zeros((2, 2, 3, 3))
    kernel[[0, 1], [0, 1], 1, 1] = 2
    kernel += 0.02 * random(kernel.shape)
    op = ConvLinearOperator(kernel, (2, 6, 5), padding="same")
    A = op.todense()
    M = NeumannOperator(aslinearoperator(np.eye(60) / 2), op, 3)
    R = np.eye(60) - A / 2
    expected = sum(np.linalg.matrix_power(R, k) for k in range(4)) / 2
    np.testing.assert_allclose(M @ np.eye(60), expected, atol=1e-14)
    x = random((3, 2, 6, 5))
    flat = (expected @ x.reshape(3, -1).T).T
    np.testing.assert_allclose(M.forward(x).reshape(3, -1), flat, atol=1e-14)
    error = np.linalg.norm(expected - np.linalg.inv(A), 2)
    q = np.linalg.norm(R, 2)
    assert error <= q**4 * np.linalg.norm(np.linalg.inv(A), 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: certify(np.ones(3), np.ones(3)), ValueError, "A must have shape"),
        (lambda: certify(np.eye(2), np.eye(3)), ValueError, "X must be of 2 x 2"),
        (lambda: certify(np.eye(2), np.eye(2), "l1"), ValueError, "norm must be one"),
        (lambda: certify(np.array([["a"]]), np.eye(1)), TypeError, "A must"),
        (lambda: LocalInverse(np.eye(2), -1), ValueError, "order must be at least 0"),
        (lambda: LocalInverse(np.eye(2), 1.5), TypeError, "order must be an int"),
        (lambda: LocalInverse(np.ones((2, 3))), ValueError, "A0 must have shape"),
        (lambda: LocalInverse(np.eye(2))(np.eye(3)), ValueError, "A must be of 2 x 2"),
        (lambda: LocalInverse(np.zeros((2, 2))), np.linalg.LinAlgError, "singular"),
        (lambda: LocalInverse(np.diag([1, 1e-17]) @ np.ones((2, 2)) + 1e-33),
         np.linalg.LinAlgError, "singular"),
        (lambda: LocalInverse(np.eye(2)[None]).operator(np.eye(2)), ValueError,
         "single A0"),
        (lambda: NeumannOperator(np.eye(2), np.eye(3)), ValueError, "X0 must have"),
        (lambda: newton_schulz(np.eye(2), rtol=-1), ValueError, "rtol must be"),
        (lambda: newton_schulz(np.eye(2), maxiter=-1), ValueError, "maxiter must"),
        (lambda: newton_schulz(np.eye(2), np.eye(3)), ValueError, "X0 must be of 2"),
        (lambda: relu_realization(1j * np.eye(2)), ValueError, "A0 must be one real"),
        (lambda: relu_realization(np.eye(2), 0.0), ValueError, "half_width must"),
        (lambda: relu_realization(np.eye(2), hidden=7), ValueError, "at least 8"),
        (lambda: relu_realization(np.eye(2))(np.eye(3)), ValueError, "A must have"),
        (lambda: FeasibleRegion(np.eye(2)[None]), ValueError, "A0 must have shape"),
        (lambda: FeasibleRegion(np.eye(2)).distance("l2"), ValueError, "norm must"),
        (lambda: FeasibleRegion(np.eye(2)).box(-1), ValueError, "margin must"),
        (lambda: FeasibleRegion(np.eye(2)).picture(((0, 0), (0, 2))), ValueError,
         "entries must"),
        (lambda: FeasibleRegion(1j * np.eye(2)).picture(), ValueError, "real A0"),
    ],
)  # fmt: skip
def test_errors(call, error, words):
    with pytest.raises(error, match=words), warnings.catch_warnings():
        warnings.simplefilter("error")
        call()


def test_integers_are_promoted():
    near = LocalInverse([[2, 1], [1, 3]])
    assert near.inverse.dtype == "float64"
    assert near([[2, 1], [1, 3]]).success


def test_other_array_libraries():
    xp = pytest.importorskip("array_api_strict")
    A0 = center(3)
    A = A0 + 0.02 * random((4, 3, 3), seed=1)
    near = LocalInverse(xp.asarray(A0), 2)
    found = near(xp.asarray(A))
    expected = LocalInverse(A0, 2)(A)
    np.testing.assert_allclose(np.asarray(found.x), expected.x, atol=1e-14)
    np.testing.assert_allclose(np.asarray(found.bound), expected.bound)
    bound = np.asarray(near.remainder_bound(xp.asarray(A)))
    np.testing.assert_allclose(bound, LocalInverse(A0, 2).remainder_bound(A))
    newton = newton_schulz(xp.asarray(A))
    np.testing.assert_allclose(np.asarray(newton.x), np.linalg.inv(A), atol=1e-13)
    with pytest.raises(TypeError, match="A must be an array of array_api_strict"):
        near(A)
