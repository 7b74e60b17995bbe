"""Stacks of convolutions in exact methods and preconditioners, by dense matrices."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._inverse.gram import Gram, product
from convinv.operators import (
    DifferenceOperator,
    LaplacianOperator,
    StackedOperator,
)
from convinv.precondition import Circulant, Jacobi, Schwarz
from support.arrays import normal, random
from support.penalties import OPERATORS, dense, minimizer, operator

STACKS = {
    "two layers": lambda: [operator("valid"), operator("zero")],
    "groups and none": lambda: [
        ConvLinearOperator(random((4, 2, 3, 3)), (4, 9, 10), groups=2, padding=1),
        ConvLinearOperator(random((4, 1, 1, 2)), (4, 9, 10), groups=4),
        ConvLinearOperator(random((2, 4, 2, 2)), (4, 9, 10)),
    ],
    "strides": lambda: [
        ConvLinearOperator(random((2, 1, 3, 3)), (1, 11, 12), stride=(2, 3)),
        ConvLinearOperator(random((1, 1, 3, 3)), (1, 11, 12), stride=(3, 1)),
        DifferenceOperator((1, 11, 12)),
    ],
    "dilation": lambda: [
        ConvLinearOperator(
            random((2, 1, 3, 2)), (1, 11, 12), dilation=(2, 3), padding=2
        ),
        LaplacianOperator((1, 11, 12)),
    ],
}
every_stack = pytest.mark.parametrize("name", STACKS)


def stack(name):
    return StackedOperator(STACKS[name]())


def penalized(name, dtype="float64"):
    op = operator(name, dtype)
    wraps = op.boundary == "periodic"
    boundary = "periodic" if wraps else "symmetric"
    return StackedOperator(
        [op, 0.3 * DifferenceOperator(op.input_shape, boundary=boundary)]
    )


def check(op, method, dtype="float64", batch=(), **options):
    b = normal(np.random.default_rng(1), (*batch, *op.output_shape), dtype)
    found = solve(op, b, method, rtol=1e-11, **options)
    assert found.success
    matrix = dense(op)
    for x, data in zip(found.x.reshape(-1, op.shape[1]), b.reshape(-1, op.shape[0])):
        want = minimizer(matrix, data, [])
        assert np.linalg.norm(x - want) <= 1e-8 * np.linalg.norm(want)
    return found


@every_stack
def test_the_stencil_is_that_of_the_dense_matrix(name):
    op = stack(name)
    gram = Gram(op, "input")
    v = random((2, gram.groups, gram.channels, *gram.grid))
    x = gram.unpack(v)
    matrix = dense(op)
    expected = x @ matrix.T @ matrix
    found = gram.unpack(product("input", op, gram.layer, gram.pack(x)))
    np.testing.assert_allclose(found, expected, atol=1e-11)
    cells = [np.arange(n) for n in gram.grid]
    width = gram.channels * int(np.prod(gram.grid))
    blocks = gram.dense(cells, cells).reshape(gram.groups, width, width)
    packed = gram.pack(x).reshape(2, gram.groups, width)
    found = np.einsum("gpq,bgq->bgp", blocks, packed)
    found = gram.unpack(found.reshape(gram.pack(x).shape))
    np.testing.assert_allclose(found, expected, atol=1e-11)


@every_stack
@pytest.mark.parametrize("method", ["direct", "schwarz"])
def test_exact_methods(name, method):
    assert check(stack(name), method).nit <= 4


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_auto(name, dtype):
    check(penalized(name, dtype), "auto", dtype)


def test_batches_share_a_factor():
    op = penalized("channels")
    found = check(op, "direct", batch=(3,))
    assert found.x.shape == (3, *op.input_shape)
    assert ("gram", "input") in op.cached_keys


@pytest.mark.parametrize("preconditioner", ["circulant", "schwarz"])
@pytest.mark.parametrize("name", ["groups", "valid", "volume"])
def test_preconditioners(preconditioner, name):
    op = penalized(name)
    plain, found = check(op, "cgls"), check(op, "cgls", preconditioner=preconditioner)
    assert found.nit < plain.nit
    make = {"circulant": Circulant, "schwarz": Schwarz}[preconditioner]
    assert check(op, "cgls", preconditioner=make(op)).nit == found.nit


def test_preconditioners_that_take_no_stack():
    with pytest.raises(TypeError, match="needs a ConvLinearOperator"):
        Jacobi(penalized("valid"))


def test_stacks_with_few_rows_are_iterated():
    wide = ConvLinearOperator(random((1, 1, 3, 3)), (1, 9, 10), stride=3)
    op = StackedOperator([wide, wide])
    with pytest.raises(TypeError, match="needs a ConvLinearOperator"):
        solve(op, np.ones(op.output_shape), "direct")
    check(op, "auto")


class TestCommonTransforms:
    """`spectral` on stacks that a Fourier or a cosine transform takes apart."""

    size = (9, 10)

    def blur(self, channels=1, **options):
        kernel = random((channels, 1, 3, 3))
        even = kernel + kernel[..., ::-1]
        even = even + even[..., ::-1, :]
        shape = (channels, *self.size)
        return ConvLinearOperator(
            even, shape, groups=channels, padding="same", **options
        )

    @pytest.mark.parametrize("channels", [1, 3])
    def test_cosines(self, channels):
        blur = self.blur(channels, boundary="symmetric")
        shape = blur.input_shape
        parts = [
            0.3 * DifferenceOperator(shape),
            0.1 * LaplacianOperator(shape),
            ConvLinearOperator(
                np.tile([[[[1.0, -1]]]], (channels, 1, 1, 1)), shape, groups=channels
            ),
            ConvLinearOperator(
                np.tile([[[[1.0], [-1]]]], (channels, 1, 1, 1)), shape, groups=channels,
                padding=((1, 1), (0, 0)), boundary="replicate",
            ),
        ]  # fmt: skip
        assert check(StackedOperator([blur, *parts]), "spectral").nit == 1

    @pytest.mark.parametrize("damp", [0.0, 0.4])
    def test_fourier(self, damp):
        full = ConvLinearOperator(
            random((4, 2, 3, 3)), (2, *self.size), padding="same", boundary="periodic"
        )
        op = StackedOperator(
            [full, DifferenceOperator(full.input_shape, boundary="periodic")]
        )
        rng = np.random.default_rng(2)
        b, x0 = rng.random((2, *op.output_shape)), rng.random(full.input_shape)
        found = solve(op, b, "spectral", damp=damp, rtol=1e-11, x0=x0)
        assert found.success
        eye = damp * np.eye(op.shape[1])
        for x, data in zip(found.x, b):
            want = minimizer(dense(op), data.ravel(), [eye])
            np.testing.assert_allclose(x.ravel(), want, rtol=0, atol=1e-10)

    def test_what_no_operator_sees_is_zero(self):
        """The pseudoinverse, where differences and a blur vanish on constants."""
        kernel = np.array([[0, -1.0, 0], [-1, 4, -1], [0, -1, 0]])[None, None]
        op = ConvLinearOperator(
            kernel, (1, *self.size), padding="same", boundary="symmetric"
        )
        check(StackedOperator([op, DifferenceOperator(op.input_shape)]), "spectral")

    def test_uneven_kernels_have_none(self):
        uneven = ConvLinearOperator(
            random((1, 1, 3, 3)), (1, 9, 10), padding="same", boundary="symmetric"
        )
        op = StackedOperator([uneven, DifferenceOperator(uneven.input_shape)])
        with pytest.raises(ValueError, match="not all periodic or all symmetric"):
            solve(op, np.ones(op.output_shape), "spectral")

    def test_no_truncation(self):
        blur = self.blur(boundary="symmetric")
        op = StackedOperator([blur, DifferenceOperator(blur.input_shape)])
        with pytest.raises(ValueError, match="rcond truncates"):
            solve(op, np.ones(op.output_shape), "spectral", rcond=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_rank_of_stacks_whose_penalty_is_weak(seed):
    """With a preconditioner, once the least singular value is known not to be zero."""
    op = ConvLinearOperator(random((2, 3, 3), seed=seed), (3, 5), boundary="reflect")
    stack = StackedOperator([op, 0.0175 * LaplacianOperator(op.input_shape)])
    b = random(stack.output_shape, seed=seed)
    found = solve(stack, b, rtol=1e-11)
    matrix = dense(stack)
    left = matrix.T @ (matrix @ found.x.ravel() - b.ravel())
    assert found.success
    assert np.linalg.norm(left) <= 1e-10 * np.linalg.norm(matrix.T @ b.ravel())
