"""Products by tiles: which layers go that way, and what only some of them reach."""

import importlib
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from convinv._core.boundaries import BOUNDARIES
from convinv._core.geometry import axis_index, make_geometry
from convinv.kernels import launcher
from support.arrays import DTYPES
from support.cuda_checks import LAYERS, layer, run_layer
from support.cuda_host import on_host

# what differs from an undilated "valid" layer
TILED = {
    "two taps": ((3, 1, 2, 2), (1, 9, 13), {"padding": [(1, 0), (0, 1)]}),
    "four taps": ((1, 3, 4, 4), (3, 8, 12), {"padding": [(2, 1)] * 2}),
    "five taps": ((2, 2, 5, 5), (2, 12, 16), {"padding": [(2, 2)] * 2}),
    "seven taps": ((4, 1, 7, 7), (1, 10, 20), {"padding": [(3, 3)] * 2}),
    "eleven taps": ((8, 1, 1, 11), (1, 3, 40), {"boundary": "periodic"}),
    "stride two": ((3, 2, 3, 3), (2, 11, 21), {"stride": (2, 2)}),
    "seven taps, stride two": ((1, 2, 2, 7), (2, 9, 30), {"stride": (3, 2)}),
    "many channels": ((40, 5, 3, 3), (5, 4, 6), {"padding": [(1, 1)] * 2}),
    "many in groups": ((18, 3, 1, 3), (9, 3, 9), {"groups": 3}),
    "long rows": ((2, 1, 3), (1, 1500), {}),
    "whole packs": ((1, 1, 3, 3), (1, 8, 16), {"padding": [(1, 1)] * 2}),
    "wide image": ((3, 1, 3, 3), (1, 5, 140), {"boundary": "symmetric"}),
    "ring": (
        (3, 2, 3, 3),
        (2, 6, 9),
        {"boundary": "periodic", "padding": [(0, 2), (2, 0)]},
    ),
    "dilated rows": ((2, 2, 3, 3), (2, 19, 8), {"dilation": (3, 1), "stride": (2, 1)}),
    "3-D": ((9, 2, 3, 2, 3), (2, 4, 3, 5), {"padding": [(1, 1), (0, 1), (2, 0)]}),
}


@pytest.fixture
def tiles(cupy):
    return importlib.import_module("convinv.kernels.correlate.cuda_tiles")


@pytest.fixture
def correlate(cupy):
    return importlib.import_module("convinv.kernels.correlate.cuda")


@pytest.fixture(autouse=True)
def known_layers(monkeypatch):
    for name, given_ in TILED.items():
        monkeypatch.setitem(LAYERS, name, given_)


def parts(cupy, correlate, name):
    """The names of the classes that compute the products of a layer."""
    shape, _, geometry, _ = layer(name)
    kernel = cupy.zeros((*shape[:2], *geometry.kernel), "float32")
    plan = correlate.prepare(kernel, geometry)
    return [[type(p).__name__ for p in d] for d in (plan.forward, plan.adjoint)]


@pytest.mark.parametrize("name", TILED)
def test_equals_oracle(cupy, correlate, name):
    # every dtype for some layers, every layer for some dtypes: each is compiled anew
    dtypes = DTYPES if name in ("seven taps", "stride two") else DTYPES[::3]
    for dtype in dtypes:
        run_layer(cupy, correlate, name, dtype, batch=2)


@pytest.mark.parametrize("name", ["many channels", "3-D", "dilated rows", "four taps"])
def test_many_stages(cupy, correlate, tiles, monkeypatch, name):
    """One channel and one row of taps at a time."""
    monkeypatch.setattr(tiles, "ENOUGH", 1)
    run_layer(cupy, correlate, name, "float32", batch=2)


@pytest.mark.parametrize(
    "name", ["plain", "nine channels", "groups", "reflect asymmetric", "3-D", "1-D"]
)
def test_layers_that_do_not_fit_are_gathered(cupy, correlate, tiles, monkeypatch, name):
    monkeypatch.setattr(tiles, "SHARED", 0)
    assert parts(cupy, correlate, name) == [["Gather"], ["Gather"]]
    run_layer(cupy, correlate, name, "complex64", batch=2)


