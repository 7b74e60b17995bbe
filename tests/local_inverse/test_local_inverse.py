"""Approximate inverses near a reference matrix, their bounds and their region."""

import itertools
import warnings
from fractions import Fraction

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
    relu_realisation,
)
from support import oracles
from support.arrays import random

KINDS = pytest.mark.parametrize(
    "kind", ["float32", "float64", "complex64", "complex128"]
)
NORMS = pytest.mark.parametrize("norm", ["spectral", "frobenius", "max"])


def centre(n, kind="float64", seed=0, shape=()):
    return (random((*shape, n, n), kind, seed) / 2 + 3 * np.eye(n)).astype(kind)


def size(x, norm):
    """The norm of each matrix, by NumPy's singular values."""
    if norm == "max":
        return np.abs(x).max(axis=(-2, -1))
    return np.linalg.norm(x, {"spectral": 2, "frobenius": "fro"}[norm], axis=(-2, -1))


def exact_inverse(A):
    """The inverse in rational numbers, rounded once."""
    n = len(A)
    rows = [[Fraction(float(v)) for v in row] for row in A]
    rows = [row + [Fraction(i == j) for j in range(n)] for i, row in enumerate(rows)]
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in set(range(n)) - {k}:
            rows[i] = [v - rows[i][k] * w for v, w in zip(rows[i], rows[k])]
    return [row[n:] for row in rows]


def exact_error(A, X):
    """The largest entry of ``X - A^-1``, in rational arithmetic."""
    exact = exact_inverse(A)
    pairs = [pair for rows in zip(X, exact) for pair in zip(*rows)]
    return float(max(abs(Fraction(float(x)) - y) for x, y in pairs))


# Certificates


@NORMS
@KINDS
def test_certificates_bound_the_error(norm, kind):
    A = centre(5, kind, shape=(20,))
    exact = np.linalg.inv(A.astype(np.result_type(kind, "float64")))
    for disturbed in (1e-6, 1e-4, 1e-2):
        X = (exact * (1 + disturbed * random(A.shape, kind, 1))).astype(kind)
        found = certify(A, X, norm)
        error = size(X - exact, norm)
        assert found.proven.all() and found.norm == norm
        assert (error <= found.bound).all()
        if disturbed > 1e-3:
            assert (found.bound <= 100 * error).all()


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_certificates_count_rounding(kind):
    """Against rational arithmetic, where the error is all rounding."""
    for seed in range(5):
        A = centre(4, kind, seed) * 10.0 ** (seed - 2)
        X = np.linalg.inv(A).astype(kind)
        found = certify(A.astype(kind), X, "max")
        error = exact_error(A.astype(kind), X)
        assert 0 < error <= found.bound <= 1e3 * error


def test_a_wrong_inverse_is_not_certified():
    A = centre(3)
    singular = A.copy()
    singular[0] = singular[1]
    for matrix, X in (
        (A, np.zeros_like(A)),
        (A, -np.linalg.inv(A)),
        (A, np.full_like(A, np.nan)),
        (A, np.full_like(A, 1e308)),
        (singular, oracles.pinv(singular)),
    ):
        with np.errstate(all="ignore"):
            found = certify(matrix, X)
        assert not found.proven and found.bound == np.inf


def test_certificates_of_ill_conditioned_matrices():
    """Hilbert's matrix: proven as long as rounding leaves a digit."""
    proven = []
    for n in range(2, 16):
        H = 1 / (1.0 + np.arange(n)[:, None] + np.arange(n))
        X = np.linalg.inv(H)
        found = certify(H, X, "max")
        proven.append(bool(found.proven))
        if found.proven:
            assert exact_error(H, X) <= found.bound
    assert all(proven[:6]) and not any(proven[11:])


def test_certificates_of_badly_scaled_matrices():
    A = centre(3)
    for scale in (1e-120, 1e120):
        found = certify(A * scale, np.linalg.inv(A) / scale, "frobenius")
        assert found.proven and found.bound < 1e-12 / scale


# The series


@pytest.mark.parametrize("order", range(5))
@KINDS
def test_the_series(order, kind):
    near = LocalInverse(centre(4, kind), order)
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
    near = LocalInverse(centre(4), order)
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
    near = LocalInverse(centre(3))
    D = 0.05 * np.random.default_rng(0).uniform(-1, 1, (4000, 3, 3))
    errors = []
    for part in (1, 0.5, 0.25):
        A = near.A0 + part * D
        errors.append(np.abs(near.approximate(A) - np.linalg.inv(A)).mean())
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=0.02)


def test_the_linear_term_is_the_derivative():
    """Central differences of the exact inverse."""
    near, h = LocalInverse(centre(4)), 1e-5
    D = random((4, 4), seed=3)
    numeric = np.linalg.inv(near.A0 + h * D) - np.linalg.inv(near.A0 - h * D)
    term = near.approximate(near.A0 + D) - near.inverse
    np.testing.assert_allclose(term, numeric / (2 * h), rtol=1e-7, atol=1e-8)


