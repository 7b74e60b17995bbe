"""The stencil of a Gram matrix and products with its parts, against dense matrices."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from convinv._inverse.gram import Gram, Patch, product
from support.arrays import random
from support.layers import layer, layers, normal_matrix, restricted, windows

sides = st.sampled_from(["input", "output"])


def whole(gram):
    """All of N from the stencil, with groups as diagonal blocks."""
    cells = [np.arange(n) for n in gram.grid]
    width = gram.channels * int(np.prod(gram.grid))
    blocks = gram.dense(cells, cells).reshape(gram.groups, width, width)
    dense = np.zeros((gram.groups * width,) * 2, blocks.dtype)
    for g, block in enumerate(blocks):
        at = slice(g * width, (g + 1) * width)
        dense[at, at] = block
    return dense


def close(actual, expected):
    size = max(1, np.max(np.abs(expected), initial=0))
    np.testing.assert_allclose(actual, expected, atol=1e-11 * size)


@settings(max_examples=200)
@given(layers(), sides)
def test_the_stencil_holds_all_entries(op, side):
    gram = Gram(op, side)
    assert gram.banded == (
        op.geometry.boundary != "periodic"
        or not any(op.geometry.before + op.geometry.after)
    )
    if gram.banded:
        close(whole(gram), normal_matrix(gram, op))
    assert all(n <= m for n, m in zip(gram.template, gram.grid))


@settings(max_examples=100)
@given(layers(strides=False, square=True))
def test_hermitian_layers(op):
    gram = Gram(op, "self")
    if gram.banded:
        close(whole(gram), normal_matrix(gram, op))


@settings(max_examples=100)
@given(layers(), sides, st.data())
def test_patches(op, side, data):
    gram = Gram(op, side)
    if not gram.banded:
        return
    window = data.draw(windows(gram.grid))
    N = normal_matrix(gram, op, ghosts=False)
    shape = (2, gram.groups, gram.channels, *(b - a for a, b in window))
    v = random(shape, op.dtype)
    before = v.copy()
    y = Patch(gram, window, np, op.dtype).apply(v)
    expected = v.reshape(2, -1) @ restricted(N, gram, window).T
    close(y.reshape(2, -1), expected)
    np.testing.assert_array_equal(v, before)


@settings(max_examples=60)
@given(layers(), sides)
def test_products(op, side):
    gram = Gram(op, side)
    if not gram.banded:
        return
    v = random((2, gram.groups, gram.channels, *gram.grid), op.dtype)
    y = product(side, op, gram.layer, v)
    expected = v.reshape(2, -1) @ normal_matrix(gram, op, ghosts=False).T
    close(y.reshape(2, -1), expected)


@settings(max_examples=40)
@given(layers(), sides)
def test_packing(op, side):
    gram = Gram(op, side)
    size = op.shape[1 if side == "input" else 0]
    x = random((3, size), op.dtype)
    v = gram.pack(x)
    assert v.shape == (3, gram.groups, gram.channels, *gram.grid)
    np.testing.assert_array_equal(gram.unpack(v), x)


@pytest.mark.parametrize("side", ["input", "output"])
def test_the_twin_does_not_grow(side):
    sizes = {
        Gram(layer((4, 2, 3, 3), (2, n, n + 3), padding=1), side).stencil.shape
        for n in (40, 90)
    }
    assert len(sizes) == 1


def test_windows_inside_are_refused():
    gram = Gram(layer((4, 1, 3), (1, 80)), "input")
    with pytest.raises(ValueError, match="lies inside"):
        Patch(gram, [(0, 1), (0, 1), (30, 40)], np, "float64")


def test_shapes_that_must_agree():
    op = layer((4, 1, 3), (1, 20))
    with pytest.raises(ValueError, match="shapes agree, got .1, 20. and .4, 18."):
        Gram(op, "self")


def test_few_probes_at_a_time(monkeypatch):
    op = layer((4, 2, 3, 3), (2, 9, 8))
    expected = Gram(op, "input").stencil
    monkeypatch.setattr("convinv._inverse.gram.PROBES", 1)
    np.testing.assert_array_equal(Gram(op, "input").stencil, expected)


@settings(max_examples=100)
@given(layers(), sides)
def test_the_interior_is_that_of_a_large_image(op, side):
    """On an image so large that no border is near its middle."""
    gram = Gram(op, side)
    size = [4 * (b + s) + 1 for b, s in zip(gram.border, gram.spread)]
    large = Gram(gram.operator(size), side)
    if not gram.banded or large.grid != tuple(size) or np.prod(size) > 5000:
        return
    middle = large.stencil[
        (..., *(n // 2 for n in large.template), *(slice(None),) * 3)
    ]
    inside = [slice(r - s, r + s + 1) for r, s in zip(large.reach, gram.spread)]
    close(gram.interior, middle[(..., *inside)])
    outside = middle.copy()
    outside[(..., *inside)] = 0
    assert not np.any(outside)
