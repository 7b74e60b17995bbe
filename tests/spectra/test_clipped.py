"""Kernels with clipped singular values, measured by dense matrices."""

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv.spectra import clip_singular_values, orthogonalize
from support.arrays import doubles, random
from support.layers import layer, matrix
from support.torus_layers import NAMES, named


def values(op):
    return np.linalg.svd(matrix(op), compute_uv=False)


@pytest.mark.parametrize("name", NAMES)
@doubles
def test_layers_on_a_torus(name, dtype):
    op = named(name, dtype)
    before = values(op)
    hi = 0.6 * before[0]
    found = clip_singular_values(op, hi=hi)
    s = values(op.with_kernel(found.kernel))
    assert np.isclose(found.before, before[0]) and s[0] <= hi * (1 + 1e-12)
    np.testing.assert_allclose(found.largest, s[0])
    assert found.deviation <= 1e-12 * hi
    if name != "wider than the image":  # whose torus is larger
        np.testing.assert_allclose(found.smallest, s[-1], atol=1e-12 * hi)
        assert s[0] > 0.95 * hi
        # nearer than the layer that is divided as a whole
        distance = np.linalg.norm(found.kernel - op.kernel)
        assert distance <= np.linalg.norm(0.4 * op.kernel) * (1 + 1e-9)


OPTIONS = [
    {"padding": 1},
    {},
    {"padding": 1, "boundary": "reflect"},
    {"padding": 1, "stride": 2},
    {"padding": 2, "dilation": 2},
    {"padding": 1, "flip": True},
]


@pytest.mark.parametrize("options", OPTIONS)
@doubles
def test_other_layers(options, dtype):
    op = layer((3, 3, 3, 3), (3, 8, 8), dtype, **options)
    for either in (op, op.H):
        found = clip_singular_values(either, hi=1.0)
        s = values(op.with_kernel(found.kernel))
        assert np.isclose(found.before, values(op)[0], rtol=1e-5)
        assert s[0] <= 1 + 1e-12 and np.isclose(found.largest, s[0], rtol=1e-5)
    assert found.kernel.dtype == op.dtype and found.kernel.shape == op.kernel.shape


def test_layers_within_the_bounds_stay_as_they_are():
    op = named("tall")
    s = values(op)
    found = clip_singular_values(op, s[-1] / 2, s[0] * 2)
    assert found.steps == 0 and found.deviation == 0
    np.testing.assert_array_equal(found.kernel, op.kernel)


def test_a_lower_bound():
    op = named("square")
    s = values(op)
    assert s[-1] < 0.5
    found = clip_singular_values(op, 0.5, s[0], maxiter=200)
    t = values(op.with_kernel(found.kernel))
    assert np.isclose(max(0.5 - t[-1], 0), found.deviation, atol=1e-12)
    assert t[-1] > 0.45


@pytest.mark.parametrize("name", ["tall", "many, tall", "strides, dilation"])
@doubles
def test_orthogonal_columns(name, dtype):
    op = named(name, dtype)
    found = orthogonalize(op, 2.0, maxiter=300)
    moved = op.with_kernel(found.kernel)
    s = values(moved)
    assert np.isclose(found.deviation, np.abs(s - 2).max(), atol=1e-12)
    assert found.deviation < 0.5 * np.abs(values(op) * 2 / values(op)[0] - 2).max()


def test_one_tap_is_orthogonalized_at_once():
    op = ConvLinearOperator(random((5, 3, 1, 1), "float64"), (3, 6, 6))
    found = orthogonalize(op)
    W = found.kernel[..., 0, 0]
    assert found.steps == 1
    np.testing.assert_allclose(W.T @ W, np.eye(3), atol=1e-12)
    u, _, vh = np.linalg.svd(op.kernel[..., 0, 0], full_matrices=False)
    np.testing.assert_allclose(W, u @ vh, atol=1e-12)  # the polar factor


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_of_the_kernel(scale):
    op = named("tall")
    one = clip_singular_values(op, hi=2.0)
    found = clip_singular_values(op.with_kernel(op.kernel * scale), hi=2.0 * scale)
    np.testing.assert_allclose(found.kernel, one.kernel * scale, rtol=1e-9)


def test_single_precision():
    op = layer((3, 3, 3, 3), (3, 8, 8), "float32", padding=1)
    found = clip_singular_values(op)
    assert found.kernel.dtype == np.float32
    assert values(op.with_kernel(found.kernel))[0] <= 1 + 1e-5
    assert "deviation=" in repr(found)


def test_wrong_arguments():
    op = named("tall")
    with pytest.raises(ValueError, match="lo must not be above hi, got lo=2.0 and"):
        clip_singular_values(op, 2, 1)
    with pytest.raises(ValueError, match="gain must be finite and positive, got 0"):
        orthogonalize(op, 0)
    with pytest.raises(ValueError, match="maxiter must be at least 1, got 0"):
        orthogonalize(op, maxiter=0)
    with pytest.raises(TypeError, match="must be a ConvLinearOperator, got ndarray"):
        clip_singular_values(np.eye(3))
