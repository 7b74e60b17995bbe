"""Both ends of the singular values of large layers, and bounds of their norm."""

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator
from convinv.operators._norm_bound import norm_bound
from convinv.precondition import Schwarz
from convinv.spectra import spectrum
from convinv.spectra._smallest import has_full_rank
from support.arrays import BOUNDARIES, doubles, random
from support.layers import matrix

LARGE = {  # kernel or its shape, input shape, options
    "square": ((3, 3, 3, 3), (3, 15, 15), {"padding": 1}),
    "tall": ((5, 2, 3, 3), (2, 15, 16), {}),
    "wide": ((2, 5, 3, 3), (5, 13, 12), {}),
    "stride": ((9, 2, 3, 3), (2, 19, 18), {"stride": 2, "padding": 1}),
    "groups": (
        (4, 1, 3, 3),
        (2, 14, 14),
        {"groups": 2, "boundary": "reflect", "padding": 1},
    ),
    "periodic, no torus": (
        (2, 2, 3, 3),
        (2, 15, 15),
        {"stride": 2, "padding": 1, "boundary": "periodic"},
    ),
    "three axes": ((12, 1, 2, 3, 2), (1, 7, 8, 7), {"dilation": (2, 1, 1)}),
    "Laplacian": ([[0, 1, 0], [1, -4, 1], [0, 1, 0]], (1, 18, 17), {"padding": 1}),
    "box": (np.ones((3, 3)) / 9, (1, 19, 19), {"padding": 1}),
}


def large(name, dtype):
    kernel, shape, options = LARGE[name]
    if isinstance(kernel, tuple):
        return ConvLinearOperator(random(kernel, dtype), shape, **options)
    return ConvLinearOperator(np.array(kernel, dtype)[None, None], shape, **options)


@doubles
@pytest.mark.parametrize("name", LARGE)
def test_both_ends_of_large_layers(name, dtype, monkeypatch):
    """To a hundredth, with and without a factor of the whole."""
    monkeypatch.setattr("convinv.spectra._spectrum.DENSE_SIDE", 10)
    op = large(name, dtype)
    s = np.linalg.svd(matrix(op), compute_uv=False)
    for patience in (1e12, 0.0):
        monkeypatch.setattr("convinv.spectra._smallest.PATIENCE", patience)
        for part in (op, op.H):
            found = spectrum(part, rng=1)
            assert not found.exact
            assert 0.99 * s[0] <= found.largest.value <= s[0] * (1 + 1e-12)
            assert s[-1] * (1 - 1e-9) <= found.smallest.value <= 1.01 * s[-1]
            assert found.smallest.error <= 0.01 * s[-1]
            assert s[0] <= found.norm_bound


@pytest.mark.parametrize("boundary", ["reflect", "replicate", "symmetric"])
def test_large_singular_layers(boundary, monkeypatch):
    """Their smallest is a zero to rounding, and the report says so."""
    monkeypatch.setattr("convinv.spectra._spectrum.DENSE_SIDE", 10)
    kernel = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    op = ConvLinearOperator(kernel, (1, 20, 21), padding=1, boundary=boundary)
    report = convinv.layer_report(op)
    assert report.spectrum.smallest.value <= report.spectrum.tolerance
    assert report.verdict == "rank-deficient to working precision"
    s = np.linalg.svd(matrix(op), compute_uv=False)
    assert s[0] <= report.spectrum.norm_bound <= 2.01 * s[0]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_norm_bounds(boundary, seed):
    rng = np.random.default_rng(seed)
    for _ in range(5):
        ndim = int(rng.integers(1, 3))
        groups, taps = int(rng.integers(1, 3)), rng.integers(1, 5, ndim)
        kernel = rng.standard_normal((2 * groups, 2, *taps))
        kernel *= rng.random(kernel.shape) < 0.6
        op = ConvLinearOperator(
            kernel,
            (2 * groups, *rng.integers(9, 13, ndim)),
            stride=int(rng.integers(1, 3)),
            dilation=int(rng.integers(1, 3)),
            padding=[tuple(map(int, rng.integers(0, 4, 2))) for _ in range(ndim)],
            groups=groups,
            boundary=boundary,
        )
        bound = norm_bound(op)
        truth = np.linalg.norm(matrix(op), 2)
        assert truth <= bound
        if boundary == "zero":
            assert bound <= 2 * truth + 1e-300


def test_a_norm_larger_than_that_of_the_torus():
    op = ConvLinearOperator([[[3.0, 0, 0]]], (1, 30), padding=1, boundary="replicate")
    assert np.isclose(norm_bound(op), np.sqrt(18))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("boundary", "size", "full"),
    [
        ("zero", (40, 41), True),
        ("zero", (100, 100), True),
        ("reflect", (40, 41), False),
        ("symmetric", (50, 50), False),
    ],
)
def test_full_rank_with_a_shifted_inverse(boundary, size, full, dtype):
    """What decides whether a preconditioner leaves the least norm alone."""
    kernel = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    op = ConvLinearOperator(
        kernel, (1, *size), padding=1, boundary=boundary, dtype=dtype
    )
    M = Schwarz(op, shifted=True)
    assert has_full_rank(op, M.gram_inverse) == full
