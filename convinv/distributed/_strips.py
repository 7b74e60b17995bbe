"""Parts of an array of Dask along its last axes, as tasks that slice its chunks.

A task that needs some samples beyond a chunk gets slices of the neighbors: on a cluster
these alone travel.
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

import dask.array as da
import numpy as np

from .._core.arrays import namespace
from .._tiles.axes import Interval


class Strips:
    """Slices of the chunks of an array.

    Parameters
    ----------
    array : dask.array.Array
    ndim : int
        The number of its last axes that are cut.
    name : str
        Of the tasks.

    Attributes
    ----------
    tasks : dict
        Those that were asked for.
    """

    def __init__(self, array: da.Array, ndim: int, name: str) -> None:
        self.array, self.name = array, name
        self.lead = array.ndim - ndim
        self.tasks: dict[Any, Any] = {}
        self._edges = [np.cumsum([0, *along]) for along in array.chunks[self.lead :]]

    def joined(self, lead: tuple[int, ...], runs: list) -> list:
        """Nested lists of what makes up runs along the last axes; see `join`.

        `lead` are the numbers of the chunks along the other axes, and `runs` the
        intervals of each of the last axes.
        """
        along = [
            [piece for run in one for piece in self._pieces(axis, run)]
            for axis, one in enumerate(runs)
        ]
        return self._nested(lead, along, ())

    def _nested(self, lead, along, taken):
        if len(taken) == len(along):
            return self._slice(lead, taken)
        return [
            self._nested(lead, along, (*taken, piece)) for piece in along[len(taken)]
        ]

    def _pieces(self, axis, run: Interval):
        """``(chunk, first, stop)`` of an interval of an axis."""
        edges = self._edges[axis]
        first = int(np.searchsorted(edges, run[0], side="right")) - 1
        for chunk in itertools.count(first):
            start, end = int(edges[chunk]), int(edges[chunk + 1])
            begin, stop = max(run[0], start), min(run[1], end)
            if begin < stop:
                yield chunk, begin - start, stop - start
            if end >= run[1]:
                return

    def _slice(self, lead, taken):
        """The key of a part of a chunk, or of the chunk where that is all of it."""
        chunk = (*lead, *(piece[0] for piece in taken))
        sizes = [self.array.chunks[a][i] for a, i in enumerate(chunk)][self.lead :]
        source = (self.array.name, *chunk)
        if all(piece[1:] == (0, size) for piece, size in zip(taken, sizes)):
            return source
        key = (self.name, *chunk, *itertools.chain(*(piece[1:] for piece in taken)))
        part = (..., *(slice(*piece[1:]) for piece in taken))
        self.tasks[key] = (operator.itemgetter(part), source)
        return key


def join(pieces: Any, ndim: int) -> Any:
    """The array that nested lists of pieces make up along its last `ndim` axes."""
    if not isinstance(pieces, list):
        return pieces
    parts = [join(piece, ndim - 1) for piece in pieces]
    if len(parts) == 1:
        return parts[0]
    return namespace(parts[0]).concatenate(parts, axis=-ndim)
