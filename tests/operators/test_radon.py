"""The Radon transform: its matrix, its adjoint, its singular system."""

import pickle

import numpy as np
import pytest
from scipy import integrate
from scipy.sparse.linalg import LinearOperator, svds

from convinv import solve
from convinv.kernels.radon import FLAT
from convinv.operators import Radon, _radon_system

OBLIQUE = [0.1, 0.7, np.pi / 4, 1.2, 2.0, 2.9, -0.4, 4.0]


def chord(angle, offset, x, y, h):
    """Length of the line ``X cos + Y sin = offset`` in the square around (x, y)."""
    c, s = np.cos(angle), np.sin(angle)
    low, high = -np.inf, np.inf
    for foot, along, middle in ((offset * c, -s, x), (offset * s, c, y)):
        ends = sorted((middle + side * h / 2 - foot) / along for side in (-1, 1))
        low, high = max(low, ends[0]), min(high, ends[1])
    return max(high - low, 0)


def dense(op):
    return op.matmat(np.eye(op.shape[1]))


SIZES = [(6, 6), (5, 5), (6, 3), (5, 17), (1, 2), (19, 20), (18, 8)]


@pytest.mark.parametrize(("size", "detectors"), SIZES)
def test_matrix(size, detectors):
    """Lengths of lines in pixels, by clipping."""
    op = Radon(size, angles=OBLIQUE, detectors=detectors)
    t = (np.arange(size) + 0.5) * 2 / size - 1
    offsets = (np.arange(detectors) + 0.5) * 2 / detectors - 1
    expected = np.zeros((len(OBLIQUE), detectors, size, size))
    for k, angle in enumerate(OBLIQUE):
        for d, offset in enumerate(offsets):
            for i in range(size):
                for j in range(size):
                    if t[i] ** 2 + t[j] ** 2 <= 1:
                        length = chord(angle, offset, t[j], -t[i], 2 / size)
                        expected[k, d, i, j] = length
    np.testing.assert_allclose(dense(op), expected.reshape(op.shape), atol=1e-13)
    np.testing.assert_allclose(
        op.rmatmat(np.eye(op.shape[0])), expected.reshape(op.shape).T, atol=1e-13
    )


def test_lines_along_edges_are_shared():
    """Detectors over the edges of pixels see half of either column."""
    op = Radon(8, angles=[0, np.pi / 2, np.pi], detectors=4)
    x = np.random.default_rng(0).standard_normal((8, 8)) * op.mask
    y, h = op.forward(x), 0.25
    pairs = x.sum(axis=0).reshape(4, 2).sum(axis=1) * h / 2
    np.testing.assert_allclose(y[0], pairs, atol=1e-13)
    np.testing.assert_allclose(y[2], pairs[::-1], atol=1e-13)
    rows = x[::-1].sum(axis=1).reshape(4, 2).sum(axis=1) * h / 2
    np.testing.assert_allclose(y[1], rows, atol=1e-13)
    assert FLAT < np.tan(0.1)  # the angles of test_matrix are not touched by it


