"""Products by tiles: which layers go that way, and what only some of them reach."""

import importlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from convinv._core.boundaries import BOUNDARIES
from convinv._core.geometry import axis_index, make_geometry
from convinv.kernels import launcher
from convinv.kernels.correlate.phases import adjoint_axis, forward_axis
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
    "ring with strides": (
        (3, 2, 4, 3),
        (2, 6, 9),
        {"boundary": "periodic", "padding": [(1, 1), (1, 1)], "stride": (2, 3)},
    ),
    "stride three, seven taps": ((2, 2, 5, 7), (2, 15, 31), {"stride": (3, 3)}),
    "patches": ((5, 3, 4, 4), (3, 12, 16), {"stride": (4, 4)}),
    "dilation four": (
        (3, 2, 3, 3),
        (2, 9, 21),
        {"dilation": (1, 4), "padding": [(1, 1), (4, 4)]},
    ),
    "three channels, strides": (
        (3, 3, 4, 4),
        (3, 12, 40),
        {"stride": (2, 2), "padding": [(1, 1)] * 2, "boundary": "reflect"},
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


@pytest.mark.parametrize(
    "name", ["many channels", "3-D", "dilated rows", "four taps", "patches"]
)
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
        ("stride two", ["Tiles"], ["Tiles"]),
        ("1-D stride", ["Tiles"], ["Tiles"]),
        ("dilation and stride", ["Tiles"], ["Tiles"]),
        ("dilated rows", ["Tiles"], ["Tiles"]),
        ("reflect asymmetric", ["Tiles"], ["Tiles", "Gather"]),
        ("periodic asymmetric", ["Tiles"], ["Tiles", "Gather"]),
        ("ring", ["Tiles"], ["Tiles"]),
        ("ring with strides", ["Tiles"], ["Tiles"]),
        ("eleven taps", ["Tiles"], ["Tiles"]),
    ]:
        assert parts(cupy, correlate, name) == [forward, adjoint], name


def test_only_folded_places_are_gathered(cupy, correlate):
    shape, _, geometry, _ = layer("reflect asymmetric")
    kernel = cupy.zeros((*shape[:2], *geometry.kernel), "float32")
    _, rest = correlate.prepare(kernel, geometry).adjoint
    shown = [np.bincount(axis_index(geometry, a), minlength=n) for a, n in
             enumerate(geometry.input)]  # fmt: skip
    many = np.einsum("i,j,k->ijk", *shown) > 1
    np.testing.assert_array_equal(rest.places.get(), np.flatnonzero(many))


@pytest.mark.parametrize("name", ["plain", "stride two", "dilation"])
def test_sums_take_no_launch(cupy, correlate, launched, name):
    """The last block of an item adds up what the others leave."""
    shape, _, geometry, _ = layer(name)
    kernel = cupy.zeros((*shape[:2], *geometry.kernel), "float32")
    plan = correlate.prepare(kernel, geometry)
    launched.clear()
    correlate.forward(
        plan, cupy.zeros((3, geometry.c_in, *geometry.input), "float32"), True
    )
    correlate.adjoint(
        plan, cupy.zeros((3, geometry.c_out, *geometry.output), "float32"), True
    )
    assert len(launched) == 2


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
    output=st.tuples(*[st.integers(1, 300)] * 3),
    stride=st.tuples(*[st.integers(1, 4)] * 3),
    dilation=st.tuples(*[st.integers(1, 3)] * 3),
)
def test_every_shape_can_be_launched(
    cupy, dtype, kernel, channels, output, stride, dilation
):
    tiles = importlib.import_module("convinv.kernels.correlate.cuda_tiles")
    size = [
        s * (n - 1) + d * (k - 1) + 1
        for n, k, s, d in zip(output, kernel, stride, dilation)
    ]
    geometry = make_geometry(
        (1, 1, *kernel), (1, *size), stride=stride, dilation=dilation,
        padding="valid", groups=1, boundary="zero",
    )  # fmt: skip
    for axes, sizes in [
        ([forward_axis(geometry, a) for a in range(3)], (size, output)),
        ([adjoint_axis(geometry, a)[0] for a in range(3)], (output, size)),
    ]:
        shape = tiles.shape_of(dtype, channels, sizes, axes)
        if shape is not None:
            check_shape(tiles, shape, dtype, channels[0], axes)


