"""The block Cholesky factor against dense solves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from convinv import ConvLinearOperator, gallery
from convinv._core.errors import MemoryLimit, Singular
from convinv._inverse import block_cholesky
from convinv._inverse.block_cholesky import BlockCholesky
from convinv._inverse.gram import Gram
from support.arrays import random
from support.layers import layer, layers, normal_matrix, restricted, windows

SINGLE = [(0, 1), (0, 1)]


def solved(factor, v, N):
    """(what the factor gives, what NumPy gives), both (B, unknowns)."""
    before = v.copy()
    x = factor.solve(v)
    np.testing.assert_array_equal(v, before)
    assert x.shape == v.shape and x.dtype == v.dtype
    return x.reshape(len(v), -1), np.linalg.solve(N, v.reshape(len(v), -1).T).T


@settings(max_examples=200)
@given(
    layers(),
    st.sampled_from(["input", "output"]),
    st.integers(0, 2),
    st.sampled_from([0.7, 3.0]),
    st.data(),
)
def test_solves(op, side, axis, damp, data):
    gram = Gram(op, side)
    if not gram.banded:
        return
    window = data.draw(windows(gram.grid))
    N = restricted(normal_matrix(gram, op, damp), gram, window)
    factor = BlockCholesky(gram, axis, window=window, damp=damp)
    shape = (2, gram.groups, gram.channels, *(b - a for a, b in window))
    x, expected = solved(factor, random(shape, op.dtype), N)
    np.testing.assert_allclose(x, expected, atol=1e-9 * np.abs(expected).max())
    assert 0.1 / np.linalg.cond(N) <= factor.rcond <= 1 + 1e-12


@pytest.mark.parametrize("length", range(20, 30))
def test_partial_last_blocks(length):
    """Short lines go several to a block, and the last block may be incomplete."""
    op = layer((3, 1, 3, 2), (1, length, 4))
    gram = Gram(op, "input")
    factor = BlockCholesky(gram, 1)
    assert factor.step > 1 and factor.count * factor.step >= length
    x, expected = solved(
        factor, random((2, 1, 1, 1, length, 4)), normal_matrix(gram, op)
    )
    np.testing.assert_allclose(x, expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("boundary", ["zero", "symmetric"])
def test_long_images(axis, side, boundary):
    """Beyond the recursion's memory, where one block row stands for all."""
    shape = (5, 2, 3, 3) if side == "input" else (2, 5, 3, 3)
    size = (60, 5) if axis == 1 else (5, 60)
    op = layer(shape, (shape[1], *size), padding=1, boundary=boundary)
    gram = Gram(op, side)
    factor = BlockCholesky(gram, axis)
    assert len(factor.rows) < factor.count or factor.count < 12
    N = normal_matrix(gram, op)
    x, expected = solved(factor, random((3, 1, gram.channels, *gram.grid)), N)
    assert np.linalg.norm(x - expected) <= 1e-11 * np.linalg.norm(expected)


def test_rows_do_not_grow_with_the_height():
    counts, sizes = [], []
    for height in (150, 300, 3000):
        gram = Gram(layer((8, 3, 3, 3), (3, height, 16)), "input")
        factor = BlockCholesky(gram, 1)
        counts.append(len(factor.rows))
        sizes.append(factor.nbytes)
        assert factor.count == height and len(factor.which) == height
    assert counts[0] == counts[1] == counts[2] < 80
    assert sizes[0] == sizes[1] == sizes[2]
    band, width = factor.band, factor.width
    whole = counts[0] * (band + 1) * width**2 * 8
    assert whole - 8 * width**2 * band**2 <= sizes[0] <= whole


def test_single_precision_needs_fewer_rows():
    op = layer((8, 3, 3, 3), (3, 200, 16))
    gram = Gram(op, "input")
    double = BlockCholesky(gram, 1)
    single = BlockCholesky(gram, 1, dtype="float32")
    assert len(single.rows) <= len(double.rows)
    assert single.nbytes < double.nbytes
    v = random((1, 1, 3, 1, 200, 16), "float32")
    expected = double.solve(v.astype(float))
    assert single.solve(v).dtype == "float32"
    np.testing.assert_allclose(
        single.solve(v), expected, atol=1e-4 * np.abs(expected).max()
    )


def test_single_precision_where_the_recursion_settles_slowly():
    """A recursion that is ended early leaves errors along all of the image."""
    kernel = gallery.conv_layer(3, 8, rng=0)
    gram = Gram(ConvLinearOperator(kernel, (3, 200, 20)), "input")
    v = 3 + random((1, 1, 3, 1, 200, 20))
    expected = BlockCholesky(gram, 1).solve(v)
    factor = BlockCholesky(gram, 1, dtype="float32")
    x = factor.solve(v.astype("float32"))
    error = np.linalg.norm(x - expected) / np.linalg.norm(expected)
    assert error <= 0.02 * np.finfo("float32").eps / factor.rcond