def test_who_computes_what(cupy, correlate):
    for name, forward, adjoint in [
        ("plain", ["Tiles"], ["Tiles"]),
        ("stride two", ["Tiles"], ["Gather"]),
        ("1-D stride", ["Gather"], ["Gather"]),
        ("dilation", ["Gather"], ["Gather"]),
        ("dilated rows", ["Tiles"], ["Gather"]),
        ("reflect asymmetric", ["Tiles"], ["Tiles", "Gather"]),
        ("periodic asymmetric", ["Tiles"], ["Tiles", "Gather"]),
        ("ring", ["Tiles"], ["Tiles"]),
        ("eleven taps", ["Tiles"], ["Tiles"]),
    ]:
        assert parts(cupy, correlate, name) == [forward, adjoint], name


def test_results_at_odd_addresses(cupy, correlate):
    """Rows that do not start at whole packs are stored otherwise."""
    shape, size, geometry, _ = layer("whole packs")
    kernel = cupy.asarray(np.random.default_rng(0).standard_normal((1, 1, 1, 3, 3)))
    plan = correlate.prepare(kernel, geometry)
    x = cupy.asarray(np.random.default_rng(1).standard_normal((1, 1, 1, 8, 16)))
    want, _ = correlate.forward(plan, x)
    out = cupy.empty(129)[1:].reshape(want.shape)
    got, _ = correlate.forward(plan, x, out=out)
    np.testing.assert_array_equal(got.get(), want.get())


@on_host
@settings(deadline=None, max_examples=200)
@given(
    dtype=st.sampled_from(DTYPES),
    kernel=st.tuples(*[st.integers(1, 40)] * 2, st.integers(1, 300)),
    channels=st.tuples(*[st.integers(1, 300)] * 2),
    size=st.tuples(*[st.integers(1, 3000)] * 3),
    stride=st.tuples(*[st.integers(1, 4)] * 3),
    dilation=st.tuples(*[st.integers(1, 3)] * 2, st.just(1)),
)
def test_every_shape_can_be_launched(
    cupy, dtype, kernel, channels, size, stride, dilation
):
    tiles = importlib.import_module("convinv.kernels.correlate.cuda_tiles")
    maps = [
        range(s * (n - 1) + d * (k - 1) + 1)
        for n, k, s, d in zip(size, kernel, stride, dilation)
    ]
    axes = tiles.Axes(maps, stride, dilation)
    shape = tiles.shape_of(dtype, kernel, channels, size, axes)
    if stride[2] > 2:
        assert shape is None
    if shape is None:
        return
    assert math.prod(shape.block) == launcher.THREADS
    assert 0 < shape.shared <= tiles.SHARED
    # a kernel's own shared memory counts, too; tests hold it to 1024 bytes
    assert shape.shared + 1024 <= 48 * 1024
    assert 1 <= shape.heights <= kernel[1] and 1 <= shape.channels <= channels[0]
    assert shape.shared <= tiles.ENOUGH or shape.channels == 1
    columns = tiles.padded(kernel[2], shape.taps)
    assert columns >= kernel[2] and columns % shape.taps == 0
    assert columns == shape.taps or shape.taps == 4
    # the last thread's window lies in the tile, at a whole number of packs
    pitch = tiles._pitch(shape, stride[2], columns)
    assert pitch % 4 == 0
    last = tiles.COLUMNS * stride[2] * (shape.block[0] - 1) + columns - shape.taps
    assert last % 4 == 0
    assert last + (tiles.COLUMNS - 1) * stride[2] + shape.taps <= pitch
    defines = tiles._defines(shape.tile, shape.rows, shape.taps, stride[2])
    assert defines in tiles.variants(dtype)


def test_map_of_the_flipped_kernel(correlate):
    """Every tap of an owned place reads what the adjoint's sum has for it."""
    for boundary in BOUNDARIES:
        geometry = make_geometry(
            (1, 1, 3), (1, 7), stride=(1,), padding=[(2, 1)], dilation=(2,), groups=1,
            boundary=boundary,
        )  # fmt: skip
        index, owned = correlate.flipped(geometry, 2)
        shown = axis_index(geometry, 2)
        for p in np.flatnonzero(owned):
            pairs = {
                (u, i)
                for i in range(geometry.output[2])
                for u in range(3)
                if shown[i + 2 * u] == p
            }
            got = {(2 - u, index[p + 2 * u]) for u in range(3)}
            assert {(u, i) for u, i in got if i >= 0} == pairs, (boundary, p)
