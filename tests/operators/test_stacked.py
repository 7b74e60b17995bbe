"""Operators below each other: shapes, parts, least squares."""

import numpy as np
import pytest
import scipy.sparse as sp

from convinv import ConvLinearOperator, solve
from convinv.operators import (
    DifferenceOperator,
    LaplacianOperator,
    MaskOperator,
    StackedOperator,
)
from support.arrays import doubles, normal
from support.operator_kinds import columns, differences
from support.operator_layers import dense

SIZE = (1, 9, 10)


def blur(dtype="float64", channels=1):
    kernel = normal(np.random.default_rng(0), (channels, 1, 3, 3), dtype)
    return ConvLinearOperator(kernel, SIZE, padding=1)


class TestShapes:
    def test_channels_follow_each_other(self):
        op = StackedOperator([blur(channels=3), LaplacianOperator(SIZE)])
        assert op.input_shape == SIZE and op.output_shape == (4, 9, 10)

    def test_flat_where_images_differ(self):
        mask = np.arange(90).reshape(SIZE) % 2 == 0
        op = StackedOperator([blur(), MaskOperator(mask)])
        assert op.output_shape == (135,)

    def test_vectors(self):
        op = StackedOperator([np.ones((2, 4)), sp.eye_array(4)])
        assert (op.input_shape, op.output_shape) == ((4,), (6,))
        np.testing.assert_array_equal(op @ np.arange(4.0), [6, 6, 0, 1, 2, 3])

    def test_matrices_beside_shaped_operators(self):
        op = StackedOperator([np.ones((2, 90)), blur()])
        assert op.input_shape == SIZE and op.output_shape == (92,)

    def test_of_one(self):
        op, inner = StackedOperator([blur()]), blur()
        x = np.random.default_rng(1).standard_normal(SIZE)
        assert op.output_shape == inner.output_shape
        np.testing.assert_array_equal(op.forward(x), inner.forward(x))

    def test_of_stacks(self):
        inner = StackedOperator([blur(), LaplacianOperator(SIZE)])
        op = StackedOperator([inner, blur(channels=2)])
        assert op.output_shape == (4, 9, 10)

    def test_dtypes(self):
        op = StackedOperator([blur("float32"), blur("complex64")])
        assert op.dtype == "complex64"
        assert op.forward(np.ones(SIZE, "float32")).dtype == "complex64"
        assert op.forward(np.ones(SIZE)).dtype == "complex128"

    def test_what_has_no_adjoint(self):
        class Forward:
            shape, dtype = (3, 90), np.dtype(float)

            def matvec(self, x):
                return x[:3]

        op = StackedOperator([blur(), Forward()])
        assert not op.has_adjoint and not (2 * op).has_adjoint
        assert op.forward(np.ones(SIZE)).shape == (93,)

    @pytest.mark.parametrize(
        ("operators", "error", "words"),
        [
            ([], ValueError, "at least one"),
            ([blur(), "no operator"], TypeError, "op must be"),
            ([blur(), LaplacianOperator((1, 10, 9))], ValueError, "one input shape"),
            ([blur(), np.ones((3, 91))], ValueError, "of operator 1 beside"),
        ],
    )
    def test_refused(self, operators, error, words):
        with pytest.raises(error, match=words):
            StackedOperator(operators)


class TestParts:
    @pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
    def test_are_those_of_the_operators(self, batch):
        mask = np.arange(90).reshape(SIZE) % 3 == 0
        for operators in (
            [blur(), DifferenceOperator(SIZE)],
            [blur(), MaskOperator(mask), np.ones((3, 90))],
        ):
            op = StackedOperator(operators)
            x = np.random.default_rng(2).standard_normal((*batch, *SIZE))
            parts = op.split(op.forward(x))
            for inner, part in zip(op.operators, parts):
                expected = inner.forward(x.reshape(*batch, *inner.input_shape))
                np.testing.assert_array_equal(part, expected)
            np.testing.assert_array_equal(op.stack(parts), op.forward(x))

    def test_of_lists(self):
        op = StackedOperator([np.eye(2), np.ones((1, 2))])
        np.testing.assert_array_equal(op.stack([[1.0, 2.0], [3.0]]), [1, 2, 3])
        first, second = op.split([1.0, 2.0, 3.0])
        assert first.tolist() == [1, 2] and second.tolist() == [3]

    def test_refused(self):
        op = StackedOperator([np.eye(2), np.ones((1, 2))])
        with pytest.raises(ValueError, match="y must have shape"):
            op.split(np.zeros(4))
        with pytest.raises(ValueError, match="parts must hold 2 arrays"):
            op.stack([np.zeros(2)])
        with pytest.raises(ValueError, match=r"parts\[1\] must have shape \(5, 1\)"):
            op.stack([np.zeros((5, 2)), np.zeros((4, 1))])


@doubles
@pytest.mark.parametrize("batch", [(), (3,)])
def test_least_squares(batch, dtype):
    """Tikhonov regularization by differences, against the dense problem."""
    layer = blur(dtype)
    op = StackedOperator([layer, 0.1 * DifferenceOperator(SIZE)])
    rng = np.random.default_rng(3)
    b = normal(rng, (*batch, *layer.output_shape), dtype)
    data = op.stack([b, np.zeros((*batch, 2, 9, 10))])
    result = solve(op, data, rtol=1e-10)
    assert result.success and result.x.shape == (*batch, *SIZE)
    smooth = columns(lambda x: differences(x, (1, 2), "symmetric"), SIZE)
    A = np.concatenate([dense(layer), 0.1 * smooth])
    expected = np.linalg.lstsq(A, data.reshape(-1, A.shape[0]).T)[0].T
    np.testing.assert_allclose(result.x.reshape(expected.shape), expected, atol=1e-7)


def test_least_squares_with_unknown_samples():
    """What a mask hides is filled in by the differences."""
    keep = np.random.default_rng(4).random(SIZE) < 0.5
    op = StackedOperator([MaskOperator(keep), 0.3 * DifferenceOperator(SIZE)])
    y = np.random.default_rng(5).standard_normal(keep.sum())
    data = op.stack([y, np.zeros((2, 9, 10))])
    smooth = columns(lambda x: differences(x, (1, 2), "symmetric"), SIZE)
    A = np.concatenate([np.eye(90)[keep.ravel()], 0.3 * smooth])
    result = solve(op, data, rtol=1e-10)
    expected = np.linalg.lstsq(A, data)[0]
    np.testing.assert_allclose(result.x.ravel(), expected, atol=1e-7)
