"""Many small images through a layer, in blocks: processes, threads, and in memory.

The data of some thousands of images lie in a file and come again until there are
enough. Every way holds all solutions in memory in the end, as a user wants them; those
by processes read the data from the file, block by block.
"""

import numpy as np

from convinv import ConvLinearOperator, gallery

from ..support.apart import apart
from ..support.measure import clock

SIDE = 64
PROCESSES, THREADED = 1.6, 1.1  # the bars
WAYS = {  # name: (threads of a process, function, its arguments)
    "one process of one thread": (1, "from_file", ()),
    "two workers of one thread": (1, "by_workers", (2,)),
    "one worker of one thread": (1, "by_workers", (1,)),
    "in memory": (None, "in_memory", ()),
    "threaded scheduler": (None, "by_threads", ()),
    "two workers that keep memory": (1, "by_workers", (2, True)),
}
COMPARED = {  # by the bars
    "one process of one thread",
    "two workers of one thread",
    "in memory",
    "threaded scheduler",
}
# Dask lets its workers give memory back to the system at once; these keep it.
KEEPING = {
    "MALLOC_ARENA_MAX": 1,
    "MALLOC_MMAP_THRESHOLD_": 2**25,
    "MALLOC_TRIM_THRESHOLD_": 2**33,
}


def measure(sizes, folder):
    """Rows: seconds of every way, the least of some rounds in turn."""
    path = data(sizes.distinct, folder)
    times, norms = {name: [] for name in WAYS}, {}
    for _ in range(sizes.rounds):
        for name, (threads, function, more) in WAYS.items():
            call = globals()[function]
            arguments = path, sizes.images, sizes.block, *more
            (seconds, norms[name]), _ = apart(call, *arguments, threads=threads)
            times[name].append(seconds)
    reference = norms["in memory"]
    return [
        {
            "case": name,
            "images": sizes.images,
            "block": sizes.block,
            "seconds": min(taken),
            "all seconds": taken,
            "difference": abs(norms[name] / reference - 1),
        }
        for name, taken in times.items()
    ]


def operator():
    kernel = gallery.conv_layer(3, 8, rng=0, dtype=np.float32)
    return ConvLinearOperator(kernel, (3, SIDE, SIDE))


def data(distinct, folder):
    """A file with the data of so many images: pieces of the mosaic with noise."""
    from .problems import PROBLEMS

    path = folder / f"batch-{distinct}.npy"
    if path.exists():
        return path
    shape = distinct, *operator().output_shape
    part = path.with_suffix(".part.npy")
    b = np.lib.format.open_memmap(part, "w+", np.float32, shape)
    length, row = SIDE - 2, 128  # images side by side
    for n in range(distinct):
        i, j = (length * place for place in divmod(n, row))
        b[n] = PROBLEMS["layer"].data(slice(i, i + length), slice(j, j + length))
    b.flush()
    part.rename(path)
    return path


def _blocks(path, images, block):
    """The first and last image in the file of every block."""
    distinct = len(np.load(path, mmap_mode="r"))
    block = min(block, distinct)
    starts = (n % (distinct // block * block) for n in range(0, images, block))
    counts = (min(block, images - n) for n in range(0, images, block))
    return [(start, start + count) for start, count in zip(starts, counts)]


def from_file(path, images, block):
    """Seconds of `convinv.solve` on block after block, and the sum of squares."""
    return _in_turn(path, images, block, lambda first, last: _piece(path, first, last))


def in_memory(path, images, block):
    """The same with the data in memory."""
    b = np.load(path)
    return _in_turn(path, images, block, lambda first, last: b[first:last])


def _in_turn(path, images, block, data):
    from convinv import solve

    op = operator()
    solve(op, data(0, min(block, 8)))

    def call():
        parts = [
            solve(op, data(first, last)).x
            for first, last in _blocks(path, images, block)
        ]
        return sum(float(np.sum(x**2, dtype=float)) for x in parts)

    return clock(call)


def by_threads(path, images, block):
    """The same by Dask's scheduler of threads."""
    import dask

    op = operator()
    with dask.config.set(scheduler="threads"):
        _dask_sum(op, path, block, block)
        return clock(lambda: _dask_sum(op, path, images, block))


def by_workers(path, images, block, workers, keep=False):
    """The same by processes of one thread each, which may `keep` free memory."""
    import dask
    from dask.distributed import Client, LocalCluster

    op = operator()
    options = {"distributed.worker.memory.terminate": False}
    if keep:
        options["distributed.nanny.pre-spawn-environ"] = KEEPING
    with (
        dask.config.set(options),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster),
    ):
        _dask_sum(op, path, 2 * workers * block, block)
        return clock(lambda: _dask_sum(op, path, images, block))


def _dask_sum(op, path, images, block):
    """The sum of squares of the solutions, which the workers hold."""
    import dask
    import dask.array as da

    from convinv import distributed

    pieces = [
        da.from_delayed(
            dask.delayed(_piece)(path, first, last),
            (last - first, *op.output_shape),
            np.float32,
        )
        for first, last in _blocks(path, images, block)
    ]
    x = distributed.solve(op, da.concatenate(pieces)).x
    return float((x**2).sum(dtype=float).compute())


def _piece(path, first, last):
    return np.array(np.load(path, mmap_mode="r")[first:last])


def findings(rows):
    """``(text, whether the bar is met)`` of every bar."""
    times = {row["case"]: row["seconds"] for row in rows}
    if not COMPARED <= times.keys():
        return
    faster = times["one process of one thread"] / times["two workers of one thread"]
    slower = times["threaded scheduler"] / times["in memory"]
    count = rows[0]["images"]
    yield (
        f"{count:,} images: two workers {faster:.2f} times as fast as one process "
        f"(bar {PROCESSES})",
        faster >= PROCESSES,
    )
    yield (
        f"{count:,} images: threaded scheduler {slower:.2f} times the time in memory "
        f"(bar {THREADED})",
        slower <= THREADED,
    )
