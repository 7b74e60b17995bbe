"""Jobs from file to file by the schedulers of Dask: the bits of one tile at a time."""

import os
import signal
import threading

import numpy as np
import pytest

from convinv._out_of_core import solve_in_files
from support.tile_jobs import SIZE, job

dask = pytest.importorskip("dask")
pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from convinv.distributed._runner import tile_runner  # noqa: E402

pytestmark = pytest.mark.slow  # starts processes


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "in.npy", np.random.default_rng().standard_normal(SIZE))
    return tmp_path


def alone(folder):
    solve_in_files(job(folder, "alone.npy"))
    return (folder / "alone.npy").read_bytes()


@pytest.fixture
def cluster():
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1"}
    with distributed.LocalCluster(
        dashboard_address="127.0.0.1:0", memory_limit=None, silence_logs=50, **options
    ) as cluster:
        yield cluster


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_local_schedulers(folder, scheduler):
    seen = []
    with tile_runner(scheduler) as (runner, at_once):
        outcome = solve_in_files(
            job(folder), runner=runner, progress=lambda *told: seen.append(told)
        )
    assert outcome.success and at_once >= 1
    assert (folder / "out.npy").read_bytes() == alone(folder)
    first = [done for _, step, done, _ in seen if step == 0]
    assert first == list(range(1, 10))  # of each tile as soon as it is done


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_an_error_in_a_task_leaves_what_is_done(folder, scheduler):
    b = np.load(folder / "in.npy")
    whole = b[38, 44]
    b[38, 44] = np.nan
    np.save(folder / "in.npy", b)
    with tile_runner(scheduler) as (runner, _):
        with pytest.raises(ValueError, match="in.npy.*NaN"):
            solve_in_files(job(folder), runner=runner)
    assert not (folder / "out.npy").exists()
    b[38, 44] = whole
    np.save(folder / "in.npy", b)
    with tile_runner(scheduler) as (runner, _):
        assert solve_in_files(job(folder), runner=runner).success
    assert (folder / "out.npy").read_bytes() == alone(folder)


def test_a_worker_that_is_killed(folder, cluster):
    """Its tiles go to the other one."""
    workers = [worker.process.process.pid for worker in cluster.workers.values()]
    kill = threading.Event()

    def progress(name, step, done, count):
        if step == 2 and done == 2 and not kill.is_set():
            kill.set()
            os.kill(workers[0], signal.SIGKILL)

    with tile_runner(cluster.scheduler_address) as (runner, at_once):
        assert at_once == 2
        outcome = solve_in_files(job(folder), runner=runner, progress=progress)
    assert outcome.success and kill.is_set()
    assert (folder / "out.npy").read_bytes() == alone(folder)


def test_no_cluster():
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        with pytest.raises(OSError, match="threads, processes or the address"):
            with tile_runner("tcp://127.0.0.1:9"):
                pass
    with pytest.raises((OSError, ValueError), match="threads, processes"):
        with tile_runner("tcp//nowhere"):
            pass
