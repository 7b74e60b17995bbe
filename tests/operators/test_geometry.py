"""Shapes, padding and index maps, against NumPy and torch."""

import time
import tracemalloc

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv._core.boundaries import BOUNDARIES, padded_index
from convinv._core.geometry import axis_index, folds, make_geometry
from support.oracles import MODES

DEFAULTS = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "boundary": "zero",
}


def geometry(kernel_shape, input_shape, **options):
    return make_geometry(kernel_shape, input_shape, **{**DEFAULTS, **options})


def test_boundaries_are_those_of_the_oracles():
    assert set(BOUNDARIES) == set(MODES)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_padded_index(length, boundary):
    """Every padding up to several folds means what numpy.pad makes of it."""
    samples = np.arange(1, length + 1)
    for before in (0, 1, 2, 3, 4, 7, 19):
        for after in (0, 1, 2, 5, 8, 23):
            index = padded_index(length, before, after, boundary)
            padded = np.pad(samples, (before, after), mode=MODES[boundary])
            shown = np.where(index < 0, 0, samples[index])
            np.testing.assert_array_equal(shown, padded)
            assert index.dtype == np.int64


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("length", [1, 2, 5])
def test_folds_invert_the_index(length, boundary):
    for before, after in ((0, 0), (1, 0), (0, 3), (4, 11)):
        index = padded_index(length, before, after, boundary)
        start, position = folds(index, length)
        assert start[0] == 0 and len(start) == length + 1
        assert start[-1] == len(position) == np.sum(index >= 0)
        for p in range(length):
            expected = np.flatnonzero(index == p)
            np.testing.assert_array_equal(position[start[p] : start[p + 1]], expected)


