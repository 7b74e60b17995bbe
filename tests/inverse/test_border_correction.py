"""Bordered circulants against dense inverses, on layers where bands are in use."""

import functools

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv._core.errors import Singular
from convinv._inverse.border_correction import BorderCorrectedCirculant, check_depth
from convinv._inverse.circulant import DEEP, decay, halo_of
from convinv._inverse.gram import Gram, Patch
from support.arrays import BOUNDARIES, random
from support.layers import layer, normal_matrix

# name: (kernel shape, input shape, side, depths, options); deep enough for the frames
# of the borders, shallow enough for every axis to have an interior
LAYERS = {
    "2-D": ((4, 1, 3, 3), (1, 24, 23), "input", (4, 6), {}),
    "wide": ((1, 2, 3, 3), (2, 24, 23), "output", (4, 6), {}),
    "stride": ((6, 1, 3, 3), (1, 36, 20), "input", (4, 5), {"stride": (2, 1)}),
    "channels": ((5, 2, 2, 2), (2, 17, 16), "input", (3, 4), {}),
    "groups": ((4, 1, 2, 3), (2, 18, 20), "input", (4, 5), {"groups": 2}),
    "two of three": ((1, 2, 2, 2, 2), (2, 14, 3, 15), "output", (2, 3), {}),
    "3-D": ((1, 2, 2, 2, 2), (2, 11, 11, 12), "output", (2,), {}),
}
layers = pytest.mark.parametrize("name", LAYERS)


@functools.cache
def problem(name, dtype="float64", damp=0.5):
    shape, input_shape, side, _, options = LAYERS[name]
    op = layer(shape, input_shape, dtype, **options)
    gram = Gram(op, side)
    return gram, normal_matrix(gram, op, damp)


def columns(gram, apply, batch=256):
    """The matrix of a function of arrays (B, groups, channels, *grid)."""
    n = gram.groups * gram.channels * int(np.prod(gram.grid))
    eye = np.eye(n, dtype=gram.dtype).reshape(n, gram.groups, gram.channels, *gram.grid)
    parts = [apply(eye[i : i + batch]) for i in range(0, n, batch)]
    return np.concatenate(parts).reshape(n, n).T


@functools.cache
def assembled(name, depth, dtype="float64", damp=0.5):
    gram, N = problem(name, dtype, damp)
    tori = BorderCorrectedCirculant(gram, damp=damp, depth=depth)
    return tori, columns(gram, tori.apply)


def energy_norm(error, N):
    """The norm of a matrix with respect to ``x^H N x``."""
    root = np.linalg.cholesky(N).conj().T
    return np.linalg.norm(root @ error @ np.linalg.inv(root), 2)


def contraction(name, depth, dtype="float64"):
    _, N = problem(name, dtype)
    _, M = assembled(name, depth, dtype)
    return energy_norm(np.eye(len(N)) - M @ N, N)


@layers
def test_bands_are_in_use(name):
    for depth in LAYERS[name][3]:
        tori = assembled(name, depth)[0]
        assert tori.exact is None and len(tori.faces) == (6 if name == "3-D" else 4)
        assert all(band == 1 or band >= depth for band in tori.depth)
        solvers = [face.solver for face in tori.faces]
        if name == "3-D":
            assert all(len(s.faces) == 4 for s in solvers)
        # bands may have corners in common
        assert sum(s.nbytes for s in solvers) + tori.torus.nbytes >= tori.nbytes
        assert tori.nbytes > max(s.nbytes for s in solvers) > 0


@layers
def test_deeper_bands_contract_more(name):
    rates = [contraction(name, depth) for depth in LAYERS[name][3]]
    assert all(np.diff(rates) < 0) and rates[0] < 0.8


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float64") for name in LAYERS), ("2-D", "complex128")],
)
def test_the_symmetric_form(name, dtype):
    """Hermitian, positive definite, and no worse than twice the plain one."""
    gram, N = problem(name, dtype)
    tori, _ = assembled(name, LAYERS[name][3][0], dtype)
    v = random((1, gram.groups, gram.channels, *gram.grid), dtype, 2)
    before = v.copy()
    tori.symmetric(v)
    np.testing.assert_array_equal(v, before)
    S = columns(gram, tori.symmetric)
    assert np.linalg.norm(S - S.conj().T) <= 1e-12 * np.linalg.norm(S)
    S = (S + S.conj().T) / 2
    assert np.linalg.eigvalsh(S)[0] > 0
    factor = np.linalg.cholesky(S)
    values = np.linalg.eigvalsh(factor.conj().T @ N @ factor)
    assert np.max(np.abs(values - 1)) <= contraction(name, LAYERS[name][3][0], dtype)


