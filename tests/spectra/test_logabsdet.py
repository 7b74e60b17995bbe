"""Logarithms of determinants and their gradients against dense matrices."""

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv._core.errors import MemoryLimit
from convinv.spectra import _determinant, _lines, logabsdet
from convinv.spectra._determinant import logabsdet_and_gradient
from support.arrays import BOUNDARIES, doubles, random
from support.layers import layer, matrix

ONE = ((1, 1),)
# name: (kernel shape, input shape, options)
SQUARE = {
    **{
        f"padding, {name}": ((2, 2, 3, 3), (2, 6, 7), {"padding": 1, "boundary": name})
        for name in BOUNDARIES
    },
    "one dimension": ((3, 3, 3), (3, 11), {"padding": ONE}),
    "three dimensions": ((2, 2, 2, 3, 2), (2, 3, 4, 3), {"padding": "same"}),
    "a mix of channels": ((3, 3, 1, 1), (3, 4, 5), {}),
    "groups": ((4, 2, 3, 3), (4, 5, 4), {"padding": 1, "groups": 2}),
    "depthwise": ((3, 1, 3, 3), (3, 5, 4), {"padding": 1, "groups": 3}),
    "stride": ((4, 1, 3, 3), (1, 6, 8), {"stride": 2, "padding": 1}),
    "stride, periodic": (
        (4, 1, 3, 3),
        (1, 6, 8),
        {"stride": 2, "padding": ((0, 1), (0, 1)), "boundary": "periodic"},
    ),
    "windows": ((8, 2, 2, 2), (2, 4, 6), {"stride": 2}),
    "one window": ((12, 1, 3, 4), (1, 3, 4), {}),
    "fewer outputs, more filters": ((6, 4, 3), (4, 6), {}),
    "dilation": ((2, 2, 3, 3), (2, 7, 6), {"padding": 2, "dilation": 2}),
    "flip": ((2, 2, 3), (2, 9), {"padding": ((2, 0),), "flip": True}),
    "uneven on a ring": (
        (2, 2, 5),
        (2, 12),
        {"padding": ((1, 3),), "boundary": "periodic"},
    ),
    "a part of a ring": (
        (3, 2, 9),
        (2, 21),
        {"padding": ((1, 0),), "boundary": "periodic"},
    ),
    "causal": ((2, 2, 3), (2, 9), {"padding": ((2, 0),)}),
}
cases = pytest.mark.parametrize("name", SQUARE)


def square(name, dtype="float64"):
    shape, input_shape, options = SQUARE[name]
    return layer(shape, input_shape, dtype, **options)


def sums(op):
    """For each tap, the sum of the entries of ``A^-H`` where it stands."""
    inverse = np.linalg.inv(matrix(op)).conj().T
    found = np.empty(op.kernel.shape, inverse.dtype)
    for index in np.ndindex(found.shape):
        one = np.zeros(found.shape)
        one[index] = 1
        where = ConvLinearOperator(one, op.input_shape, **op.options)
        found[index] = np.sum(inverse * matrix(where))
    return found


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(_lines, "WHOLE", 1)
        monkeypatch.setattr(_lines, "LEAST", 1)


@cases
@doubles
def test_value_and_gradient(name, dtype, blocks):
    op = square(name, dtype)
    truth = np.linalg.slogdet(matrix(op))[1]
    value, gradient = logabsdet_and_gradient(op)
    assert np.isclose(value, truth, rtol=1e-11, atol=1e-10)
    assert np.isclose(logabsdet(op), truth, rtol=1e-11, atol=1e-10)
    assert np.isclose(logabsdet(op.H), truth, rtol=1e-11, atol=1e-10)
    expected = sums(op)
    assert gradient.shape == op.kernel.shape and gradient.dtype == op.dtype
    np.testing.assert_allclose(gradient, expected, atol=1e-9 * abs(expected).max())


@pytest.mark.parametrize("name", ["padding, zero", "dilation", "flip"])
def test_many_blocks_are_many(name, monkeypatch):
    monkeypatch.setattr(_lines, "WHOLE", 1)
    monkeypatch.setattr(_lines, "LEAST", 1)
    assert len(_lines.Lines(square(name).geometry).edges) > 3


@pytest.mark.parametrize("condition", [1e6, 1e10])
def test_no_digits_are_lost_where_the_gram_matrix_has_none(condition):
    """A long 1-D layer with a root near the unit circle, by its closed form."""
    n, a = 600, 0.5 * (1 - 1 / condition)
    # det of the tridiagonal Toeplitz matrix (a, 1, a): a recursion in long double
    before, value = np.longdouble(1), np.longdouble(1)
    logs = np.longdouble(0)
    for _ in range(n - 1):
        before, value = value, value - np.longdouble(a) ** 2 * before
        logs, before, value = logs + np.log(value), before / value, np.longdouble(1)
    op = ConvLinearOperator(np.array([[[a, 1.0, a]]]), (1, n), padding=ONE)
    assert np.isclose(logabsdet(op), float(logs), rtol=1e-11)


