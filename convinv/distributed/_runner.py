"""Runs the tiles of a job from file to file by a scheduler of Dask."""

from __future__ import annotations

import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import dask
import dask.multiprocessing
import dask.threaded
from dask.callbacks import Callback
from dask.system import CPU_COUNT

from .._core.optional import optional
from .._out_of_core import Done, Runner
from ._shipped import Shipped
from ._threads import share_of_threads


@contextmanager
def tile_runner(scheduler: str) -> Iterator[tuple[Runner, int]]:
    """What runs the tiles, and how many at a time.

    Parameters
    ----------
    scheduler : str
        "threads", "processes", or the address of a cluster, whose workers see the files
        under the same names.
    """
    workers = dask.config.get("num_workers", None) or CPU_COUNT
    if scheduler == "threads":
        with ThreadPoolExecutor(workers) as pool:  # which waits for what it has begun
            get = partial(dask.threaded.get, pool=pool)
            yield partial(_locally, get, workers), workers
    elif scheduler == "processes":
        context = dask.multiprocessing.get_context()
        with ProcessPoolExecutor(workers, context, _end_with_parent) as pool:
            get = partial(dask.multiprocessing.get, pool=pool)
            yield partial(_locally, get, workers), workers
    else:
        with _client(scheduler) as client:
            at_once = max(sum(client.nthreads().values()), 1)
            yield partial(_on_cluster, client), at_once


def _end_with_parent() -> None:
    """Let this process end when the one that started it is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _client(address: str) -> Any:
    distributed = optional("distributed", "a cluster of Dask")
    try:
        # a client that does not connect must not stay that of the process
        return distributed.Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OSError(
            "--scheduler must be threads, processes or the address of a scheduler of "
            f"Dask such as tcp://127.0.0.1:8786, got {address!r}: {error}"
        ) from error


class _Taking(Callback):
    """Hands over the results of a local scheduler as soon as they are there."""

    def __init__(self, take: Callable[[Done], None]):
        def posttask(key: Any, result: Any, dsk: Any, state: Any, worker: Any) -> None:
            if isinstance(result, Done):
                take(result)

        super().__init__(posttask=posttask)


def _locally(
    get: Callable[..., Any],
    workers: int,
    function: Callable[[int], Done],
    numbers: Iterable[int],
    take: Callable[[Done], None],
) -> None:
    shipped = Shipped(function)
    graph = {("tile", number): (_run, number, shipped) for number in numbers}
    with _Taking(take):  # a chunk of several tasks would tell of them at its end only
        get(graph, list(graph), num_workers=workers, chunksize=1)


def _on_cluster(
    client: Any,
    function: Callable[[int], Done],
    numbers: Iterable[int],
    take: Callable[[Done], None],
) -> None:
    as_completed = optional("distributed", "a cluster of Dask").as_completed
    shipped = client.scatter(Shipped(function), broadcast=True, hash=False)
    futures = client.map(_run, list(numbers), shipped=shipped, pure=False)
    try:
        with client.as_current():
            for _, result in as_completed(futures, with_results=True):
                take(result)
    finally:
        client.cancel(futures)


def _run(number: int, shipped: Shipped) -> Done:
    with share_of_threads():
        return shipped.value(number)
