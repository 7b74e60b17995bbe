"""A job from a file to a file: pictures one group after the other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._files import Blocks, Record, Store, Workplace, create_store, open_store
from .._tiles import TilePlan, iterate
from ._driver import FileDriver, Progress
from ._frames import Box, Frames
from ._tasks import Runner, in_turn

GROUP = 2**20  # samples of pictures that are solved together, if one is smaller
COPIED = 2**22  # samples that are copied to the output at once

# Floats as numbers of a dtype, and the share of them that it can't hold.
Convert = Callable[[np.ndarray, np.dtype], tuple[np.ndarray, float]]


class Outcome(NamedTuple):
    """How a job ended.

    Attributes
    ----------
    success : bool
        Whether every picture's normal residual is below the tolerance.
    sweeps : int
        Over all tiles, or iterations, of the picture that took most.
    residual : float
        The largest normal residual, relative to that of ``x = 0``.
    clipped : float
        The share of samples that the output's dtype can't hold.
    """

    success: bool
    sweeps: int
    residual: float
    clipped: float


@dataclass(frozen=True)
class Job:
    """What is computed, and how it is written.

    Attributes
    ----------
    op : ConvLinearOperator or StackedOperator
        That of one right-hand side of `frames`.
    frames : Frames
    frame : tuple of slice
        The part of x that is written, along its spatial axes.
    output : str
        As `create_store` has it. It gets the shape and the dtype of the input.
    convert : callable
        See `Convert`.
    facts : dict
        Texts and numbers that the result depends on, beside the shape of the plan: an
        unfinished job goes on only with the same.
    rtol : float
    tile, halo : tuple of int, optional
        In samples, by default as `TilePlan` chooses them.
    chunks : tuple of int, optional
        Of the output along its spatial axes, by default those of the input.
    memory : float, optional
        Bytes that all tiles at work may take, `at_once` of them.
    at_once : int
    """

    op: Any
    frames: Frames
    frame: tuple[slice, ...]
    output: str
    convert: Convert
    facts: dict[str, Any]
    rtol: float = 1e-6
    tile: tuple[int, ...] | None = None
    halo: tuple[int, ...] | None = None
    chunks: tuple[int, ...] | None = None
    memory: float | None = None
    at_once: int = 1

    def groups(self) -> list[range]:
        """The pictures that are solved together."""
        frames = self.frames
        size = math.prod(frames.size) * frames.channels
        step = max(GROUP // size, 1)
        starts = range(0, frames.count, step)
        return [range(a, min(a + step, frames.count)) for a in starts]

    def plan(self, pictures: range, like: TilePlan | None = None) -> TilePlan:
        """The tiles of a group, those of another one's plan if there is one."""
        frames = self.frames
        return TilePlan(
            self.op,
            dtype=frames.dtype,
            batch=frames.of(pictures).shape[0],
            tile=self.tile if like is None else like.layout.tile,
            halo=self.halo if like is None else like.layout.halo,
            memory=None if self.memory is None else self.memory / self.at_once,
            rtol=self.rtol,
        )

    def problem(self, plan: TilePlan) -> dict[str, Any]:
        """What must be the same for an unfinished job to go on."""
        store = self.frames.store
        return {
            "input": store.path,
            "shape": list(store.shape),
            "dtype": str(store.dtype),
            **self.facts,
            "rtol": self.rtol,
            "tiles": list(plan.layout.tile),
            "halos": list(plan.layout.halo),
            "chunks": list(self.output_chunks(plan) or ()),
        }

    def output_chunks(self, plan: TilePlan) -> tuple[int, ...] | None:
        """Chunks of the output: no two pictures and no two tiles share one.

        The latter where chunks are given or the file's own divide a tile.
        """
        frames, store = self.frames, self.frames.store
        spatial = self.chunks
        if spatial is None:
            spatial = plan.layout.tile
            if store.chunks is not None:
                spatial = tuple(store.chunks[a] for a in frames.places)
        found = [1] * store.ndim
        if frames.channel_axis is not None:
            found[frames.channel_axis] = frames.channels
        for axis, chunk in zip(frames.places, spatial):
            found[axis] = min(chunk, store.shape[axis])
        return tuple(found)