def test_stacks_of_references():
    A0 = centre(3, shape=(2, 1))
    near = LocalInverse(A0, 2)
    A = A0 + 0.01 * random((2, 5, 3, 3), seed=4)
    found = near(A)
    assert found.success and found.bound.shape == (2, 5)
    for i, k in itertools.product(range(2), range(5)):
        alone = LocalInverse(A0[i, 0], 2).approximate(A[i, k])
        np.testing.assert_allclose(found.x[i, k], alone, atol=1e-14)


def test_calls_are_certified():
    near = LocalInverse(centre(3), 1)
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
    near = LocalInverse(centre(6, kind), order)
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


# Newton and Schulz


@KINDS
def test_newton_schulz(kind):
    A = centre(6, kind, shape=(4,))
    found = newton_schulz(A)
    exact = np.linalg.inv(A.astype(np.result_type(kind, "float64")))
    assert found.success and found.x.dtype == kind
    single = kind in ("float32", "complex64")
    np.testing.assert_allclose(found.x, exact, atol=1e-4 if single else 1e-12)
    assert (size(found.x - exact, "spectral") <= found.bound).all()


def test_newton_schulz_squares_the_residual():
    A = centre(5)
    X0 = np.linalg.inv(A) @ (np.eye(5) - 0.1 * random((5, 5)) / 5)
    R = np.eye(5) - A @ X0
    expected = [np.linalg.norm(np.linalg.matrix_power(R, 2**k)) for k in range(4)]
    history = newton_schulz(A, X0).history
    np.testing.assert_allclose(history[:4], expected, rtol=1e-6, atol=1e-14)


def test_one_step_of_newton_is_the_linear_approximation():
    near = LocalInverse(centre(4))
    A = near.A0 + 0.1 * random((4, 4), seed=1)
    with pytest.warns(ConvergenceWarning, match="at maxiter"):
        found = newton_schulz(A, near.inverse, maxiter=1)
    np.testing.assert_allclose(found.x, near.approximate(A), atol=1e-14)
    assert found.nit == 1 and not found.success


def test_newton_schulz_from_the_default_start_takes_what_it_says():
    for power in (1, 3, 6):
        values = np.geomspace(1, 10.0**-power, 8)
        Q = np.linalg.qr(random((8, 8)))[0]
        found = newton_schulz(Q * values @ Q.T)
        assert found.success
        assert found.nit <= 2 * np.log2(10.0**power) + 5 + np.log2(8)


def test_newton_schulz_tells_of_divergence():
    """It converges where the spectral radius is below 1, whatever the norm."""
    A = np.array([np.eye(3), 2 * np.eye(3)])
    with pytest.warns(ConvergenceWarning, match="1 of 2 items diverge"):
        found = newton_schulz(A, np.full((1, 3, 3), np.eye(3)) * 1.1)
    assert np.isfinite(found.bound).tolist() == [True, False]
    R = np.triu(np.full((3, 3), 40.0), 1)  # nilpotent: norm 69, spectral radius 0
    found = newton_schulz(np.eye(3), np.eye(3) - R)
    assert found.success and found.history[0] > 50


@pytest.mark.parametrize("A", [np.zeros((2, 2)), np.ones((3, 3)), np.diag([1.0, 0])])
def test_newton_schulz_of_singular_matrices(A):
    with pytest.warns(ConvergenceWarning):
        found = newton_schulz(A)
    assert not found.success and found.bound == np.inf


def test_newton_schulz_keeps_what_it_was_given():
    A, X0 = centre(3), np.eye(3) / 4
    before = A.copy(), X0.copy()
    found = newton_schulz(A, X0)
    assert found.x is not X0 and (A == before[0]).all() and (X0 == before[1]).all()
    loose = newton_schulz(A, rtol=1e-2)
    assert loose.nit < newton_schulz(A).nit and loose.history[-1] <= 1e-2


# The ReLU network


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("half_width", [0.1, None])
@pytest.mark.parametrize("hidden", [None, "paper"])
def test_the_network_is_the_linear_approximation(n, half_width, hidden):
    A0 = centre(n)
    units = 8 * n * n if hidden else (1 if half_width else 2) * n * n
    network = relu_realisation(A0, half_width, hidden=units if hidden else None)
    assert network.hidden == units and network.W1.shape == (units, n * n)
    D = 0.1 * np.random.default_rng(1).uniform(-1, 1, (50, n, n))
    if half_width is None:
        D *= 100
    X0 = np.linalg.inv(A0)
    close = 5e-13 * np.abs(D).max()
    np.testing.assert_allclose(network(A0 + D), X0 - X0 @ D @ X0, atol=close)
    flat = (A0 + D).reshape(50, -1)
    hidden = np.where(flat @ network.W1.T + network.b1 > 0, 1, 0)
    if half_width:
        assert hidden[:, : n * n].all()  # never off in the box


def test_the_network_with_a_box_is_another_map_outside():
    A0 = centre(2)
    network, near = relu_realisation(A0, 0.1), LocalInverse(A0)
    assert not np.allclose(network(A0 - 0.3), near.approximate(A0 - 0.3), atol=1e-3)


