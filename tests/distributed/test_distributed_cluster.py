"""A cluster of two processes on this machine, one of which is killed."""

import os
import pathlib
import signal
import time

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator, solve

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")

pytestmark = pytest.mark.slow  # starts processes

QUIET = {
    "distributed.admin.log-length": 0,
    "distributed.logging.distributed": "critical",
    "distributed.worker.daemon": True,
    "distributed.scheduler.allowed-failures": 5,
}


@pytest.fixture(scope="module")
def client():
    with dask.config.set(QUIET):
        cluster = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=None,
            silence_logs=50,
        )
        with cluster, distributed.Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def op():
    return ConvLinearOperator(
        convinv.gallery.conv_layer(3, 8, rng=5), (3, 24, 20), padding=1
    )


def noisy(op, batch=(), seed=1):
    rng = np.random.default_rng(seed)
    b = op.forward(rng.standard_normal((*batch, *op.input_shape)))
    return b + 0.1 * rng.standard_normal(b.shape)


def test_a_batch(client, op):
    b = noisy(op, (12,))
    expected = solve(op, b, "direct", rtol=1e-10)
    result = solve(op, da.from_array(b, chunks=(2, -1, -1, -1)), "direct", rtol=1e-10)
    assert result.success and distributed.futures_of(result.x)
    assert np.allclose(result.x.compute(), expected.x, atol=1e-9)
    assert (result.extra["nit"] == expected.extra["nit"]).all()


def test_set_ups_are_made_once_in_a_process(client, op):
    """The operator that a process keeps has what the first task set up."""
    b = da.from_array(noisy(op, (8,)), chunks=(1, -1, -1, -1))
    solve(op, b, "direct", rtol=1e-9)

    def kept():
        from convinv.distributed import _shipped

        mine = [s.value for s in _shipped._received if isinstance(s.value, tuple)]
        return [len(value[0].cached_keys) for value in mine][-1:]

    found = client.run(kept)
    assert len(found) == 2
    assert all(keys[0] > 0 for keys in found.values() if keys)


def test_an_image_in_tiles(client, op):
    b = noisy(op)
    expected = solve(op, b, rtol=1e-12, on_failure="ignore").x
    array = da.from_array(b, chunks=(-1, 9, 20))
    for method, options in (("auto", {"tile": 12, "halo": 8}), ("cgls", {})):
        result = solve(op, array, method, rtol=1e-10, **options)
        assert result.success and distributed.futures_of(result.x)
        error = np.linalg.norm(result.x.compute() - expected)
        assert error < 1e-9 * np.linalg.norm(expected)


def test_what_a_chunk_raises(client, op):
    def broken(block):
        raise OSError("this chunk cannot be read")

    b = da.from_array(noisy(op, (4,)), chunks=(2, -1, -1, -1))
    b = b.map_blocks(broken, dtype=float, meta=np.empty((0,) * 4))
    with pytest.raises(OSError, match="cannot be read"):
        solve(op, b)


def killed_once(block, folder=None, block_info=None):
    """A block; the first process that comes to the last one is killed there."""
    mark = pathlib.Path(folder) / "killed"
    if block_info[0]["chunk-location"][0] == 5 and not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return block


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_worker_is_killed_in_the_middle(client, op, tmp_path):
    """Its tasks are done again, and what it held too."""
    b = noisy(op, (12,))
    pids = set(client.run(os.getpid).values())
    array = da.from_array(b, chunks=(2, -1, -1, -1))
    array = array.map_blocks(killed_once, folder=str(tmp_path), dtype=float)
    result = solve(op, array, "direct", rtol=1e-10)
    assert int((tmp_path / "killed").read_text()) in pids
    assert result.success
    expected = solve(op, b, "direct", rtol=1e-10).x
    assert np.allclose(result.x.compute(), expected, atol=1e-9)
    end = time.monotonic() + 30
    while len(client.scheduler_info()["workers"]) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert len(client.scheduler_info()["workers"]) == 2  # another one in its place
