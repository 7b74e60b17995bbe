"""Samples of files as numbers to compute with, and back."""

import numpy as np
import pytest

from convinv.cli._samples import as_floats, as_stored

UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


@pytest.mark.parametrize("dtype", UNSIGNED[:3])
def test_unsigned_integers_come_back(dtype):
    ends = np.iinfo(dtype)
    samples = np.random.default_rng(0).integers(0, ends.max, 1000, dtype, endpoint=True)
    floats = as_floats(samples)
    assert floats.dtype == np.float64 and 0 <= floats.min() and floats.max() <= 1
    stored, clipped = as_stored(floats, samples.dtype)
    assert stored.dtype == samples.dtype and clipped == 0
    np.testing.assert_array_equal(stored, samples)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_what_is_outside_is_clipped(dtype):
    stored, clipped = as_stored(np.array([-1.0, 0.0, 1.0, 3.0]), np.dtype(dtype))
    top = np.iinfo(dtype).max
    assert clipped == 0.5 and (stored[:2] == 0).all()
    np.testing.assert_allclose(stored[2:].astype(float), top, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int64"])
def test_signed_integers_keep_their_units(dtype):
    ends = np.iinfo(dtype)
    samples = np.array([ends.min, -7, 0, 5, ends.max], dtype)
    np.testing.assert_array_equal(as_floats(samples), samples.astype(float))
    stored, _ = as_stored(np.array([-7.4, 5.5, 2.0 * ends.min]), np.dtype(dtype))
    np.testing.assert_array_equal(stored, [-7, 6, ends.min])


@pytest.mark.parametrize(
    ("dtype", "working"),
    [("float16", "float32"), ("float32", "float32"), ("complex64", "complex64")],
)
def test_floats_are_not_scaled(dtype, working):
    samples = np.array([-1.5, 0, 300], dtype)
    floats = as_floats(samples)
    assert floats.dtype == working
    stored, clipped = as_stored(floats, samples.dtype)
    assert stored.dtype == dtype and clipped == 0
    np.testing.assert_array_equal(stored, samples)


def test_truth_values_are_no_picture():
    with pytest.raises(ValueError, match="True and False is no picture"):
        as_floats(np.array([True]))
