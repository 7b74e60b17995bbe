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


@pytest.mark.parametrize("halo", [1, 3])
def test_passes_read_each_chunk_once(halo):
    rows, columns, side = 6, 5, 4
    shape = 2, rows * side, columns * side
    source = Chunked(np.random.default_rng(0).standard_normal(shape), (2, side, side))
    chunk = 2 * side**2 * 8
    cache = cached_chunks(source, (2 * columns + 4) * chunk)
    for number in range(1, 4):
        for i in range(0, shape[1], side):
            for j in range(0, shape[2], side):
                box = [slice(max(a - halo, 0), a + side + halo) for a in (i, j)]
                cache[:, *box]
        assert len(source.reads) <= number * rows * columns


def test_other_arrays_are_left_alone():
    array = np.zeros((3, 4))
    assert cached_chunks(array, 1e6) is array
    dask = Chunked(array, ((2, 1), (4,)))  # which has the size of each chunk
    assert cached_chunks(dask, 1e6) is dask


def test_steps_are_refused():
    cache = cached_chunks(Chunked(np.zeros((4, 4)), (2, 2)), 1e6)
    with pytest.raises(ValueError, match="must have no steps"):
        cache[::2, :]