@pytest.mark.parametrize("boundary", sorted(set(BOUNDARIES) - {"periodic"}))
@pytest.mark.parametrize("side", ["input", "output"])
def test_boundaries(boundary, side):
    """Padding changes N in the frame only, which the bands take."""
    shape = {"input": (4, 1, 3, 3), "output": (1, 3, 3, 3)}[side]
    op = layer(shape, (shape[1], 27, 28), padding=1, boundary=boundary)
    gram = Gram(op, side)
    N, rates = normal_matrix(gram, op, 0.5), []
    for depth in (5, 6):
        tori = BorderCorrectedCirculant(gram, damp=0.5, depth=depth)
        assert len(tori.faces) == 4
        M = columns(gram, tori.apply)
        rates.append(energy_norm(np.eye(len(N)) - M @ N, N))
    assert rates[1] < rates[0] < 0.5


def test_short_axes_are_factored():
    gram, N = problem("2-D")
    tori = BorderCorrectedCirculant(gram, damp=0.5, depth=12)
    assert tori.exact is not None and not tori.faces
    np.testing.assert_allclose(columns(gram, tori.apply) @ N, np.eye(len(N)), atol=1e-9)
    assert tori.nbytes == tori.exact.nbytes


def test_without_bands():
    """The circulant alone: right inside, and Hermitian positive definite."""
    gram, N = problem("2-D")
    tori = BorderCorrectedCirculant(gram, damp=0.5, bands=False)
    M = columns(gram, tori.apply)
    assert tori.depth == (0, 0, 0) and not tori.faces
    np.testing.assert_allclose(M, M.T, atol=1e-13)
    assert np.linalg.eigvalsh(M)[0] > 0
    error = np.abs(np.eye(len(N)) - M @ N).reshape(*gram.grid, *gram.grid)
    middle = error[0, 13, 11]
    assert middle.max() <= 1e-2 < 0.1 < error.max()


def test_single_precision():
    gram, N = problem("2-D")
    v = random((2, 1, 1, *gram.grid), "float32", 3)
    single = BorderCorrectedCirculant(gram, damp=0.5, depth=5, dtype="float32").apply(v)
    double = BorderCorrectedCirculant(gram, damp=0.5, depth=5).apply(v.astype(float))
    assert single.dtype == "float32"
    np.testing.assert_allclose(single, double, atol=1e-5 * np.abs(double).max())


def test_singular_interiors():
    kernel = np.array([1.0, -2.0, 1.0])
    op = layer((1, 1, 3, 3), (1, 30, 31))
    op = type(op)(np.multiply.outer(kernel, kernel)[None, None], (1, 30, 31), padding=1)
    gram = Gram(op, "input")
    with pytest.raises(Singular, match="singular at a frequency"):
        BorderCorrectedCirculant(gram, depth=5)
    assert BorderCorrectedCirculant(gram, depth=5, damp=0.1).faces


@pytest.mark.parametrize("bad", [0, -3, 2.0, "8", True])
def test_depths_are_checked(bad):
    with pytest.raises((TypeError, ValueError), match="depth must be"):
        check_depth(bad)
    assert check_depth(None) is None and check_depth(np.int64(3)) == 3


def test_tiles_reach_further_than_bands_may():
    """A halo beyond the deepest band is no reason to transform all of the image."""
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0, 1, 1] = 1
    kernel[0, 0, [0, 1, 1, 2], [1, 0, 2, 1]] = -0.245
    gram = Gram(ConvLinearOperator(kernel, (1, 700, 700), padding=1), "input")
    assert decay(gram, 0.0)[1] <= DEEP < halo_of(gram, 0.0)[1]
    tori = BorderCorrectedCirculant(gram)
    assert tori.torus.tiles and max(tori.torus.torus) < 700
    x = random((1, 1, 1, 1, 700, 700))
    N = Patch(gram, [(0, 1), (0, 700), (0, 700)], np, "float64")
    got = tori.apply(N.apply(x))
    assert np.linalg.norm(got - x) <= 1e-4 * np.linalg.norm(x)


def test_decay_of_singular_symbols():
    gram = Gram(ConvLinearOperator(np.array([[[1.0, -2, 1]]]), (1, 50)), "output")
    assert decay(gram, 0.0) == [None] * 3 and halo_of(gram, 0.0) is None
    for damp in np.linspace(0.1, 1, 30):
        assert None not in decay(gram, damp)
    assert len(gram.looks) <= 4