def check_shape(tiles, shape, dtype, channels, axes):
    assert math.prod(shape.block) == launcher.THREADS
    assert all(n & (n - 1) == 0 for n in shape.block)
    assert 0 < shape.shared <= tiles.SHARED
    # a kernel's own shared memory counts, too; tests hold it to 1024 bytes
    assert shape.shared + 1024 <= 48 * 1024
    taps = [a.taps.shape[2] for a in axes]
    assert 1 <= shape.heights <= taps[1] and 1 <= shape.channels <= channels
    assert shape.shared <= tiles.ENOUGH or shape.channels == 1
    columns = tiles.padded(taps[2], shape.taps)
    assert columns >= taps[2] and columns % shape.taps == 0
    assert columns == shape.taps or shape.taps == 4
    # the last thread's window lies in the tile, at a whole number of packs
    stride = axes[2].stride
    pitch = tiles._pitch(shape, stride, columns)
    assert pitch % 4 == 0
    last = tiles.COLUMNS * stride * (shape.block[0] - 1) + columns - shape.taps
    assert last % 4 == 0
    assert last + (tiles.COLUMNS - 1) * stride + shape.taps <= pitch
    defines = tiles._defines(shape.tile, shape.rows, shape.taps, stride)
    assert defines in tiles.variants(dtype)


@on_host
@given(n=st.integers(1, 2**31 - 1), number=st.integers(0, 2**31 - 1))
def test_division(cupy, n, number):
    """As the kernel divides, in 64 bits."""
    tiles = importlib.import_module("convinv.kernels.correlate.cuda_tiles")
    by, packed = tiles.divisor(n)
    factor, shift = packed & 0xFFFFFFFF, packed >> 32
    assert by == n and 0 <= packed < 2**63 and shift < 64
    assert number * factor < 2**64
    assert number * factor >> shift == number // n


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_axes_by_definition(boundary, last, data):
    """Every tap at a place, once, with the sample that the sums have for it."""
    taps, stride, dilation = (data.draw(st.integers(1, 5)) for _ in range(3))
    pad = [data.draw(st.integers(0, 4)) for _ in range(2)]
    n = data.draw(st.integers(max(dilation * (taps - 1) + 1, max(pad) + 1), 40))
    geometry = make_geometry(
        (1, 1, taps), (1, n), stride=(stride,), dilation=(dilation,), padding=[pad],
        groups=1, boundary=boundary,
    )  # fmt: skip
    if not last:  # an axis on which the kernel knows all strides and dilations
        moved = {"ndim": 2}
        for name in (
            "input",
            "kernel",
            "output",
            "stride",
            "dilation",
            "before",
            "after",
        ):
            moved[name] = np.roll(getattr(geometry, name), -1).tolist()
        geometry = geometry._replace(
            **{k: tuple(v) if k != "ndim" else v for k, v in moved.items()}
        )
    axis = 2 if last else 1
    out, shown = geometry.output[axis], axis_index(geometry, axis)
    pairs = [
        (i, u, shown[stride * i + dilation * u])
        for i in range(out)
        for u in range(taps)
    ]
    found = seen(forward_axis(geometry, axis), out)
    for i in range(out):
        assert sorted(found[i]) == sorted(
            (u, p) for j, u, p in pairs if j == i and p >= 0
        )
    axes, owned = adjoint_axis(geometry, axis)
    found = seen(axes, n)
    for p in np.flatnonzero(owned):
        assert sorted(found[p]) == sorted((u, i) for i, u, q in pairs if q == p)


def seen(axis, places):
    """``(tap, sample)`` of all products at each place, as the kernel finds them."""
    found = [[] for _ in range(places)]
    for place, (phase, r) in itertools.product(
        range(places), np.ndindex(axis.maps.shape[:2])
    ):
        step, rest = divmod(place, axis.spread)
        if rest != phase:
            continue
        for i, tap in enumerate(axis.taps[phase, r]):
            position = axis.stride * step + axis.dilation * i
            sample = axis.maps[phase, r, position]
            if tap >= 0 and sample >= 0:
                found[place].append((tap, sample))
    return found
