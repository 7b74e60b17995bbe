"""Arrays in compressed chunks, of which the last ones that were read are kept."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np


class ChunkCache:
    """An array that is read by regions, whole chunks at a time.

    Tiles overlap, and their boxes end within chunks: each chunk would be decompressed
    several times. Where regions come row by row, chunks that lie before all of those
    to come go first, and then the one that was not used for longest.

    Parameters
    ----------
    source : array
        With ``shape``, ``dtype`` and ``chunks``, read by slices.
    limit : float
        Bytes of chunks that are kept.
    """

    def __init__(self, source: Any, limit: float):
        self.source, self.limit = source, limit
        self.shape, self.dtype = tuple(source.shape), np.dtype(source.dtype)
        self.ndim, self.chunks = len(self.shape), tuple(source.chunks)
        self._kept: OrderedDict[tuple[int, ...], np.ndarray] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        box = [_ends(part, n) for part, n in zip(key, self.shape, strict=True)]
        sizes = [stop - start for start, stop in box]
        found = np.empty(sizes, self.dtype)
        ranges = [
            range(start // c, -(-stop // c)) if stop > start else range(0)
            for (start, stop), c in zip(box, self.chunks)
        ]
        cut = [
            axis
            for axis, (part, ends, n) in enumerate(zip(key, box, self.shape))
            if isinstance(part, slice) and ends != (0, n)
        ]
        # at the start of an axis nothing lies before: the next row begins there too
        first = [ranges[axis].start if box[axis][0] else -1 for axis in cut]

        def is_over(place: tuple[int, ...]) -> bool:
            return [place[axis] for axis in cut] < first

        for place in itertools.product(*ranges):
            to, of = [], []
            for number, chunk, (start, stop) in zip(place, self.chunks, box):
                low = max(start, number * chunk)
                high = min(stop, (number + 1) * chunk)
                to.append(slice(low - start, high - start))
                of.append(slice(low - number * chunk, high - number * chunk))
            found[tuple(to)] = self._chunk(place, is_over)[tuple(of)]
        whole = [isinstance(part, slice) for part in key]
        return found[tuple(slice(None) if kept else 0 for kept in whole)]

    def _chunk(
        self, place: tuple[int, ...], is_over: Callable[[tuple[int, ...]], bool]
    ) -> np.ndarray:
        """A chunk; `is_over` says which lie before all regions to come."""
        with self._lock:
            kept = self._kept.get(place)
            if kept is not None:
                self._kept.move_to_end(place)
                return kept
        region = tuple(
            slice(i * c, min((i + 1) * c, n))
            for i, c, n in zip(place, self.chunks, self.shape)
        )
        chunk = np.asarray(self.source[region])  # other threads may read meanwhile
        with self._lock:
            if place not in self._kept:
                self._kept[place] = chunk
                self._bytes += chunk.nbytes
            while self._bytes > self.limit and len(self._kept) > 1:
                oldest = next(iter(self._kept))
                old = next(filter(is_over, self._kept), oldest)
                self._bytes -= self._kept.pop(old).nbytes
        return chunk


def _ends(part: Any, length: int) -> tuple[int, int]:
    """The start and the stop of a slice without a step, or of an index."""
    if isinstance(part, slice):
        start, stop, step = part.indices(length)
        if step != 1:
            raise ValueError(f"a region must have no steps, got {part}")
        return start, max(stop, start)
    index = int(part) % length
    return index, index + 1


def cached_chunks(source: Any, limit: float) -> Any:
    """`source` with its last chunks kept, where it has any."""
    chunks = getattr(source, "chunks", None)
    regular = isinstance(chunks, tuple) and all(isinstance(c, int) for c in chunks)
    return ChunkCache(source, limit) if regular and chunks else source