def test_singular_matrices():
    kernel = random((4, 2, 3, 3))
    kernel[:, 1] = kernel[:, 0]
    op = layer((4, 2, 3, 3), (2, 12, 8))
    gram = Gram(type(op)(kernel, op.input_shape), "input")
    try:
        factor = BlockCholesky(gram, 1)
    except Singular as error:
        assert "rank-deficient" in str(error)
        assert isinstance(error, np.linalg.LinAlgError)
    else:  # rounding may leave tiny pivots
        assert factor.rcond < 1e-14
    assert BlockCholesky(gram, 1, damp=1.0).rcond > 1e-4


def test_condition_estimates():
    """Of the right size: what handing over to other methods is decided by."""
    for damp in (1e-3, 1e-1, 10.0):
        op = layer((2, 2, 3, 3), (2, 14, 9), padding=1)
        gram = Gram(op, "input")
        truth = 1 / np.linalg.cond(normal_matrix(gram, op, damp))
        rcond = BlockCholesky(gram, 1, damp=damp).rcond
        assert 0.1 * truth <= rcond <= 100 * truth


def test_memory():
    gram = Gram(layer((8, 3, 3, 3), (3, 64, 64)), "input")
    with pytest.raises(
        MemoryLimit,
        match=r"192 x 192 .* at least 3\.\d+ MB, more than the 1.049 MB allowed: "
        r"solve takes max_memory='3\.\d+ MB'",
    ) as caught:
        BlockCholesky(gram, 1, memory=2**20)
    assert isinstance(caught.value, ValueError)
    need = BlockCholesky(gram, 1).nbytes
    assert BlockCholesky(gram, 1, memory=2 * need).nbytes == need


def test_refused_while_factoring():
    """A recursion that does not settle is stopped when it is too large."""
    gram = Gram(layer((1, 1, 3, 3), (1, 200, 50), padding=1), "input")
    two = 2 * 5 * 50**2 * 8
    with pytest.raises(MemoryLimit):
        BlockCholesky(gram, 1, damp=1e-2, memory=10 * two)


@pytest.mark.parametrize("line", [1, 7, 47, 48, 100])
def test_blocks_hold_whole_lines(line):
    step = block_cholesky.block_cells(line, 2, 90)
    assert step == 1 if line >= 48 else line * step >= 48
    assert block_cholesky.block_cells(line, 2, 3) <= 3
    assert math.isfinite(step)


ZEROS = [  # kernels of one axis with zeros that leave lines apart
    [1.0, 0.0, 1.4],
    [1.0, 0.0, 0.0, -2.1],
    [0.0, 1.3, 0.0, 0.4, 0.0],
    [0.6, 0.0, 0.0, 0.0, 1.0],
    [0.0, 0.0, 1.0],
    [1.0, 0.7, 0.0, 0.0, 0.0, 0.3],
]


def agrees(op, damp, axes, sides=("input", "output")):
    for side in sides:
        gram = Gram(op, side)
        N = normal_matrix(gram, op, damp)
        for axis in axes:
            factor = BlockCholesky(gram, axis, damp=damp)
            v = random((2, gram.groups, gram.channels, *gram.grid), op.dtype)
            x, expected = solved(factor, v, N)
            error = np.linalg.norm(x - expected)
            assert error <= 1e-9 * np.linalg.norm(expected)


@pytest.mark.parametrize("taps", ZEROS)
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_lines_that_do_not_meet(taps, dilation, stride):
    """A recursion of several chains is stationary when all of them are."""
    kernel = np.array(taps)[None, None, :, None] * random((2, 1, 1, 2))
    op = ConvLinearOperator(
        kernel, (1, 120, 3), dilation=(dilation, 1), stride=(stride, 1), padding=(2, 0)
    )
    agrees(op, 0.3, [1])
    wide = np.concatenate([kernel[:1], 0.5 * kernel[1:, :, ::-1]], axis=1)
    op = ConvLinearOperator(wide, (2, 100, 3), dilation=(dilation, 1), boundary="zero")
    agrees(op, 0.2, [1], ["output"])


@pytest.mark.parametrize("boundary", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("dilation", [(2, 1), (1, 2), (2, 2), (3, 2)])
def test_dilated_layers_with_long_lines(boundary, dilation):
    """Lines of 48 unknowns and more are blocks of their own."""
    op = layer(
        (2, 1, 3, 3), (1, 49, 52), dilation=dilation, padding=1, boundary=boundary
    )
    agrees(op, 0.3, [1, 2], ["input"])


def test_dilated_layers_of_three_axes():
    op = layer((3, 1, 2, 3, 2), (1, 26, 7, 8), dilation=(3, 2, 1))
    agrees(op, 0.3, [0], ["input"])


def test_checkerboard_kernels():
    """Pixels of either color do not meet; here shifted from filter to filter."""
    kernel = random((3, 1, 5, 5))
    kernel[:, :, np.add.outer(np.arange(5), np.arange(5)) % 2 == 1] = 0
    agrees(ConvLinearOperator(kernel, (1, 50, 50), padding=2), 0.2, [1, 2], ["input"])
    kernel[1, :, ::2] = 0
    agrees(ConvLinearOperator(kernel, (1, 50, 50)), 0.2, [1, 2], ["input"])
