"""Differences and the Laplacian against NumPy's differences of padded arrays."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv.operators import DifferenceOperator, LaplacianOperator
from convinv.spectra import spectrum
from support import oracles
from support.arrays import BOUNDARIES, every_dtype, normal
from support.operator_kinds import columns, differences, laplacian

SHAPES = [(1, 7), (3, 4, 5), (2, 3, 4, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
boundaries = pytest.mark.parametrize("boundary", BOUNDARIES)


@boundaries
@shapes
class TestDefinition:
    def test_all_differences(self, shape, boundary):
        op = DifferenceOperator(shape, boundary=boundary)
        x = np.random.default_rng(0).standard_normal((2, *shape))
        axes = range(1, len(shape))
        expected = [differences(item, axes, oracles.MODES[boundary]) for item in x]
        np.testing.assert_allclose(op.forward(x), expected, atol=1e-14)
        assert op.output_shape == (shape[0] * len(axes), *shape[1:])

    def test_one_axis(self, shape, boundary):
        x = np.random.default_rng(1).standard_normal(shape)
        whole = DifferenceOperator(shape, boundary=boundary).forward(x)
        whole = whole.reshape(shape[0], -1, *shape[1:])
        for axis in range(len(shape) - 1):
            expected = differences(x, (axis + 1,), oracles.MODES[boundary])
            np.testing.assert_allclose(whole[:, axis], expected, atol=1e-14)
            for name in (axis, axis - len(shape) + 1):
                op = DifferenceOperator(shape, axis=name, boundary=boundary)
                np.testing.assert_allclose(op.forward(x), expected, atol=1e-14)

    def test_laplacian(self, shape, boundary):
        op = LaplacianOperator(shape, boundary=boundary)
        x = np.random.default_rng(2).standard_normal((2, *shape))
        expected = [laplacian(item, oracles.MODES[boundary]) for item in x]
        np.testing.assert_allclose(op.forward(x), expected, atol=1e-13)


@shapes
@pytest.mark.parametrize("boundary", ["symmetric", "periodic"])
def test_laplacian_of_differences(shape, boundary):
    D = DifferenceOperator(shape, boundary=boundary)
    L = LaplacianOperator(shape, boundary=boundary)
    x = np.random.default_rng(3).standard_normal(shape)
    np.testing.assert_allclose(L.forward(x), -D.adjoint(D.forward(x)), atol=1e-13)


@every_dtype
@pytest.mark.parametrize("cls", [DifferenceOperator, LaplacianOperator])
class TestConvolutions:
    def test_are_convolutions(self, cls, dtype):
        op = cls((2, 5, 6), dtype=dtype)
        assert isinstance(op, ConvLinearOperator) and op.is_convolution
        assert op.dtype == dtype and op.groups == 2
        again = ConvLinearOperator(op.kernel, op.input_shape, **op.options)
        x = normal(np.random.default_rng(4), op.input_shape, dtype)
        np.testing.assert_array_equal(again.forward(x), op.forward(x))

    def test_others_of_the_kind_are_plain(self, cls, dtype):
        op = cls((2, 5, 6), dtype=dtype)
        x = normal(np.random.default_rng(5), op.input_shape, dtype)
        wide = op.astype("complex128")
        for other in (3 * op, op.bare(), op.with_kernel(op.kernel.copy())):
            assert type(other) is ConvLinearOperator and other.dtype == dtype
        assert wide is op or type(wide) is ConvLinearOperator
        np.testing.assert_allclose((3 * op).forward(x), 3 * op.forward(x), atol=1e-5)


@pytest.mark.parametrize("method", ["auto", "cgls", "lsmr"])
@pytest.mark.parametrize("cls", [DifferenceOperator, LaplacianOperator])
def test_solves(cls, method):
    """Of an image but for the mean of every channel, which differences do not see."""
    op = cls((2, 8, 9))
    x = np.random.default_rng(6).standard_normal(op.input_shape)
    x -= x.mean(axis=(1, 2), keepdims=True)
    result = solve(op, op.forward(x), method, rtol=1e-10)
    assert result.success
    np.testing.assert_allclose(result.x, x, atol=1e-7)


@pytest.mark.parametrize("cls", [DifferenceOperator, LaplacianOperator])
def test_exact_methods(cls):
    """Damped, by all of them that take such layers."""
    for boundary, methods in (
        ("symmetric", ("direct", "schwarz", "auto")),
        ("periodic", ("spectral", "auto")),
    ):
        op = cls((1, 12, 13), boundary=boundary)
        A = columns(op.forward, op.input_shape)
        b = np.random.default_rng(7).standard_normal(op.output_shape)
        normal = A.T @ A + 0.04 * np.eye(A.shape[1])
        expected = np.linalg.solve(normal, A.T @ b.ravel())
        for method in methods:
            result = solve(op, b, method, damp=0.2, rtol=1e-11)
            assert result.success
            np.testing.assert_allclose(result.x.ravel(), expected, atol=1e-8)


def test_spectrum():
    """The eigenvalues of the Laplacian with cosines as eigenvectors."""
    op = LaplacianOperator((1, 9, 7))
    one, two = (4 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2 for n in (9, 7))
    values = np.add.outer(one, two)
    found = spectrum(op)
    np.testing.assert_allclose(float(found.largest), values.max(), rtol=1e-10)
    assert found.rank == 62


@pytest.mark.parametrize("cls", [DifferenceOperator, LaplacianOperator])
def test_constants_are_not_seen(cls):
    op = cls((2, 4, 5))
    assert not op.forward(np.ones(op.input_shape)).any()
    assert np.linalg.matrix_rank(columns(op.forward, op.input_shape)) == 38


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (((4,),), {}, ValueError, "input_shape must be"),
        ((5,), {}, ValueError, "input_shape must be"),
        (((1, 2, 3, 4, 5),), {}, ValueError, "input_shape must be"),
        (((0, 4),), {}, ValueError, "input_shape entries"),
        (((1, 4),), {"axis": 1}, ValueError, "axis must be less than the 1"),
        (((1, 4),), {"axis": -2}, ValueError, "axis must be at least -1"),
        (((1, 4),), {"axis": 0.5}, TypeError, "axis must be an integer"),
        (((1, 4),), {"boundary": "none"}, ValueError, "boundary"),
        (((1, 4),), {"dtype": "int64"}, TypeError, "dtype"),
    ],
)
def test_refused(arguments, options, error, words):
    with pytest.raises(error, match=words):
        DifferenceOperator(*arguments, **options)
    if "axis" not in options:
        with pytest.raises(error, match=words):
            LaplacianOperator(*arguments, **options)
