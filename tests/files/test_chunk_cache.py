"""Chunks of an array that are kept between reads."""

import numpy as np
import pytest

from convinv._files import cached_chunks


class Chunked:
    """An array in chunks that counts its reads."""

    def __init__(self, values, chunks):
        self.values, self.chunks = values, chunks
        self.shape, self.dtype, self.reads = values.shape, values.dtype, []

    def __getitem__(self, key):
        self.reads.append(key)
        return self.values[key]


def test_regions_are_those_of_the_array():
    rng = np.random.default_rng(0)
    source = Chunked(rng.standard_normal((3, 20, 17)), (2, 6, 5))
    cache = cached_chunks(source, 600)
    for _ in range(100):
        starts = [int(rng.integers(n)) for n in source.shape]
        stops = [int(rng.integers(a, n + 1)) for a, n in zip(starts, source.shape)]
        key = tuple(slice(a, b) for a, b in zip(starts, stops))
        np.testing.assert_array_equal(cache[key], source.values[key])
        key = (starts[0], slice(None), slice(starts[2], None))
        np.testing.assert_array_equal(cache[key], source.values[key])


def test_a_chunk_that_is_kept_is_read_once():
    source = Chunked(np.arange(64.0).reshape(8, 8), (4, 4))
    cache = cached_chunks(source, 4 * 16 * 8)
    for start in range(6):
        cache[start : start + 2, start : start + 3]
    assert len(source.reads) == 4
    few = cached_chunks(source, 16 * 8)
    for _ in range(2):
        few[:, 0:2]
    assert len(source.reads) == 8


def test_other_arrays_are_left_alone():
    array = np.zeros((3, 4))
    assert cached_chunks(array, 1e6) is array
    dask = Chunked(array, ((2, 1), (4,)))  # which has the size of each chunk
    assert cached_chunks(dask, 1e6) is dask


def test_steps_are_refused():
    cache = cached_chunks(Chunked(np.zeros((4, 4)), (2, 2)), 1e6)
    with pytest.raises(ValueError, match="must have no steps"):
        cache[::2, :]
