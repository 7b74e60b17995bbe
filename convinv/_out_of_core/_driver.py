"""The steps of an iteration over files, each tile of which is done once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from .._files import Blocks, Record, Workplace
from .._tiles import PASSES, Dots, Norms, TilePlan
from ._frames import Frames
from ._tasks import Done, Runner, TileTask

# Told of every tile: the name of the step, its number, tiles done, all tiles.
Progress = Callable[[str, int, int, int], None]
SUMS = {"Norms": Norms, "Dots": Dots}


class FileArray:
    """An array in blocks, and the checksums that they were written with.

    The driver uses its folder again when nobody holds the object any more.
    """

    def __init__(self, blocks: Blocks):
        self.blocks = blocks
        self.checksums: dict[int, int] = {}


class FileDriver:
    """Runs the methods of a plan for all tiles, by a journal.

    Steps that an earlier run finished are not done again: what they returned is in the
    journal, so that `iterate` takes the same way and comes to where that run was. No
    step writes to the arrays that it reads.

    Parameters
    ----------
    b : Frames
        The right-hand side, which `iterate` is to be given too.
    work : Workplace
    group : int
        The number of the right-hand side, which distinguishes it in the journal.
    records : list of dict
        Of earlier runs, those of this right-hand side.
    runner : callable
        See `Runner`.
    progress : callable, optional
        See `Progress`.
    """

    def __init__(
        self,
        b: Frames,
        work: Workplace,
        group: int,
        records: list[Record],
        runner: Runner,
        progress: Progress | None = None,
    ):
        self.b, self.work, self.group = b, work, group
        self._run, self._progress = runner, progress
        self._steps = 0
        self._checked = False  # the blocks that an earlier run wrote
        self._held: weakref.WeakValueDictionary[int, FileArray] = (
            weakref.WeakValueDictionary()
        )
        self._tiles: dict[int, dict[int, Done]] = {}
        self._finished: set[int] = set()
        for record in records:
            if "tile" in record:
                done = _read(record)
                self._tiles.setdefault(record["step"], {})[done.number] = done
            else:
                self._finished.add(record["step"])

    def map(
        self, plan: TilePlan, name: str, *arrays: Any, **arguments: Any
    ) -> tuple[Any, ...]:
        """See `convinv._tiles.Driver`."""
        step, self._steps = self._steps, self._steps + 1
        written = [self._array(plan) for _ in range(PASSES[name].writes)]
        done = self._tiles.pop(step, {})
        if step not in self._finished:
            self._complete(plan, name, step, arrays, arguments, written, done)
        in_order = [done[number] for number in range(len(plan.tiles))]
        for place, array in enumerate(written):
            array.checksums = {one.number: one.checksums[place] for one in in_order}
        return (*written, reduce(add, (one.sums for one in in_order)))

    def _complete(
        self,
        plan: TilePlan,
        name: str,
        step: int,
        arrays: tuple[Any, ...],
        arguments: dict[str, Any],
        written: list[FileArray],
        done: dict[int, Done],
    ) -> None:
        """Do the tiles of a step that are not done yet."""
        if not self._checked:
            self._check_blocks(plan, arrays, written, done)
            self._checked = True
        count = len(plan.tiles)

        def take(result: Done) -> None:
            done[result.number] = result
            place = {"group": self.group, "step": step}
            self.work.journal.add({**place, **_record(result)})
            if self._progress is not None:
                self._progress(name, step, len(done), count)

        given = [a.blocks if isinstance(a, FileArray) else a for a in arrays]
        task = TileTask(plan, name, given, arguments, [a.blocks for a in written])
        missing = [number for number in range(count) if number not in done]
        if missing:
            self._run(task, missing, take)
        for array in written:
            array.blocks.sync()
        self.work.journal.add({"group": self.group, "step": step})
        self.work.journal.sync()

    def _check_blocks(
        self,
        plan: TilePlan,
        arrays: tuple[Any, ...],
        written: list[FileArray],
        done: dict[int, Done],
    ) -> None:
        """Compare the blocks of an earlier run with the checksums in its journal.

        Those of the step that it was at are not known to be on the disk if the machine
        has gone down: they are done again. Those before are.
        """
        tiles = plan.tiles
        for number, result in list(done.items()):
            for array, checksum in zip(written, result.checksums):
                if array.blocks.checksum(tiles[number].place) != checksum:
                    done.pop(number, None)
        for array in self._held.values():
            for number, checksum in array.checksums.items():
                if array.blocks.checksum(tiles[number].place) != checksum:
                    raise ValueError(
                        f"{array.blocks.folder!r} is damaged: a tile differs from what "
                        "an earlier run wrote; begin anew with --restart"
                    )

    def _array(self, plan: TilePlan) -> FileArray:
        """An array like x in the first folder that no other one is in."""
        number = next(n for n in range(len(self._held) + 1) if n not in self._held)
        folder = self.work.folder / f"x-{number}"
        folder.mkdir(exist_ok=True)
        cores = [tile.core for tile in plan.tiles]
        edges = tuple(
            (*sorted({core[a].start for core in cores}), max(c[a].stop for c in cores))
            for a in range(len(cores[0]))
        )
        lead = (plan.batch, plan.op.input_shape[0])
        made = FileArray(Blocks(folder, edges, lead, plan.dtype))
        self._held[number] = made
        return made


def _record(done: Done) -> Record:
    """A finished tile for the journal; floats come back from it to the bit."""
    sums = [np.asarray(part, float).tolist() for part in done.sums]
    return {
        "tile": done.number,
        type(done.sums).__name__: sums,
        "checksums": list(done.checksums),
    }


def _read(record: Record) -> Done:
    name = next(name for name in SUMS if name in record)
    parts = [
        np.array(part) if isinstance(part, list) else part for part in record[name]
    ]
    return Done(record["tile"], SUMS[name](*parts), tuple(record["checksums"]))