# The region


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_distances(n):
    A0 = centre(n, seed=n)
    region = FeasibleRegion(A0)
    assert region.exact
    assert region.distance() == pytest.approx(np.linalg.svd(A0)[1][-1])
    X = np.linalg.inv(A0)
    signs = [np.array(s) for s in itertools.product((-1, 1), repeat=n)]
    largest = max(s @ X @ t for s in signs for t in signs)
    assert region.distance("max") == pytest.approx(1 / largest)
    for norm in ("spectral", "frobenius", "max"):
        nearest = region.nearest_singular(norm)
        assert np.linalg.svd(nearest)[1][-1] < 1e-14 * np.linalg.norm(A0)
        far = size(nearest - A0, norm)
        assert far == pytest.approx(region.distance(norm))


@pytest.mark.parametrize("n", [2, 3])
def test_the_box_is_the_largest(n):
    """By the determinant at its corners, where it is extreme: it is multilinear."""
    A0 = centre(n, seed=2)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=n * n)))
    corners = corners.reshape(-1, n, n)

    def regular(width):
        signs = np.sign(np.linalg.det(A0 + width * corners))
        return (signs == signs[0]).all()

    box = FeasibleRegion(A0).box()
    assert regular(box * (1 - 1e-9)) and not regular(box * (1 + 1e-9))
    sufficient = 1 / (n * np.linalg.norm(np.linalg.inv(A0), 2))
    assert box >= sufficient


def test_a_box_with_a_margin():
    region = FeasibleRegion(centre(3))
    for margin in (0.1, 0.5):
        box = region.box(margin)
        D = box * np.sign(random((3000, 3, 3)))
        assert 0 < box < region.box()
        assert np.linalg.svd(region.A0 + D)[1][:, -1].min() >= margin
    assert region.box(1e3) == 0


@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_bounds_where_signs_are_too_many(kind):
    A0 = centre(24 if kind == "float64" else 3, kind)
    region = FeasibleRegion(A0)
    assert not region.exact
    nearest = region.nearest_singular("max")
    assert np.linalg.svd(nearest)[1][-1] < 1e-13 * np.linalg.norm(A0)
    assert 0 < region.distance("max") <= np.abs(nearest - A0).max() * (1 + 1e-12)
    assert region.distance("max") >= region.distance() / len(A0)


def test_membership():
    region = FeasibleRegion(centre(3))
    box = region.box()
    A = region.A0 + box * np.array([0.5, 0.99, 1.01])[:, None, None] * np.sign(
        random((3, 3))
    )
    assert region.contains(A).tolist() == [True, True, False]
    assert region.contains(A, 0.6 * box).tolist() == [True, False, False]
    D = random((100, 3, 3), seed=1)
    A = region.A0 + D * np.linspace(0, 2, 100)[:, None, None]
    proven = region.proves(A)
    assert proven.any() and not proven.all()
    radius = np.abs(np.linalg.eigvals(region.inverse @ (A - region.A0))).max(axis=-1)
    assert (radius[proven] < 1).all()
    assert not region.proves(region.nearest_singular())


def test_pictures():
    pytest.importorskip("matplotlib")
    from matplotlib.patches import Rectangle

    from convinv.local_inverse._picture import values

    region = FeasibleRegion(np.array([[2.0, 1.0], [1.0, 3.0]]))
    figure = region.picture(margin=0.3, size=21)
    ax = figure.axes[0]
    assert ax.get_xlabel() == "entry (0, 0)" and ax.get_ylabel() == "entry (1, 1)"
    (box,) = (p for p in ax.patches if isinstance(p, Rectangle))
    assert box.get_width() == pytest.approx(2 * region.box(0.3))
    axes = [np.array([0.5, 2.0]), np.array([2.0, 4.0, 5.0])]
    least, sign = values(region.A0, ((0, 0), (1, 1)), axes)
    np.testing.assert_array_equal(sign, [[0, 1], [1, 1], [1, 1]])  # 0.5 * 2 = 1
    assert least[0, 0] == pytest.approx(0, abs=1e-15)


# Arguments


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: certify(np.ones(3), np.ones(3)), ValueError, "A must have shape"),
        (lambda: certify(np.eye(2), np.eye(3)), ValueError, "X must be of 2 x 2"),
        (lambda: certify(np.eye(2), np.eye(2), "l1"), ValueError, "norm must be one"),
        (lambda: certify(np.array([["a"]]), np.eye(1)), TypeError, "A must"),
        (lambda: LocalInverse(np.eye(2), -1), ValueError, "order must not be neg"),
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
        (lambda: relu_realisation(1j * np.eye(2)), ValueError, "A0 must be one real"),
        (lambda: relu_realisation(np.eye(2), 0.0), ValueError, "half_width must"),
        (lambda: relu_realisation(np.eye(2), hidden=7), ValueError, "at least 8"),
        (lambda: relu_realisation(np.eye(2))(np.eye(3)), ValueError, "A must have"),
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
    A0 = centre(3)
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
