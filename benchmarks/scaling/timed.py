"""Sweeps over tiles in files by one or more processes, with the seconds of each task.

Every process has one thread. It reads and writes the same zarr stores as the others;
the image is written into one of two, and read from the other. Tasks are handed out one
by one, and a sweep begins when the one before has ended. The image is periodic, so that
all tiles are alike, as nearly all of a very large image are.
"""

import multiprocessing
import time
from typing import NamedTuple

import numpy as np

from convinv import ConvLinearOperator

from ..support.threads import inherited
from .model import CHECK, FIRST, SWEEP, Job
from .problems import PROBLEMS, empty, store

SWEEPS = 3  # that are timed
QUANTILES = 33


class Setting(NamedTuple):
    """How an image is cut, and how many processes work on it."""

    problem: str
    side: int
    tile: int
    halo: int
    workers: int
    chunk: int

    def __str__(self):
        return (
            f"{self.problem}, {self.side}x{self.side}, tile {self.tile}, "
            f"halo {self.halo}, {self.workers} worker{'s' * (self.workers > 1)}"
        )

    def job(self):
        problem = PROBLEMS[self.problem]
        return Job(
            self.side,
            self.tile,
            self.halo,
            problem.taps,
            problem.c_in,
            problem.c_out,
            chunk=self.chunk,
            sweeps=SWEEPS,
        )


def measure(setting, folder):
    """A row: seconds of every phase, and of the parts of its tasks."""
    problem = PROBLEMS[setting.problem]
    data = store(problem, setting.side + problem.taps - 1, setting.chunk, folder)
    images = [folder / f"image-{parity}.zarr" for parity in (0, 1)]
    for path in images:
        empty(problem, setting.side, setting.tile, path)
    count = len(plan_of(setting).tiles)
    with _pool(setting, data, images) as pool:
        tiles = range(count)
        for phase in (FIRST, SWEEP, CHECK):  # set-ups
            _through(pool, tiles, phase, 0)
        phases = enumerate(setting.job().phases)
        rows = [_through(pool, tiles, phase, number) for number, phase in phases]
    return {
        **setting._asdict(),
        "case": str(setting),
        "tiles": count,
        "normal residual": rows[-1]["left"] / rows[0]["left"],
        "phases": rows,
    }


def plan_of(setting):
    """The plan of tiles, with the stack of the layer and its penalty."""
    from convinv._tiles import TilePlan
    from convinv.operators import DifferenceOperator, StackedOperator

    problem = PROBLEMS[setting.problem]
    shape, options = (problem.c_in, setting.side, setting.side), problem.options
    op = ConvLinearOperator(problem.kernel, shape, padding="same", boundary="periodic")
    if options.get("regularizer") == "gradient":
        steps = DifferenceOperator(shape, boundary="periodic", dtype=op.dtype)
        op = StackedOperator([op, steps.scaled(options["damp"])])
    return TilePlan(op, dtype=op.dtype, tile=setting.tile, halo=setting.halo)


def _pool(setting, data, images):
    context = multiprocessing.get_context("spawn")
    with inherited(1):
        return context.Pool(setting.workers, _begin, (setting, data, images))


def _through(pool, tiles, phase, number):
    """One phase with all tiles: its seconds, and those of its tasks."""
    tasks = [(index, phase, number) for index in tiles]
    start = time.perf_counter()
    found = list(pool.imap_unordered(_task, tasks))
    seconds = time.perf_counter() - start
    parts = np.array([parts for parts, _ in found])
    total = parts.sum(axis=1)
    spread = np.quantile(total / total.mean(), np.linspace(0, 1, QUANTILES))
    return {
        "phase": phase,
        "seconds": seconds,
        **dict(zip(("read", "compute", "write"), parts.mean(axis=0).tolist())),
        "spread": [round(float(q), 4) for q in spread],
        "left": float(np.sqrt(sum(left for _, left in found))),
    }


class _Worker:
    """What a process keeps between tasks."""

    def __init__(self, setting, data, images):
        import zarr

        # without this it would use the cores of other processes
        zarr.config.set({"threading.max_workers": 1, "async.concurrency": 1})
        self.plan = plan_of(setting)
        self.b = zarr.open_array(data, mode="r")
        self.images = [zarr.open_array(path, mode="r+") for path in images]


def _begin(*arguments):
    global worker
    worker = _Worker(*arguments)


def _task(task):
    """Seconds of reading, computing and writing, and the square of what is left."""
    from convinv._tiles import read

    index, phase, number = task
    plan, times = worker.plan, [time.perf_counter()]
    tile = (plan.checks if phase == CHECK else plan.tiles)[index]
    b = read(worker.b, tile.b_runs)[None]
    old = worker.images[number % 2]
    x = None if phase == FIRST else read(old, tile.x_runs)[None]
    times.append(time.perf_counter())
    if phase == CHECK:
        core, norms = None, plan.measure(tile, x, b)
    else:
        core, norms = plan.sweep(tile, x, b)
    times.append(time.perf_counter())
    if core is not None:
        worker.images[1 - number % 2][(slice(None), *tile.core)] = core[0]
    times.append(time.perf_counter())
    left = norms.gradient if phase == FIRST else norms.normal
    return np.diff(times), float(np.sum(left))
