"""Bounds of the largest singular value against dense matrices."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator
from convinv.spectra import _leading, norm_bounds
from convinv.spectra._leading import leading_by_frequency, leading_triplet
from support.arrays import BOUNDARIES, doubles, normal
from support.layers import layer, matrix
from support.torus_layers import NAMES, named


def any_layer(seed):
    """A layer of two axes with random options; square images of 5 to 9 pixels."""
    rng = np.random.default_rng(seed)
    groups, taps, dilation = (int(n) for n in rng.integers(1, (3, 4, 3)))
    reach = dilation * (taps - 1)
    size = int(rng.integers(max(5, reach + 1), 10))
    kernel = normal(
        rng,
        (groups * rng.integers(1, 4), rng.integers(1, 4), taps, taps),
        rng.choice(["float64", "complex128"]),
    )
    return ConvLinearOperator(
        kernel,
        (groups * kernel.shape[1], size, size),
        stride=int(rng.integers(1, 3)),
        padding=int(rng.integers(0, reach + 1)),
        dilation=dilation,
        groups=groups,
        boundary=rng.choice(BOUNDARIES),
    )


@pytest.mark.parametrize("part", range(4))
def test_200_layers(part, monkeypatch):
    monkeypatch.setattr(_leading, "DENSE", 0)
    far = []
    for seed in range(50 * part, 50 * part + 50):
        op = any_layer(seed)
        truth = np.linalg.norm(matrix(op), 2)
        lower, upper = norm_bounds(op)
        assert lower <= truth * (1 + 1e-12) and truth <= upper * (1 + 1e-12), op
        assert lower >= truth * (1 - 1e-5), op
        far.append(upper / truth)
    assert np.median(far) < 1.2


MODES = {"symmetric": "symmetric", "reflect": "reflect", "replicate": "edge"}


@pytest.mark.parametrize("boundary", ["zero", *MODES])
@pytest.mark.parametrize("pad", [1, 2])
def test_how_far_the_upper_bound_is_away(boundary, pad):
    """A few percent, times the root of how often padding copies a sample."""
    taps = 2 * pad + 1
    op = layer((3, 2, taps, taps), (2, 20, 20), padding=pad, boundary=boundary)
    copies = 1
    if boundary != "zero":
        copies = np.bincount(np.pad(np.arange(20), pad, MODES[boundary])).max() ** 2
    truth = np.linalg.norm(matrix(op), 2)
    lower, upper = norm_bounds(op)
    assert truth * (1 - 1e-5) <= lower <= truth * (1 + 1e-12)
    assert truth <= upper <= 1.05 * np.sqrt(copies) * truth


@pytest.mark.parametrize("name", NAMES)
@doubles
def test_exact_values(name, dtype):
    op = named(name, dtype)
    truth = np.linalg.norm(matrix(op), 2)
    for either in (op, op.H):
        np.testing.assert_allclose(norm_bounds(either), truth, rtol=1e-12)
        assert norm_bounds(either)[0] <= truth <= norm_bounds(either)[1]


@pytest.mark.parametrize("name", NAMES)
@doubles
def test_the_gradient_by_frequency(name, dtype):
    """The derivative along any direction is no larger than the value's own growth."""
    op = named(name, dtype)
    value, gradient = leading_by_frequency(op)
    s = np.linalg.svd(matrix(op), compute_uv=False)
    assert np.isclose(value, s[0], rtol=1e-12)
    # homogeneous of degree 1, and convex: above its tangent plane
    assert np.isclose(np.vdot(gradient, op.weights).real, value)
    rng = np.random.default_rng(1)
    for _ in range(5):
        step = normal(rng, op.kernel.shape, dtype)
        moved = op.with_kernel(op.kernel + step)
        least = value + np.vdot(gradient, step_of(op, step)).real
        assert np.linalg.norm(matrix(moved), 2) >= least - 1e-10 * value


def step_of(op, step):
    """A change of the kernel as one of the weights."""
    return op.with_kernel(step).weights


OPTIONS = [{}, {"padding": 1}, {"stride": 2}, {"padding": 1, "boundary": "reflect"}]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("c_out", [5, 2])
@doubles
def test_triplets(options, c_out, dtype):
    op = layer((c_out, 3, 3, 3), (3, 9, 8), dtype, **options)
    for either in (op, op.H):
        A = matrix(either)
        s = np.linalg.svd(A, compute_uv=False)
        found = leading_triplet(either, rtol=1e-11)
        assert found.converged and np.isclose(found.value, s[0], rtol=1e-12)
        u, v = found.u.ravel(), found.v.ravel()
        assert found.u.shape == either.output_shape
        assert np.isclose(np.linalg.norm(u), 1) and np.isclose(np.linalg.norm(v), 1)
        np.testing.assert_allclose(A @ v, found.value * u, atol=1e-9 * s[0])
        np.testing.assert_allclose(A.conj().T @ u, found.value * v, atol=1e-9 * s[0])
        again = leading_triplet(either, rtol=1e-6, start=found.v)
        assert np.isclose(again.value, s[0], rtol=1e-12)


def test_many_equal_values():
    op = ConvLinearOperator(np.full((1, 1, 1, 1), -3.0), (1, 7, 7), padding=1)
    found = leading_triplet(op)
    assert found.converged and np.isclose(found.value, 3)
    assert leading_triplet(op.with_kernel(op.kernel * 0)).value == 0


def test_a_search_that_is_cut_short():
    op = layer((3, 3, 3, 3), (3, 20, 20), padding=1)
    with pytest.warns(ConvergenceWarning, match="not converged after 5 products"):
        found = leading_triplet(op, maxiter=5)
    s = np.linalg.svd(matrix(op), compute_uv=False)
    assert not found.converged and found.value <= s[0]
    assert np.abs(s - found.value).min() <= found.error


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_of_the_kernel(scale):
    op = layer((4, 3, 3, 3), (3, 12, 12), padding=1)
    scaled = op.with_kernel(op.kernel * scale)
    np.testing.assert_allclose(norm_bounds(scaled), np.multiply(scale, norm_bounds(op)))


def test_wrong_arguments():
    with pytest.raises(TypeError, match="must be a ConvLinearOperator, got ndarray"):
        norm_bounds(np.eye(3))


def test_device_layers(cupy):
    host = layer((4, 3, 3, 3), (3, 6, 6), padding=1)
    device = ConvLinearOperator(
        cupy.asarray(host.kernel), host.input_shape, **host.options
    )
    assert norm_bounds(device) == norm_bounds(host)
    found = leading_triplet(device, rtol=1e-9)
    assert isinstance(found.v, cupy.ndarray)
    truth = np.linalg.norm(matrix(host), 2)
    assert np.isclose(found.value, truth, rtol=1e-12)