def test_leading_blocks_that_are_singular():
    """Without pivots an LU factorization breaks down at once."""
    op = ConvLinearOperator(np.array([[[1.0, 0.0, 1.0]]]), (1, 500), padding=ONE)
    value, gradient = logabsdet_and_gradient(op)
    assert abs(value) < 1e-12 and np.allclose(gradient[0, 0, 1], 0)
    assert np.allclose(gradient, sums(op))


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ([[[1.0, 1.0]]], {"padding": "same", "boundary": "periodic"}),
        ([[[1.0, 1.0, 1.0]]], {"padding": ONE}),  # of 8 samples
        ([[[1.0]], [[2.0]]], {"stride": 2}),  # every other sample is not seen
        ([[[1.0, 0.0, 0.0]]], {"padding": ((2, 0),)}),  # a shift
        ([[[0.0, 0.0, 0.0]]], {"padding": ONE}),
    ],
)
def test_singular_layers(kernel, options):
    op = ConvLinearOperator(np.array(kernel), (1, 8), **options)
    assert np.linalg.matrix_rank(matrix(op)) < 8
    assert logabsdet(op) == -np.inf
    assert logabsdet_and_gradient(op) == (-np.inf, None)


def masked(dtype="float64", reverse=False):
    """A kernel that looks at pixels before its own, and at channels up to its own."""
    kernel = random((3, 3, 3, 3), dtype) / 10
    kernel[:, :, 1, 1] += np.eye(3)
    kernel[:, :, 2] = kernel[:, :, 1, 2] = 0
    kernel[:, :, 1, 1] = np.tril(kernel[:, :, 1, 1])
    kernel = np.flip(kernel, (2, 3)).copy() if reverse else kernel
    return ConvLinearOperator(kernel, (3, 6, 5), padding=1)


@pytest.mark.parametrize("reverse", [False, True])
@doubles
def test_autoregressive_layers(reverse, dtype, monkeypatch):
    op = masked(dtype, reverse)
    truth = np.linalg.slogdet(matrix(op))[1]
    value, gradient = logabsdet_and_gradient(op)  # of taps that are zero too
    np.testing.assert_allclose(gradient, sums(op), atol=1e-9 * abs(gradient).max())
    monkeypatch.setattr(_determinant, "BlockQR", None)  # not needed
    fixed, some = logabsdet_and_gradient(op, fixed_zeros=True)
    np.testing.assert_allclose([value, fixed, logabsdet(op)], truth, rtol=1e-11)
    expected = np.where(op.kernel == 0, 0, sums(op))
    np.testing.assert_allclose(some, expected, atol=1e-9 * abs(gradient).max())


def test_a_triangular_matrix_that_is_ill_conditioned():
    """Its determinant is known, all digits of its inverse are lost."""
    op = ConvLinearOperator(np.array([[[9.0, 1.0, 0.0]]]), (1, 60), padding=ONE)
    assert logabsdet(op) == 0
    value, gradient = logabsdet_and_gradient(op)
    assert (value, gradient) == (0, None)
    _, gradient = logabsdet_and_gradient(op, fixed_zeros=True)
    assert gradient.tolist() == [[[0, 60, 0]]]


def test_zeros_that_are_fixed_in_other_layers():
    op = square("padding, reflect")
    kernel = op.kernel.copy()
    kernel[0, :, 0] = 0
    op = op.with_kernel(kernel)
    every, some = (
        logabsdet_and_gradient(op, fixed_zeros=fixed)[1] for fixed in (False, True)
    )
    assert every[0, :, 0].all() and not some[0, :, 0].any()
    np.testing.assert_array_equal(every[kernel != 0], some[kernel != 0])


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_of_the_kernel(scale):
    for name in ("padding, zero", "padding, periodic"):
        op = square(name)
        value, gradient = logabsdet_and_gradient(op)
        scaled = op.with_kernel(op.kernel * scale)
        found, of_scaled = logabsdet_and_gradient(scaled)
        assert np.isclose(found, value + op.shape[0] * np.log(scale))
        np.testing.assert_allclose(of_scaled * scale, gradient, rtol=1e-9)


def test_single_precision_is_computed_in_double():
    op = square("padding, zero", "float32")
    truth = np.linalg.slogdet(matrix(op))[1]
    assert np.isclose(logabsdet(op), truth, rtol=1e-12)


def test_what_is_refused(monkeypatch):
    with pytest.raises(TypeError, match="must be a ConvLinearOperator, got ndarray"):
        logabsdet(np.eye(3))
    with pytest.raises(ValueError, match=r"must be square.*\(3, 5\) -> \(2, 5\)"):
        logabsdet(layer((2, 3, 1), (3, 5)))
    monkeypatch.setattr(_determinant, "MEMORY", 1000)
    op = square("padding, zero")
    assert np.isfinite(logabsdet(op))
    with pytest.raises(MemoryLimit, match="the gradient of logabsdet needs .* MiB"):
        logabsdet_and_gradient(op)


def test_device_layers(cupy):
    host = square("padding, zero")
    device = ConvLinearOperator(
        cupy.asarray(host.kernel), host.input_shape, **host.options
    )
    found = logabsdet(device)
    assert found == logabsdet(host)