@pytest.mark.parametrize("size", [1, 2, 7, 16, 33, 64])
@pytest.mark.parametrize("detectors", [1, 5, 16, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_adjoint(size, detectors, dtype):
    rng = np.random.default_rng(size)
    real = np.float32 if dtype == np.complex64 else dtype
    op = Radon(size, angles=13, detectors=detectors, dtype=real)
    x, y = rng.standard_normal((2, size, size)), rng.standard_normal((2, 13, detectors))
    if np.dtype(dtype).kind == "c":
        x, y = x + 1j * x[::-1, ::-1], y - 1j * y[:, ::-1]
    x, y = x.astype(dtype), y.astype(dtype)
    forward, backward = op.forward(x), op.adjoint(y)
    assert forward.dtype == backward.dtype == dtype
    scale = np.linalg.norm(forward) * np.linalg.norm(y)
    gap = np.vdot(y, forward) - np.vdot(backward, x)
    assert abs(gap) <= 20 * np.finfo(dtype).eps * scale
    assert not np.any(backward[:, ~op.mask]) and np.any(backward[:, op.mask])


def test_data_of_a_disk():
    """2 sqrt(r^2 - (s - c.w)^2), to the accuracy of pixels."""
    errors = []
    for size in (64, 256):
        op = Radon(size, angles=40)
        t = (np.arange(size) + 0.5) * 2 / size - 1
        x, y = t, -t[:, None]
        image = ((x - 0.3) ** 2 + (y - 0.2) ** 2 <= 0.4**2).astype(float)
        shift = 0.3 * np.cos(op.angles) + 0.2 * np.sin(op.angles)
        root = 0.4**2 - (op.offsets - shift[:, None]) ** 2
        errors.append(abs(op.forward(image) - 2 * np.sqrt(np.maximum(root, 0))).mean())
    assert errors[1] < errors[0] / 3 and errors[1] < 2e-3


def smooth(size):
    """Bumps that vanish before the rim."""
    t = (np.arange(size) + 0.5) * 2 / size - 1
    x, y = t, -t[:, None]
    bumps = ((1.0, 0.3, 0.2, 0.02), (-0.5, -0.3, 0.1, 0.04), (0.7, 0.1, -0.4, 0.03))
    return sum(
        a * np.exp(-((x - p) ** 2 + (y - q) ** 2) / (2 * v)) for a, p, q, v in bumps
    ) * np.clip(1 - (x**2 + y**2) / 0.8, 0, None)


def test_agrees_with_skimage():
    """With odd sizes, for which both turn images about the same point."""
    radon = pytest.importorskip("skimage.transform").radon
    image = smooth(129)
    angles = np.arange(0, 180, 7.0)
    expected = radon(image, angles, circle=True).T * 2 / 129
    found = Radon(129, angles=np.deg2rad(angles)).forward(image)
    assert np.linalg.norm(found - expected) < 5e-3 * np.linalg.norm(expected)
    turned = Radon(129, angles=-np.deg2rad(angles)).forward(image)  # could be told
    assert np.linalg.norm(turned - expected) > 0.1 * np.linalg.norm(expected)


# The singular system


ORDERS = [(0, 0), (1, -1), (3, 1), (4, -2), (8, 8), (12, 0)]


@pytest.mark.parametrize(("m", "order"), ORDERS)
def test_the_transform_of_a_singular_function(m, order):
    value = 2 * np.sqrt(np.pi / (m + 1))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    for angle in (0.3, 2.2):
        for s in (-0.8, 0.1, 0.6):
            t = np.sqrt(1 - s**2) * nodes
            x = s * np.cos(angle) - t * np.sin(angle)
            y = s * np.sin(angle) + t * np.cos(angle)
            u = _radon_system.image(m, order, np.hypot(x, y), np.arctan2(y, x))
            found = np.sqrt(1 - s**2) * weights @ u
            assert found == pytest.approx(
                value * _radon_system.data(m, order, angle, np.float64(s)), abs=1e-12
            )


def test_singular_functions_are_orthonormal():
    pairs = _radon_system.orders(15)
    nodes, weights = np.polynomial.legendre.leggauss(30)
    turn = np.arange(24) * 2 * np.pi / 24
    rho = (nodes[:, None] + 1) / 2
    u = np.array([_radon_system.image(m, n, rho, turn) for m, n in pairs])
    area = weights[:, None] / 2 * rho * 2 * np.pi / 24
    gram = np.einsum("aij,bij,ij->ab", u, u, np.broadcast_to(area, u.shape[1:]))
    np.testing.assert_allclose(gram, np.eye(15), atol=1e-12)
    # in s, Chebyshev's rule: nodes cos(a), the weight 1 / sqrt(1 - s^2) goes into da
    around = (np.arange(40) + 0.5) * np.pi / 40
    v = np.array(
        [_radon_system.data(m, n, turn[:, None], np.cos(around)) for m, n in pairs]
    )
    gram = np.einsum("aij,bij->ab", v, v) * (np.pi / 40) * (2 * np.pi / 24)
    np.testing.assert_allclose(gram, np.eye(15), atol=1e-12)


def test_singular_values_of_the_discretization():
    """The first 45 at 128 x 128 are within 1 % of the transform's."""
    op = Radon(128)
    start = np.random.default_rng(0).standard_normal(min(op.shape))
    options = {"return_singular_vectors": False, "tol": 1e-5, "v0": start}
    found = np.sort(svds(op.weighted(), 45, **options))[::-1]
    expected = [2 * np.sqrt(np.pi / (m + 1)) for m in range(9) for _ in range(m + 1)]
    np.testing.assert_allclose(op.singular_values(45), expected, rtol=1e-15)
    np.testing.assert_allclose(found, expected, rtol=0.01)
    plain = np.linalg.norm(op.forward(op.mask.astype(float)))
    plain /= np.linalg.norm(op.mask)
    assert abs(plain / expected[0] - 1) > 0.1  # without weights they are others


def test_sampled_singular_system():
    op = Radon(64, angles=90)
    system = op.singular_system(28)
    np.testing.assert_array_equal(system.orders[:4], [[0, 0], [1, -1], [1, 1], [2, -2]])
    roots = np.sqrt(op.image_weights), np.sqrt(op.data_weights)
    for functions, root in zip((system.images, system.data), roots):
        flat = (functions * root).reshape(28, -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(28), atol=0.04)
    found = op.weighted().forward(system.images * roots[0])
    expected = system.values[:, None, None] * system.data * roots[1]
    errors = np.linalg.norm(found - expected, axis=(1, 2)) / system.values
    assert errors.max() < 0.15 and errors[:6].max() < 0.06
    # the transform's own adjoint, but for lines that see pixels unevenly
    back = op.weighted().adjoint(system.data * roots[1]) / roots[0]
    t = (np.arange(64) + 0.5) / 32 - 1
    inner = np.hypot(t[:, None], t) < 0.8
    expected = system.values[:, None, None] * system.images
    errors = [np.linalg.norm((g - u)[inner]) for g, u in zip(back, expected)]
    sizes = [np.linalg.norm(u[inner]) for u in expected]
    assert np.divide(errors, sizes).max() < 0.1


def test_orders_that_are_chosen():
    op = Radon(16, angles=8)
    chosen = op.singular_system([(4, 2), (1, -1)])
    np.testing.assert_allclose(chosen.values, 2 * np.sqrt(np.pi / np.array([5, 2])))
    every = op.singular_system(15)
    which = every.orders.tolist().index([4, 2])
    np.testing.assert_array_equal(chosen.images[0], every.images[which])
    assert op.singular_values(0).shape == (0,) and len(op.orders(49)) == 49
    assert len({tuple(pair) for pair in op.orders(49)}) == 49


def test_weights():
    """Angles in any order and on the whole circle stand for as much of it."""
    plain = Radon(16, angles=12)
    area = 2 * np.pi * np.pi  # of the weight over all data
    assert plain.data_weights.sum() == pytest.approx(area, rel=0.15)
    assert Radon(16, detectors=4000).data_weights.sum() == pytest.approx(area, rel=0.02)
    assert (plain.image_weights * plain.mask).sum() == pytest.approx(np.pi, rel=0.05)
    order = np.random.default_rng(0).permutation(12)
    turned = plain.angles[order] + np.pi * np.array([0, 1, -1, 2] * 3)
    other = Radon(16, angles=turned)
    np.testing.assert_allclose(other.data_weights, plain.data_weights[order])
    uneven = Radon(16, angles=[0.0, 0.1, 1.0])
    spans = uneven.data_weights[:, 0] / plain.data_weights[0, 0] * 2 * np.pi / 12
    np.testing.assert_allclose(spans, [np.pi - 0.9, 1.0, np.pi - 0.1], rtol=1e-12)
    whole = Radon(16, angles=np.arange(24) * 2 * np.pi / 24)
    values = [
        np.linalg.svd(dense(op.weighted()), compute_uv=False)[:20]
        for op in (plain, other, whole)
    ]
    np.testing.assert_allclose(values[1], values[0], rtol=1e-10)
    np.testing.assert_allclose(values[2], values[0], rtol=1e-10)


def test_weighted_operator():
    """Between the square roots of the weights, with the exact adjoint."""
    op = Radon(9, angles=[0.1, 0.9, 2.0], detectors=6)
    rows = np.sqrt(op.data_weights).ravel()[:, None]
    expected = rows * dense(op) / np.sqrt(op.image_weights).ravel()
    np.testing.assert_allclose(dense(op.weighted()), expected, atol=1e-13)
    back = op.weighted().rmatmat(np.eye(18))
    np.testing.assert_allclose(back, expected.T, atol=1e-13)
    single = Radon(9, angles=3, dtype=np.float32).weighted()
    assert single.forward(np.ones((9, 9), np.float32)).dtype == np.float32


def test_the_range_is_even():
    """Opposite angles have the same data, the other way round."""
    op = Radon(96, angles=np.arange(80) * 2 * np.pi / 80)
    image = np.random.default_rng(0).standard_normal((96, 96))
    y = op.forward(image)
    np.testing.assert_allclose(y[40:], y[:40, ::-1], atol=1e-12)


# As a linear operator


def test_products():
    op = Radon(9, angles=7, detectors=11)
    assert isinstance(op, LinearOperator) and op.shape == (77, 81)
    assert op.dtype == np.float64 and op.output_shape == (7, 11)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, 2, 9, 9))
    kept = X.copy()
    Y = op.forward(X)
    np.testing.assert_array_equal(X, kept)
    assert Y.shape == (3, 2, 7, 11)
    A = dense(op)
    np.testing.assert_allclose(Y.reshape(6, -1), X.reshape(6, -1) @ A.T, atol=1e-13)
    np.testing.assert_allclose(op.T @ Y[0, 0].ravel(), A.T @ Y[0, 0].ravel())
    np.testing.assert_array_equal(op.forward(X[0, 0]), Y[0, 0])
    strided = rng.standard_normal((9, 18))[:, ::2]
    np.testing.assert_array_equal(op.forward(strided), op.forward(strided.copy()))
    assert op.forward(np.ones((9, 9), np.int8)).dtype == np.float64
    assert op.forward(np.zeros((0, 9, 9))).shape == (0, 7, 11)
    again = pickle.loads(pickle.dumps(op))
    np.testing.assert_array_equal(again.forward(X), Y)


