"""Sweeps over arrays in memory or in files, some tiles at a time."""

from __future__ import annotations

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from .._core.arrays import placement
from .._core.blas_threads import one_blas_thread
from .._core.threads import limited_threads, thread_count
from .plan import PASSES, TilePlan
from .tile import read


def tiles_at_once(xp: Any) -> int:
    """How many tiles `ArrayDriver` works at: on a device one, whose stream is one's."""
    return thread_count() if xp is np else 1


class ArrayDriver:
    """Runs the methods of a plan on arrays, a tile for each thread.

    Parameters
    ----------
    out : array, optional
        ``(B, C, *spatial)``, where sweeps leave x in turn with an array of the
        driver's; any object that is read and written by slices.
    scratch : bool
        Keep the driver's arrays in temporary files instead of memory.
    """

    def __init__(self, out: Any = None, scratch: bool = False):
        self.out, self.scratch = out, scratch
        # a chunk that two tiles share is read, changed and written again
        self._writing = threading.Lock()

    def map(
        self, plan: TilePlan, name: str, *arrays: Any, **arguments: Any
    ) -> tuple[Any, ...]:
        """See `Driver`."""
        todo = PASSES[name]
        results = [self._array(plan) for _ in range(todo.writes)]
        if name == "sweep" and self.out is not None and arrays[0] is not self.out:
            results = [self.out]
        method = partial(getattr(plan, name), **arguments)
        work = partial(self._done, method, todo, arrays, results)
        tiles = getattr(plan, todo.tiles)
        count = min(tiles_at_once(plan.xp), len(tiles))
        if count == 1:
            sums = [work(tile) for tile in tiles]
        else:
            sums = _side_by_side(work, tiles, count)
        return (*results, sum(sums[1:], start=sums[0]))

    def finish(self, plan: TilePlan, x: Any) -> Any:
        """x in `out`, where there is one."""
        if self.out is None or x is self.out:
            return x
        for tile in plan.tiles:
            self.out[(..., *tile.core)] = x[(..., *tile.core)]
        return self.out

    def _array(self, plan):
        """An array like x, whose memory is free when nobody holds it any more."""
        shape = (plan.batch, *plan.op.input_shape)
        if self.scratch and plan.xp is np:
            with tempfile.TemporaryFile(prefix="convinv-") as file:
                return np.memmap(file, dtype=plan.dtype, mode="w+", shape=shape)
        place = placement(plan.parts[0].op.kernel)
        return plan.xp.empty(shape, dtype=plan.dtype, **place)

    def _done(self, method, todo, arrays, results, tile):
        """What a tile adds to the sums; its cores are written."""
        given = [
            None if array is None else read(array, tile.runs(of))
            for array, of in zip(arrays, todo.reads, strict=True)
        ]
        found = method(tile, *given)
        *cores, sums = found if todo.writes else (found,)
        with self._writing:
            for result, core in zip(results, cores, strict=True):
                result[(..., *tile.core)] = core
        return sums


def _side_by_side(work, tiles, count):
    """``work(tile)`` of all tiles in order, each by one of so many threads."""
    share = max(thread_count() // count, 1)
    blas = one_blas_thread if share == 1 else nullcontext()

    def one(tile):
        with limited_threads(lambda: share), np.errstate(all="ignore"):
            return work(tile)

    pool = ThreadPoolExecutor(count)
    try:
        with blas:
            return list(pool.map(one, tiles))
    finally:
        pool.shutdown(cancel_futures=True)
