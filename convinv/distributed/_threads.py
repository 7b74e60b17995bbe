"""The threads that the tasks of one process share.

A scheduler runs as many tasks at a time as it has threads. Where each of them started
threads of its own, they would wait for each other.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import threading
from collections.abc import Iterator

from .._core.blas_threads import one_blas_thread
from .._core.threads import limited_threads, process_threads


class _Tasks:
    """The tasks of this process that run."""

    running = 0
    lock = threading.Lock()


@contextlib.contextmanager
def share_of_threads() -> Iterator[None]:
    """Divide the threads of the process among the tasks that are inside.

    A worker has as many as its scheduler says, a process of a pool has one.
    """
    total = _allowed()
    with _Tasks.lock:
        _Tasks.running += 1
        alone = _Tasks.running == 1
    blas = contextlib.nullcontext() if alone and total > 1 else one_blas_thread
    try:
        with limited_threads(lambda: max(total // _Tasks.running, 1)), blas:
            yield
    finally:
        with _Tasks.lock:
            _Tasks.running -= 1


def _allowed() -> int:
    """The threads of this process that are for tasks."""
    distributed = sys.modules.get("distributed")
    if distributed is not None:
        try:
            return distributed.get_worker().state.nthreads
        except ValueError:  # no task of a worker
            pass
    if multiprocessing.parent_process() is not None:
        return 1
    return process_threads()
