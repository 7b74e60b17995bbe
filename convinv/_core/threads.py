"""A pool of Python threads that run compiled functions on ranges of tasks.

Kernels are compiled as serial functions that release the interpreter lock and take a
range of tasks; `parallel_for` divides the tasks among threads. Numba's own threading
layers are not used: one of them aborts the process when two threads start parallel code
at once, another kills a forked child at its first parallel kernel. Here concurrent
callers share one pool, and a forked child makes a new one.
"""

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

# The work below which a second thread costs more than it saves, and the work after
# which a kernel returns to Python so that Ctrl-C works; in multiplications, at some
# 10**10 of them in a second.
SERIAL_WORK = 1e6
CHUNK_WORK = 1e8


class _Limit(threading.local):
    """What `limited_threads` asks for in the thread that runs."""

    most: Callable[[], int] | None = None


_limit = _Limit()


@contextlib.contextmanager
def limited_threads(most: Callable[[], int]) -> Iterator[None]:
    """Let what this thread computes take ``most()`` threads at a time, this among them.

    It is asked at each parallel loop: the share of one caller changes as others come
    and go.
    """
    before, _limit.most = _limit.most, most
    try:
        yield
    finally:
        _limit.most = before


def thread_count() -> int:
    """Threads to use: those of the process, or fewer inside `limited_threads`."""
    count = process_threads()
    return count if _limit.most is None else max(min(count, _limit.most()), 1)


def process_threads() -> int:
    """Threads of the process: numba.set_num_threads where it was used, else its own."""
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    if parallel is not None and getattr(parallel, "_is_initialized", False):
        return sys.modules["numba"].get_num_threads()
    return _default_threads()


def _default_threads() -> int:
    """The value of NUMBA_NUM_THREADS that numba has read; else one per processor."""
    config = sys.modules.get("numba.core.config")
    if config is not None and hasattr(config, "NUMBA_NUM_THREADS"):
        return max(int(config.NUMBA_NUM_THREADS), 1)
    said = os.environ.get("NUMBA_NUM_THREADS", "")
    if said.isdecimal():
        return max(int(said), 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    executor: ThreadPoolExecutor | None = None


def _forget():
    _Pool.executor = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _executor():
    if _Pool.executor is None:
        _Pool.executor = ThreadPoolExecutor(
            _default_threads(), thread_name_prefix="convinv"
        )
    return _Pool.executor


def parallel_for(kernel, tasks: int, work: float, *args) -> None:
    """Call ``kernel(first, last, *args)`` on ranges that cover ``range(tasks)``.

    `work` is the work of all tasks together, in multiplications. Tasks must write to
    disjoint places: the thread that runs a task, and the time, are not defined.
    """
    threads = min(thread_count(), tasks)
    if threads <= 1 or work < SERIAL_WORK:
        threads = 1
    pieces = max(threads * 4 if threads > 1 else 1, int(work / CHUNK_WORK) + 1)
    pieces = min(pieces, tasks)
    if pieces <= 1:
        if tasks:
            kernel(0, tasks, *args)
        return
    _share(
        lambda piece: kernel(
            piece * tasks // pieces, (piece + 1) * tasks // pieces, *args
        ),
        pieces,
        threads,
    )


def parallel_map(function, items) -> list:
    """``[function(item) for item in items]`` on the threads of the pool."""
    results = [None] * len(items)

    def call(piece):
        results[piece] = function(items[piece])

    _share(call, len(items), min(thread_count(), len(items)))
    return results


def _share(call, pieces, threads):
    """``call(piece)`` for every piece, on some threads, this one among them."""
    counter = itertools.count()
    stop: list[bool] = []

    def worker():
        for piece in counter:
            if piece >= pieces or stop:
                return
            call(piece)

    futures = [_executor().submit(worker) for _ in range(threads - 1)]
    try:
        worker()
    finally:
        stop.append(True)
        for future in futures:
            if not future.cancel():
                future.result()
