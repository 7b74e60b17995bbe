"""Cells of a strided layer, against plain loops over samples."""

import numpy as np
import pytest
from hypothesis import given, settings

from convinv import ConvLinearOperator
from convinv.operators._polyphase import Polyphase
from convinv.operators._symbol import whole_symbol
from support.arrays import random
from support.layers import layer, layers, matrix

STRIDED = {
    "1-D": ((3, 2, 4), (4, 11), {"stride": 3, "groups": 1}),
    "2-D": ((4, 1, 3, 2), (2, 5, 8), {"stride": (2, 3), "groups": 2, "padding": 1}),
    "3-D": (
        (2, 1, 2, 3, 2),
        (1, 4, 3, 5),
        {"stride": (2, 1, 2), "dilation": (1, 1, 2)},
    ),
}


def make(name, dtype="float64"):
    shape, input_shape, options = STRIDED[name]
    if name == "1-D":
        shape = (3, 4, 4)
    return layer(shape, input_shape, dtype, **options)


@pytest.mark.parametrize("name", STRIDED)
def test_pack(name):
    op = make(name)
    g, cells = op.geometry, Polyphase(op.geometry)
    x = random((2, *op.input_shape))
    v = cells.pack(x)
    assert v.shape == (2, cells.groups, cells.channels, *cells.cells)
    expected = np.zeros((2, g.c_in, *g.stride, *cells.cells))
    whole = x.reshape(2, g.c_in, *g.input)
    for place in np.ndindex(*g.input):
        cell, phase = zip(*(divmod(p, s) for p, s in zip(place, g.stride)))
        expected[(slice(None), slice(None), *phase, *cell)] = whole[(..., *place)]
    np.testing.assert_array_equal(v, expected.reshape(v.shape))
    np.testing.assert_array_equal(cells.unpack(v), x.reshape(2, -1))
    flat = x.reshape(2, -1)
    np.testing.assert_array_equal(cells.pack(flat), v)


def test_stride_one_is_a_view():
    op = layer((2, 2, 3), (2, 9))
    x = random((3, 18))
    cells = Polyphase(op.geometry)
    assert np.shares_memory(cells.pack(x), x)
    assert np.shares_memory(cells.unpack(cells.pack(x)), x)


@settings(max_examples=60)
@given(layers())
def test_stencil(op):
    """Where no sample is padded the taps alone give the outputs."""
    g, cells = op.geometry, Polyphase(op.geometry)
    x = random((1, *op.input_shape), op.dtype)
    y = op.forward(x).reshape(g.groups, cells.filters, *g.output)
    v, total = cells.pack(x)[0], np.zeros_like(y)
    inside = np.ones(g.output, bool)
    first, matrices = cells.stencil(op.weights)
    for at in np.ndindex(*matrices.shape[3:]):
        tap = matrices[(..., *at)]
        offset = [f + a for f, a in zip(first, at)]
        places = [np.arange(m) + o for m, o in zip(g.output, offset)]
        kept = [(p >= 0) & (p < n) for p, n in zip(places, cells.cells)]
        inside &= kept[0][:, None, None] & kept[1][:, None] & kept[2]
        index = np.ix_(*(np.clip(p, 0, n - 1) for p, n in zip(places, cells.cells)))
        total += np.einsum("gfc,gcdhw->gfdhw", tap, v[(..., *index)])
    for axis in range(3):  # outputs whose windows leave the image are another matter
        span = g.dilation[axis] * (g.kernel[axis] - 1)
        first = np.arange(g.output[axis]) * g.stride[axis] - g.before[axis]
        within = (first >= 0) & (first + span < g.input[axis])
        inside &= within.reshape([-1 if a == axis else 1 for a in range(3)])
    np.testing.assert_allclose(total[..., inside], y[..., inside], atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_symbol(stride, dtype):
    """On a torus the layer is one matrix per frequency."""
    op = layer(
        (4, 1, 3, 3),
        (2, 8, 9),
        dtype,
        stride=stride,
        groups=2,
        padding=1,
        boundary="periodic",
    )
    cells = Polyphase(op.geometry)
    assert cells.is_torus
    matrices = whole_symbol(cells, op.weights, cells.cells)
    transform = np.fft.fftn if dtype == "complex128" else np.fft.rfftn
    x = random((1, *op.input_shape), dtype)
    v = transform(cells.pack(x)[0], axes=(2, 3, 4))
    y = op.forward(x).reshape(2, cells.filters, *op.geometry.output)
    got = np.einsum("gfcdhw,gcdhw->gfdhw", matrices, v)
    np.testing.assert_allclose(got, transform(y, axes=(2, 3, 4)), atol=1e-11)


@pytest.mark.parametrize(
    ("options", "torus"),
    [
        ({"padding": "same", "boundary": "periodic"}, True),
        ({"padding": "same"}, False),
        ({"padding": 1, "boundary": "periodic", "stride": 2}, True),
        ({"padding": 1, "boundary": "periodic", "stride": 4}, False),  # 6 = 4 + 2
        ({"boundary": "periodic"}, False),  # fewer outputs than samples
        ({"stride": 3}, True),  # no overlap
        ({"stride": 3, "padding": ((0, 3), (0, 0))}, False),
    ],
)
def test_is_torus(options, torus):
    op = ConvLinearOperator(random((2, 1, 3, 3)), (1, 6, 6), **options)
    assert Polyphase(op.geometry).is_torus == torus
    if torus:  # shifting the input by a cell shifts the output by one sample
        x = random(op.input_shape)
        s, _ = op.geometry.stride[1:]
        moved = op.forward(np.roll(x, s, axis=1))
        np.testing.assert_allclose(moved, np.roll(op.forward(x), 1, axis=1), atol=1e-12)
    assert matrix(op).shape == op.shape
