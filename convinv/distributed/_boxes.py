"""Along one axis: what rows of a convolution read, and which rows read some samples.

The borders of the chunks of an array are anywhere, and an image may be shorter than its
padding, so that all follows from the table of the samples that stand at each position
of the padded image.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from .._core.boundaries import BOUNDARIES
from .._tiles.axes import Interval, Reach


class Reading(NamedTuple):
    """What some rows read.

    Attributes
    ----------
    runs : tuple of (first, stop)
        Of the samples, in their order.
    places : slice or ndarray of int
        For each position that the rows span its place in what the runs join; -1 for a
        zero.
    """

    runs: tuple[Interval, ...]
    places: Any


class Touching(NamedTuple):
    """Rows that read some samples, one after the other.

    Attributes
    ----------
    rows : (first, stop)
    places : ndarray of int
        For each position that the rows span its place in the samples; -1 outside.
    """

    rows: Interval
    places: np.ndarray


def reading(reach: Reach, rows: Interval) -> Reading:
    """What the rows from the first to the last of an interval read."""
    index = _samples(reach, rows)
    read = np.unique(index[index >= 0])
    if not read.size:  # nothing but zeros, which stand for any sample
        return Reading(((0, 1),), index)
    runs = _intervals(read, read + 1)
    places = np.where(index >= 0, np.searchsorted(read, index), -1)
    if np.array_equal(places, np.arange(len(read))):
        return Reading(runs, slice(0, len(read)))
    return Reading(runs, places)


def touching(reach: Reach, box: Interval) -> list[Touching]:
    """The rows that read a sample of a box, in intervals that are apart."""
    table = _table(reach)
    positions = np.flatnonzero((table >= box[0]) & (table < box[1]))
    first = np.maximum(-((reach.span - positions) // reach.stride), 0)
    stop = np.minimum(positions // reach.stride + 1, reach.rows)
    read = first < stop
    return [
        Touching(rows, _places(_samples(reach, rows), box))
        for rows in _intervals(first[read], stop[read])
    ]


@functools.lru_cache(maxsize=32)
def _table(reach: Reach) -> np.ndarray:
    """The sample at every position of the padded axis."""
    q = np.arange(-reach.before, reach.samples + reach.after)
    return BOUNDARIES[reach.boundary].index(q, reach.samples)


def _samples(reach: Reach, rows: Interval) -> np.ndarray:
    """The samples at the positions that rows span."""
    first, stop = reach.read(rows)
    q = np.arange(first, stop)
    return BOUNDARIES[reach.boundary].index(q, reach.samples)


def _places(samples: np.ndarray, box: Interval) -> np.ndarray:
    inside = (samples >= box[0]) & (samples < box[1])
    return np.where(inside, samples - box[0], -1)


def _intervals(first: np.ndarray, stop: np.ndarray) -> tuple[Interval, ...]:
    """Intervals in ascending order, those joined that meet."""
    if not first.size:
        return ()
    apart = np.flatnonzero(first[1:] > stop[:-1]) + 1
    starts, ends = first[[0, *apart]], stop[[*(apart - 1), -1]]
    return tuple(zip(starts.tolist(), ends.tolist()))