def solve_in_files(
    job: Job,
    *,
    force: bool = False,
    restart: bool = False,
    runner: Runner = in_turn,
    progress: Progress | None = None,
    started: Callable[[TilePlan, Workplace], None] | None = None,
) -> Outcome:
    """Do a job, or what an earlier run has left of it.

    Parameters
    ----------
    job : Job
    force : bool
        Whether the output replaces what has its name.
    restart : bool
        Whether to begin anew.
    runner, progress : callable
        See `Runner` and `Progress`.
    started : callable, optional
        Told of the plan and the workplace before the first tile.

    Returns
    -------
    Outcome

    Raises
    ------
    OSError
        For a full disk among others. What is done stays.
    """
    groups = job.groups()
    plan = job.plan(groups[0])
    with Workplace(job.output, job.problem(plan), force=force, restart=restart) as work:
        if started is not None:
            started(plan, work)
        left = _records_by_group(work)
        outcomes = {n: found for n in left if (found := _outcome(left[n])) is not None}
        if not work.is_whole:
            with _working_store(job, plan, work) as store:
                for number, pictures in enumerate(groups):
                    if number in outcomes:
                        continue
                    if len(pictures) != len(groups[0]):  # the last one
                        plan = job.plan(pictures, plan)
                    b, records = job.frames.of(pictures), left.get(number, [])
                    driver = FileDriver(b, work, number, records, runner, progress)
                    outcomes[number] = _solve_group(job, plan, driver, store)
        work.finish()
    return Outcome(
        all(one.success for one in outcomes.values()),
        max(one.sweeps for one in outcomes.values()),
        max(one.residual for one in outcomes.values()),
        float(np.mean([one.clipped for one in outcomes.values()])),
    )


def _records_by_group(work: Workplace) -> dict[int, list[Record]]:
    """What an earlier run left in the journal, for each group that it began."""
    found: dict[int, list[Record]] = {}
    for record in work.journal.records:
        if "group" in record:
            found.setdefault(record["group"], []).append(record)
    return found


def _outcome(records: list[Record]) -> Outcome | None:
    """That of a group that is in the output, None of another one."""
    found = [record["outcome"] for record in records if "outcome" in record]
    return Outcome(*found[0]) if found else None


def _working_store(job: Job, plan: TilePlan, work: Workplace) -> Store:
    """The output under its working name, made if no earlier run has."""
    if any("output" in record for record in work.journal.records):
        return open_store(work.working, "r+")
    work.discard_working()
    source = job.frames.store
    chunks = job.output_chunks(plan)
    made = create_store(work.working, source.shape, source.dtype, chunks, source)
    work.sync()
    work.journal.add({"output": "made"})
    return made


def _solve_group(job: Job, plan: TilePlan, driver: FileDriver, store: Store) -> Outcome:
    """Solve a group of pictures, and write them to the output."""
    found = iterate(plan, driver, driver.b, rtol_normal=job.rtol, rtol=job.rtol)
    clipped = _copy(job, found.x.blocks, driver.b, store)
    store.flush()
    driver.work.sync()
    normal, start = found.norms.normal, found.norms.gradient
    residual = float(np.sqrt(np.max(normal / np.where(start > 0, start, 1))))
    good, sweeps = bool(found.good.all()), len(found.history)
    outcome = Outcome(good, sweeps, residual, clipped)
    driver.work.journal.add({"group": driver.group, "outcome": list(outcome)})
    return outcome


def _copy(job: Job, x: Blocks, frames: Frames, store: Store) -> float:
    """Write x to the output, box by box; the share of samples that were clipped."""
    pictures = frames.pictures
    assert pictures is not None
    clipped = 0.0
    for box in _boxes(frames, store, len(pictures)):
        shifted = tuple(
            slice(part.start + shown.start, part.stop + shown.start)
            for part, shown in zip(box, job.frame)
        )
        samples = x[(..., *shifted)]
        samples = samples.reshape(len(pictures), frames.channels, *samples.shape[2:])
        stored, share = job.convert(samples, store.dtype)
        clipped += share * samples.size
        for picture, part in zip(pictures, stored):
            store[frames.place(picture, box)] = frames.in_store(part)
    return clipped / (len(pictures) * frames.channels * math.prod(frames.size))


def _boxes(frames: Frames, store: Store, pictures: int) -> Iterator[Box]:
    """Boxes of whole chunks that cover a picture, or of whole lines without chunks."""
    size, most = frames.size, COPIED // (pictures * frames.channels)
    if store.chunks is None:
        side = [1] * (len(size) - 1) + [size[-1]]
    else:
        side = [store.chunks[a] for a in frames.places]
    for axis in reversed(range(len(size))):
        times = max(most // math.prod(side), 1)
        side[axis] = min(side[axis] * times, size[axis])
    ranges = [
        [slice(a, min(a + step, n)) for a in range(0, n, step)]
        for step, n in zip(side, size)
    ]
    return iter(itertools.product(*ranges))
