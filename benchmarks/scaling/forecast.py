"""Simulated beside measured times, and a simulation of 10^12 pixels on many workers."""

import statistics
from typing import NamedTuple

from .model import Measured, bytes_per_pixel, fit, operations, traffic
from .problems import PROBLEMS
from .simulate import Cluster, bounds, simulate
from .timed import Setting

SIDE = 1_000_000  # 10^12 pixels
TILES, HALOS = (256, 512, 1024, 2048, 4096), (32, 128, 512)  # of the cost model
# What a cluster's parts are taken for: round figures of parallel file systems, of
# 10-gigabit links and of Dask's scheduler. They are assumptions, not measurements.
STORAGE, NETWORK, LINK, DISPATCH = 100e9, 500e9, 1.25e9, 2e-4
DAY, HOUR = 1 / 24, 1.0  # failures of a worker in an hour


def compare(rows):
    """Simulated over measured seconds of every measured run.

    The rates come from runs of the same problem by one worker with other tiles, so that
    no run has a part in its own forecast.
    """
    found = []
    for row in rows:
        others = [r for r in rows if _like(r, row) and _cut(r) != _cut(row)]
        if not others:
            continue
        job = _setting(row).job()
        cluster = Cluster(row["workers"], spread=_spread(others))
        simulated = simulate(job, cluster, _rates(others))
        measured = [phase["seconds"] for phase in row["phases"]]
        found.append(
            {
                "case": row["case"],
                "measured": sum(measured),
                "simulated": simulated.seconds,
                "ratio": simulated.seconds / sum(measured),
                "phases": [s / m for s, m in zip(simulated.phases, measured)],
            }
        )
    return found


def _like(other, row):
    return other["problem"] == row["problem"] and other["workers"] == 1


def _cut(row):
    return row["tile"], row["halo"]


def _setting(row):
    return Setting(**{name: row[name] for name in Setting._fields})


def _rates(rows):
    """The rates that runs by one worker show."""
    return fit(
        [
            Measured(
                _setting(row).job(), p["phase"], p["compute"], p["read"], p["write"]
            )
            for row in rows
            for p in row["phases"]
        ]
    )


def _spread(rows):
    """Quantiles of a task's seconds over their mean, of all runs together."""
    return tuple(q for row in rows for phase in row["phases"] for q in phase["spread"])


def costs():
    """Rows of the cost model: what a pixel costs in a sweep, by tile and halo."""
    for name in PROBLEMS:
        for halo in HALOS:
            for tile in TILES:
                job = Setting(name, SIDE, tile, halo, 1, None).job()
                moved, area = traffic(job), tile**job.axes
                yield {
                    "problem": name,
                    "tile": tile,
                    "halo": halo,
                    "bytes": bytes_per_pixel(job),
                    "halo bytes": moved.halo / area,
                    "operations": operations(job) / area,
                    "redundancy": job.redundancy,
                }


class Scene(NamedTuple):
    """What is simulated: a change of the common case."""

    title: str
    job: dict = {}
    cluster: dict = {}


def scenes(tile, workers):
    """What is simulated for each problem: one change at a time."""
    yield Scene("all as assumed")
    for count in (workers // 100, workers // 10, workers * 4):
        yield Scene(f"{count:,} workers", cluster={"workers": count})
    for other in (tile // 2, tile * 2):
        yield Scene(f"tiles of {other}", job={"tile": other})
    for share in (0.25, 4):
        speed = STORAGE * share
        yield Scene(f"storage {speed / 1e9:g} GB/s", cluster={"storage": speed})
    yield Scene("image in the workers' memories", cluster={"holds": True})
    yield Scene("1 % of workers 5 times slower", cluster=_slow())
    yield Scene("a worker fails once a day", cluster={"failures": DAY})
    yield Scene("a worker fails once an hour", cluster={"failures": HOUR})
    yield Scene(
        "once a day, with the image in their memories",
        cluster={"failures": DAY, "holds": True},
    )


def _slow():
    return {"slow_share": 0.01, "slow_factor": 5.0}


def simulated(rows, side=SIDE, tile=4096, workers=1000, seed=0):
    """Rows of the simulation for every problem that was measured."""
    for name in dict.fromkeys(row["problem"] for row in rows):
        ones = [r for r in rows if r["problem"] == name and r["workers"] == 1]
        rates = _rates(ones)
        widest = max(ones, key=lambda row: row["halo"])
        base = _setting(widest).job()._replace(side=side, tile=tile, chunk=1024)
        common = Cluster(
            workers,
            storage=STORAGE,
            network=NETWORK,
            link=LINK,
            dispatch=DISPATCH,
            spread=_spread(ones),
        )
        for scene in scenes(tile, workers):
            job = base._replace(**scene.job)
            cluster = common._replace(**scene.cluster)
            yield _row(name, scene.title, job, cluster, rates, seed)


def _row(name, title, job, cluster, rates, seed):
    found = simulate(job, cluster, rates, seed)
    least = bounds(job, cluster, rates)
    return {
        "problem": name,
        "what": title,
        "pixels": job.pixels,
        "workers": cluster.workers,
        "tile": job.tile,
        "halo": job.halo,
        "sweeps": job.sweeps,
        "seconds": found.seconds,
        "bound": max(least, key=least.get),
        "bounds": least,
        "computing": found.computing,
        "again": found.tasks - job.tiles * len(job.phases),
        "failures": found.failures,
        "terabytes": (found.stored + found.sent) / 1e12,
        "bytes per pixel": statistics.mean(bytes_per_pixel(job, p) for p in job.phases),
    }