def test_large_batches_run_on_threads_alike():
    op = Radon(48, angles=60)
    X = np.random.default_rng(0).standard_normal((5, 48, 48))
    Y = op.forward(X)
    for x, y, back in zip(X, Y, op.adjoint(Y)):
        np.testing.assert_array_equal(op.forward(x), y)
        np.testing.assert_array_equal(op.adjoint(y), back)


def test_solve():
    op = Radon(24, angles=40, detectors=36)
    x = smooth(24)
    found = solve(op, op.forward(x), "lsqr", rtol=1e-8)
    assert found.success and found.x.shape == (24, 24)
    np.testing.assert_allclose(found.x * op.mask, x * op.mask, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"size": 0}, ValueError, "size must be at least 1, got 0"),
        ({"size": 8.0}, TypeError, "size must be an integer"),
        ({"angles": 0}, ValueError, "angles must be at least 1"),
        ({"angles": [[0.1]]}, ValueError, r"angles must be .* shape \(1, 1\)"),
        ({"angles": []}, ValueError, "angles must be"),
        ({"angles": [0, np.inf]}, ValueError, "angles must be"),
        ({"detectors": -1}, ValueError, "detectors must be at least 1, got -1"),
        ({"dtype": complex}, TypeError, "dtype must be float32 or float64"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        Radon(**{"size": 8, **arguments})


def test_bad_orders_and_arrays():
    op = Radon(8, angles=4)
    for orders in ([(2, 1)], [(1, 3)], [(1, -3)]):
        with pytest.raises(ValueError, match="orders must have"):
            op.singular_system(orders)
    for orders in ([1, 2], [(1.0, 1.0)]):
        with pytest.raises(ValueError, match="orders must be a number or"):
            op.singular_system(orders)
    with pytest.raises(ValueError, match="count must be at least 0"):
        op.orders(-1)
    with pytest.raises(ValueError, match="X must have shape"):
        op.forward(np.ones((7, 8)))
    with pytest.raises(TypeError, match="numeric|boolean"):
        op.forward(np.full((8, 8), None))


def test_norm_by_quadrature():
    """The largest singular value is 2 sqrt(pi): that of the disk itself."""
    square = integrate.quad(lambda s: 4 * np.sqrt(1 - s**2), -1, 1)[0] * 2 * np.pi
    assert np.sqrt(square / np.pi) == pytest.approx(_radon_system.value(0))
