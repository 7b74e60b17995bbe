"""Pixels in colors: those of one color have no sample in common."""

import itertools

import numpy as np

from .._core.geometry import tap_samples


def output_colors(geometry):
    """``(pixels, starts)``: numbers of output pixels, color after color.

    The pixels of color k, from ``starts[k]`` to ``starts[k + 1]``, look at different
    samples. Pixels that differ on an axis and share no sample on it share none at all,
    so a color is one of each axis.
    """
    tables = [tap_samples(geometry, axis) for axis in range(3)]
    axes = [_colors(t, n) for t, n in zip(tables, geometry.input)]
    return _product(axes, geometry.output)


def input_colors(geometry):
    """The same for input pixels, of which no output pixel sees two of a color."""
    tables = [_seen_by(tap_samples(geometry, a), geometry.input[a]) for a in range(3)]
    axes = [_colors(t, n) for t, n in zip(tables, geometry.output)]
    return _product(axes, geometry.input)


def _product(axes, shape):
    _, height, width = shape
    parts = [
        ((d[:, None, None] * height + h[:, None]) * width + w).ravel()
        for d, h, w in itertools.product(*axes)
    ]
    starts = np.cumsum([0, *map(len, parts)])
    return np.concatenate(parts).astype(np.int64), starts.astype(np.int64)


def _seen_by(table, length):
    """The outputs that see each sample, -1 where there are no more of them."""
    output, tap = np.nonzero(table >= 0)
    pairs = np.unique(np.stack([table[output, tap], output], 1), axis=0)
    first = np.searchsorted(pairs[:, 0], np.arange(length))
    place = np.arange(len(pairs)) - first[pairs[:, 0]]
    seen = np.full((length, max(place.max(initial=0) + 1, 1)), -1)
    seen[pairs[:, 0], place] = pairs[:, 1]
    return seen


def _colors(table, length):
    """The members of each color on one axis: row i of the table needs those samples.

    Members that lie as far apart as a row reaches may go together; the few that fold
    back onto the samples of others are given the next color that is free.
    """
    count = len(table)
    period = _period(table, length)
    color = np.arange(count) % period
    owner = np.full((period, length), -1)
    for column in table.T:
        there = column >= 0
        owner[color[there], column[there]] = np.flatnonzero(there)
    late = np.zeros(count, bool)
    for column in table.T:
        there = column >= 0
        late[there] |= owner[color[there], column[there]] != np.flatnonzero(there)
    taken = np.zeros((period, length), bool)
    for column in table.T:
        there = (column >= 0) & ~late
        taken[color[there], column[there]] = True
    for i in np.flatnonzero(late):
        own = table[i][table[i] >= 0]
        free = np.flatnonzero(~taken[:, own].any(1))
        if free.size == 0:
            free, taken = [len(taken)], np.vstack([taken, np.zeros((1, length), bool)])
        color[i] = free[0]
        taken[free[0], own] = True
    members = (np.flatnonzero(color == k) for k in range(len(taken)))
    return [found for found in members if found.size]


def _period(table, length):
    """How far apart the ranges of two rows are disjoint, but for the ends' folds."""
    low = np.where(table >= 0, table, length).min(1)
    high = table.max(1)
    apart = 1
    while apart < len(table):
        meet = (low[apart:] <= high[:-apart]) & (low[:-apart] <= high[apart:])
        if meet.mean() < 0.5:
            break
        apart += 1
    return apart
