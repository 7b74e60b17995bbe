"""The steps of an iteration over tiles as graphs of Dask, each tile one task.

All tiles of a step read what the step before has left: the result does not depend on
who makes which tile, and when.
"""

from __future__ import annotations

import functools
import itertools
import operator
from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from .._tiles import PASSES, TilePlan
from ._computing import held
from ._shipped import Shipped
from ._strips import Strips, join
from ._threads import share_of_threads

FEW = 32  # sums that one task adds up


class DaskDriver:
    """Runs the methods of a plan on arrays of Dask, which the workers hold.

    Parameters
    ----------
    plan : TilePlan
        With the units that it is to have.
    like : dask.array.Array
        Of the library of the chunks.
    progress : bool
    """

    def __init__(self, plan: TilePlan, like: da.Array, progress: bool) -> None:
        self.shipped, self.like, self.progress = Shipped(plan), like, progress

    def map(
        self, plan: TilePlan, name: str, *arrays: Any, **arguments: Any
    ) -> tuple[Any, ...]:
        """See `convinv._tiles.Driver`."""
        *found, sums = held(
            *_Step(self, plan, name, arrays, arguments).results(),
            progress=self.progress,
        )
        return (*found, sums.compute()[0])


class _Step:
    """The tasks of a method for every tile, and the arrays that they make."""

    def __init__(self, driver, plan, name, arrays, arguments):
        self.plan, self.name, self.like = plan, name, driver.like
        self.arrays, self.arguments = arrays, arguments
        self.todo, self.shipped = PASSES[name], driver.shipped
        names = [None if array is None else array.name for array in arrays]
        self.token = tokenize(self.shipped, name, names, arguments)

    def _called(self, word):
        return f"convinv-{self.name}-{word}-{self.token}"

    def results(self) -> list[da.Array]:
        """The arrays like x, and one of the sum, before anything is computed.

        All are arrays: Dask would compute for each kind of collection by itself.
        """
        made, sent = self._called("tile"), self._called("plan")
        run = functools.partial(run_tile, name=self.name, **self.arguments)
        strips = [
            None if array is None else Strips(array, self.plan.ndim, self._called(i))
            for i, array in enumerate(self.arrays)
        ]
        graph: dict[Any, Any] = {sent: self.shipped}
        tiles = getattr(self.plan, self.todo.tiles)
        for number, tile in enumerate(tiles):
            pieces = [
                None if one is None else one.joined((0, 0), _bounds(tile.runs(of)))
                for one, of in zip(strips, self.todo.reads, strict=True)
            ]
            graph[(made, *tile.place)] = (run, sent, number, pieces)
        keys = [(made, *tile.place) for tile in tiles]
        sums = self._summed(graph, keys)
        outputs = [self._output(graph, keys, i) for i in range(self.todo.writes)]
        for one in strips:
            graph |= {} if one is None else one.tasks
        needed = [array for array in self.arrays if array is not None]
        whole = HighLevelGraph.from_collections(sums, graph, dependencies=needed)
        told = da.Array(whole, sums, ((1,),), meta=np.empty(0, object))
        return [*(self._array(whole, name, sums) for name in outputs), told]

    def _summed(self, graph, keys):
        """The name of the sum of what tiles return last; adds its tasks."""
        last = operator.itemgetter(-1)
        parts = []
        for key in keys:
            parts.append((self._called("part"), *key[1:]))
            graph[parts[-1]] = (last, key)
        for level in itertools.count():
            if len(parts) <= FEW:
                break
            groups = [parts[i : i + FEW] for i in range(0, len(parts), FEW)]
            parts = [(self._called("sums"), level, i) for i in range(len(groups))]
            graph |= {key: (_total, group) for key, group in zip(parts, groups)}
        name = self._called("sum")
        graph[(name, 0)] = (_boxed, parts)
        return name

    def _output(self, graph, keys, number):
        """The name of one of the arrays that tiles make up; adds its tasks."""
        name = self._called(f"output{number}")
        take = operator.itemgetter(number)
        graph |= {(name, 0, 0, *key[1:]): (take, key) for key in keys}
        return name

    def _array(self, graph, name, layer):
        plan = self.plan
        chunks = ((plan.batch,), plan.op.input_shape[:1], *_cores(plan))
        meta = meta_from_array(self.like._meta, len(chunks), dtype=plan.dtype)
        return da.Array(_named(graph, name, layer), name, chunks, meta=meta)


def _named(graph, name, layer):
    """A graph with the tasks of a layer under one more name, by which it is found."""
    layers = {**graph.layers, name: graph.layers[layer]}
    needed = {**graph.dependencies, name: graph.dependencies[layer]}
    return HighLevelGraph(layers, needed)


def _bounds(runs):
    """Slices of each axis as intervals."""
    return [[(run.start, run.stop) for run in along] for along in runs]


def _cores(plan):
    """The lengths of the cores along each axis."""
    along = [[0] * n for n in plan.grid]
    for tile in plan.tiles:
        for axis, (i, core) in enumerate(zip(tile.place, tile.core)):
            along[axis][i] = core.stop - core.start
    return [tuple(lengths) for lengths in along]


def run_tile(
    shipped: Shipped, number: int, pieces: list, *, name: str, **arguments: Any
) -> tuple[Any, ...]:
    """What a method of a plan returns for a tile, from pieces of what that reads."""
    plan = shipped.value
    tile = getattr(plan, PASSES[name].tiles)[number]
    arrays = [None if one is None else join(one, plan.ndim) for one in pieces]
    with share_of_threads():
        found = getattr(plan, name)(tile, *arrays, **arguments)
    return found if PASSES[name].writes else (found,)


def _total(parts: list) -> Any:
    return functools.reduce(operator.add, parts)


def _boxed(parts: list) -> np.ndarray:
    """The sum of some parts as the one entry of an array."""
    found = np.empty(1, object)
    found[0] = _total(parts)
    return found