def test_axis_index():
    g = geometry((1, 1, 3, 3), (1, 4, 6), padding=((1, 2), (0, 5)), boundary="reflect")
    expected = np.pad(np.arange(6), (0, 5), mode="reflect")
    np.testing.assert_array_equal(axis_index(g, 2), expected)
    np.testing.assert_array_equal(axis_index(g, 0), [0])


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("seed", range(20))
def test_output_shape(seed, ndim):
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 4))

    def per_axis(low, high):
        return tuple(map(int, rng.integers(low, high, ndim)))

    taps, dilation, stride = per_axis(1, 5), per_axis(1, 4), per_axis(1, 5)
    padding = per_axis(0, 5)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + int(rng.integers(6))
        for d, k, p in zip(dilation, taps, padding)
    )
    kernel_shape, input_shape = (2 * groups, 3, *taps), (3 * groups, *size)
    g = geometry(
        kernel_shape,
        input_shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    padded = np.pad(np.zeros(size), [(p, p) for p in padding])
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, taps)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach)
    places = windows[tuple(slice(None, None, s) for s in stride)].shape[:ndim]
    assert g.output_shape == (2 * groups, *places)
    assert g.input_shape == input_shape and g.kernel_shape == kernel_shape
    lead = (1,) * (3 - ndim)
    assert g.input == lead + size and g.kernel == lead + taps
    assert g.multiplications == np.prod(g.output_shape) * 3 * np.prod(taps)


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_is_that_of_torch(taps, dilation):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(taps)
    kernel, x = rng.standard_normal((2, 1, taps)), rng.standard_normal((1, 17))
    op = ConvLinearOperator(kernel, (1, 17), padding="same", dilation=dilation)
    layer = torch.nn.Conv1d(1, 2, taps, padding="same", dilation=dilation, bias=False)
    left, right = reversed(layer._reversed_padding_repeated_twice)  # before, after
    total = dilation * (taps - 1)
    assert (right, left) == (total // 2, total - total // 2)
    assert (op.geometry.before[2], op.geometry.after[2]) == (right, left)
    padded = torch.nn.functional.pad(torch.from_numpy(x[None]), (right, left))
    expected = torch.nn.functional.conv1d(
        padded, torch.from_numpy(kernel), dilation=dilation
    )
    assert op.output_shape == (2, 17)
    np.testing.assert_allclose(op.forward(x), expected[0].numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("padding", "before", "after"),
    [
        (0, (0, 0), (0, 0)),
        (2, (2, 2), (2, 2)),
        (np.int32(2), (2, 2), (2, 2)),
        ("valid", (0, 0), (0, 0)),
        ("same", (1, 0), (1, 1)),
        ((1, 2), (1, 2), (1, 2)),
        ([1, 2], (1, 2), (1, 2)),
        (((1, 2), (3, 4)), (1, 3), (2, 4)),
        ((1, (3, 4)), (1, 3), (1, 4)),
        (np.array([[1, 2], [3, 4]]), (1, 3), (2, 4)),
    ],
)
def test_padding_forms(padding, before, after):
    g = geometry((1, 1, 3, 2), (1, 5, 5), padding=padding)
    assert g.before == (0, *before) and g.after == (0, *after)


def test_one_dimensional_padding():
    g = geometry((1, 1, 3), (1, 5), padding=((1, 2),))
    assert (g.before[2], g.after[2]) == (1, 2)
    assert geometry((1, 1, 3), (1, 5), padding=(1,)).before[2] == 1
    with pytest.raises(ValueError, match=r"padding .*takes \(\(before, after\),\)"):
        geometry((1, 1, 3), (1, 5), padding=(1, 2))


@pytest.mark.parametrize(
    ("kernel_shape", "input_shape", "options", "error", "words"),
    [
        ((3, 3), (3, 4), {}, ValueError, "kernel must have shape"),
        ((1, 1, 2, 2, 2, 2), (1, 3, 3), {}, ValueError, "kernel must have shape"),
        ((0, 1, 3), (1, 4), {}, ValueError, "kernel must not be empty"),
        ((1, 1, 0), (1, 4), {}, ValueError, "kernel must not be empty"),
        ((1, 2, 3), (1, 4), {}, ValueError, "input_shape has 1 channels"),
        ((1, 1, 3), 4, {}, TypeError, "input_shape must be"),
        ((1, 1, 3), (4,), {}, ValueError, "input_shape must have 2 entries"),
        ((1, 1, 3), (1, 4, 4), {}, ValueError, "input_shape must have 2 entries"),
        ((1, 1, 3), (1, 0), {}, ValueError, "input_shape entries must be at least 1"),
        ((1, 1, 3), (1, 4.0), {}, TypeError, "input_shape entries must be an integer"),
        ((1, 1, 3), (1, "4"), {}, TypeError, "input_shape entries must be an integer"),
        ((1, 1, 3), (1, 4), {"groups": 0}, ValueError, "groups must be at least 1"),
        ((1, 1, 3), (1, 4), {"groups": 1.0}, TypeError, "groups must be an integer"),
        ((1, 1, 3), (1, 4), {"groups": 2}, ValueError, "groups=2"),
        ((3, 1, 3), (2, 4), {"groups": 2}, ValueError, "groups must divide"),
        ((1, 1, 3), (1, 4), {"stride": 0}, ValueError, "stride must be at least 1"),
        ((1, 1, 3), (1, 4), {"stride": -1}, ValueError, "stride must be at least 1"),
        ((1, 1, 3), (1, 4), {"stride": 1.5}, TypeError, "stride must be an integer"),
        ((1, 1, 3), (1, 4), {"stride": "2"}, TypeError, "stride must be an int"),
        ((1, 1, 3), (1, 4), {"stride": (1, 1)}, ValueError, "stride must be an int"),
        ((1, 1, 3), (1, 4), {"stride": None}, TypeError, "stride must be an integer"),
        ((1, 1, 3), (1, 4), {"dilation": 0}, ValueError, "dilation must be at least 1"),
        ((1, 1, 3), (1, 4), {"dilation": ()}, ValueError, "dilation must be an int"),
        ((1, 1, 3), (1, 4), {"padding": -1}, ValueError, "padding must be at least 0"),
        ((1, 1, 3), (1, 4), {"padding": 0.5}, TypeError, "padding must be an integer"),
        ((1, 1, 3), (1, 4), {"padding": "full"}, ValueError, "padding must be 'valid'"),
        ((1, 1, 3), (1, 4), {"padding": ((1, 2, 3),)}, ValueError, "padding entries"),
        ((1, 1, 3), (1, 4), {"padding": ((1, -2),)}, ValueError, "padding must be at"),
        ((1, 1, 3), (1, 4), {"padding": (None,)}, TypeError, "padding must be an"),
        ((1, 1, 3), (1, 4), {"padding": None}, TypeError, "padding must be an"),
        ((1, 1, 3), (1, 4), {"boundary": "fold"}, ValueError, "boundary must be one"),
        ((1, 1, 3), (1, 4), {"boundary": None}, ValueError, "boundary must be one"),
        ((1, 1, 3), (1, 4), {"boundary": ["zero"]}, ValueError, "boundary must be"),
        ((1, 1, 5), (1, 4), {}, ValueError, "kernel does not fit on spatial axis 0"),
        ((1, 1, 3), (1, 4), {"dilation": 2}, ValueError, "kernel does not fit"),
        ((1, 1, 1, 4), (1, 9, 3), {}, ValueError, "does not fit on spatial axis 1"),
        ((1, 1, 3), (1, 1), {"stride": 2}, ValueError, "does not fit"),
    ],
)
def test_bad_arguments_are_named(kernel_shape, input_shape, options, error, words):
    with pytest.raises(error, match=words):
        ConvLinearOperator(np.zeros(kernel_shape), input_shape, **options)


class TestHugeOperators:
    SIZE = (1, 2**12, 2**11, 2**11)  # 2**34 unknowns

    @pytest.mark.parametrize("boundary", BOUNDARIES)
    def test_built_at_once(self, boundary):
        kernel = np.ones((1, 1, 3, 3, 3))
        tracemalloc.start()
        start = time.perf_counter()
        op = ConvLinearOperator(kernel, self.SIZE, padding="same", boundary=boundary)
        seconds = time.perf_counter() - start
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert op.shape == (2**34, 2**34) and "4096" in repr(op)
        assert op.H.shape == op.T.shape == (op @ op).shape == op.shape
        assert peak < 2**20 and seconds < 1  # an array would take minutes

    def test_long_axis(self):
        op = ConvLinearOperator(np.ones((1, 1, 3)), (1, 2**40), padding=1)
        assert op.shape == (2**40, 2**40)

    def test_channels(self):
        op = ConvLinearOperator(np.ones((3, 1, 1)), (1, 2**61), stride=2)
        assert op.shape == (3 * 2**60, 2**61)

    @pytest.mark.parametrize(
        ("shape", "input_shape", "options"),
        [
            ((4, 1, 1), (1, 2**61), {}),  # the output overflows
            ((1, 1, 1), (1, 2**63), {}),
            ((1, 1, 1), (1, 2**70), {}),
            ((1, 1, 1), (1, 1), {"padding": 2**63 - 1}),
            ((1, 1, 1), (1, 1), {"padding": ((2**62, 2**62),)}),
            ((1, 1, 1), (1, 2**40), {"padding": ((0, 2**63 - 2),)}),
            ((1, 2, 1, 1), (2, 2**31, 2**31), {}),
            ((1, 1, 1, 1, 1), (1, 2**21, 2**21, 2**21), {}),
            ((1, 1, 2), (1, 1), {"padding": "same", "dilation": 2**63}),
        ],
    )
    def test_overflow_is_refused(self, shape, input_shape, options):
        with pytest.raises(ValueError, match=r"more than 2\*\*63 - 1"):
            ConvLinearOperator(np.ones(shape), input_shape, **options)
