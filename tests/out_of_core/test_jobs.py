"""Jobs from file to file: what they compute, and what is left when they are killed."""

import errno
import os
import signal
import sys

import numpy as np
import pytest

from convinv._files import Blocks, open_store
from convinv._out_of_core import solve_in_files
from support.processes import FOLDERS, run
from support.tile_jobs import SIZE, counted, job, operator


@pytest.fixture
def folder(tmp_path):
    b = np.random.default_rng().standard_normal((2, *SIZE))
    np.save(tmp_path / "in.npy", b)
    return tmp_path


def minimizer(b):
    """By the dense normal equations."""
    op = operator()
    matrix = np.vstack([part.todense() for part in op.operators])
    data = np.zeros((len(b), matrix.shape[0]))
    data[:, : b[0].size] = b.reshape(len(b), -1)
    x = np.linalg.solve(matrix.T @ matrix, matrix.T @ data.T).T
    return x.reshape(b.shape)


def whole_run(folder):
    """The output of a run without a break, and the tiles that it took."""
    there = folder / "whole"
    there.mkdir()
    np.save(there / "in.npy", np.load(folder / "in.npy"))
    solve_in_files(job(there), runner=counted(there))
    return (there / "out.npy").read_bytes(), (there / "count").stat().st_size


@pytest.mark.parametrize("output", ["out.npy", "out.zarr", "out.h5:/x", "out.tif"])
def test_the_minimizer(folder, output):
    for package in ("zarr", "h5py", "tifffile"):
        pytest.importorskip(package)
    outcome = solve_in_files(job(folder, output))
    assert outcome.success and outcome.residual <= 1e-9 and outcome.sweeps >= 1
    found, want = open_store(folder / output)[...], minimizer(
        np.load(folder / "in.npy")
    )
    assert np.linalg.norm(found - want) <= 1e-7 * np.linalg.norm(want)
    assert sorted(os.listdir(folder)) == ["in.npy", output.partition(":")[0]]


def test_pictures_one_after_the_other(folder, monkeypatch):
    """Groups of one picture give what all together give, to rounding."""
    solve_in_files(job(folder))
    together = np.load(folder / "out.npy")
    monkeypatch.setattr("convinv._out_of_core._job.GROUP", 1)
    assert len(job(folder).groups()) == 2
    solve_in_files(job(folder), force=True)
    np.testing.assert_allclose(np.load(folder / "out.npy"), together, atol=1e-8)


KILLED = """
import os, pathlib, signal
from convinv._files import Blocks
from convinv._out_of_core import Frames, solve_in_files
from support.tile_jobs import counted, job

def kill(*args):
    os.kill(os.getpid(), signal.SIGKILL)

def at(count):
    return lambda now: kill() if now == count else None

folder = pathlib.Path({folder!r})
before = after = None
if {moment!r} == "before":
    before = at({count})
elif {moment!r} == "after":
    after = at({count})
elif {moment!r} == "half":  # of the block is written
    before = lambda now: setattr(os, "replace", kill) if now == {count} else None
else:
    parts = []
    whole = Frames.in_store
    def in_store(self, part):
        parts.append(part)
        return whole(self, part) if len(parts) < {count} else kill()
    Frames.in_store = in_store
solve_in_files(job(folder), runner=counted(folder, before, after))
"""
CASES = [
    ("before", 1),
    ("before", 10),
    ("after", 9),
    ("after", 14),
    ("half", 5),
    ("half", 22),
    ("after", 40),
    ("copy", 1),
    ("copy", 2),
]


def killed(folder, moment, count):
    code = KILLED.format(folder=str(folder), moment=moment, count=count)
    done = run(code, PYTHONPATH=FOLDERS)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (folder / "out.npy").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize(("moment", "count"), CASES)
def test_killed_and_resumed(folder, moment, count):
    """The same bits, and only the tile in work is done twice."""
    want, tiles = whole_run(folder)
    killed(folder, moment, count)
    solve_in_files(job(folder), runner=counted(folder))
    assert (folder / "out.npy").read_bytes() == want
    twice = (folder / "count").stat().st_size - tiles
    assert twice == (0 if moment == "copy" else 1)
    assert not (folder / "out.npy.partial").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_again_and_again(folder):
    want, tiles = whole_run(folder)
    for count in (3, 11, 16, 30):
        killed(folder, "after", count)
    solve_in_files(job(folder), runner=counted(folder))
    assert (folder / "out.npy").read_bytes() == want
    assert (folder / "count").stat().st_size == tiles + 4


def interrupted(folder, count, **options):
    def stop(now):
        if now == count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve_in_files(job(folder, **options), runner=counted(folder, stop))


def test_a_block_that_was_lost_is_made_again(folder):
    """As when the machine goes down before the disk has what was written."""
    want, tiles = whole_run(folder)
    interrupted(folder, 6)
    work = folder / "out.npy.partial"
    block = sorted((work / "x-0").glob("*.npy"))[2]
    block.write_bytes(block.read_bytes()[:-1] + b"!")
    solve_in_files(job(folder), runner=counted(folder))
    assert (folder / "out.npy").read_bytes() == want
    assert (folder / "count").stat().st_size == tiles + 2


def test_damage_that_cannot_be_made_good(folder):
    """A block of the x that a sweep reads has changed: nothing is made of it."""
    interrupted(folder, 12)
    work = folder / "out.npy.partial"
    block = sorted((work / "x-0").glob("*.npy"))[2]
    block.write_bytes(block.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="damaged.*--restart"):
        solve_in_files(job(folder))
    want, _ = whole_run(folder)
    solve_in_files(job(folder), restart=True)
    assert (folder / "out.npy").read_bytes() == want


def test_other_options_are_refused(folder):
    interrupted(folder, 5)
    with pytest.raises(ValueError, match="tiles was .*--restart"):
        solve_in_files(job(folder, tile=(20, 20)))
    with pytest.raises(ValueError, match="rtol was 1e-09, is 1e-06"):
        solve_in_files(job(folder, rtol=1e-6))
    solve_in_files(job(folder, rtol=1e-6), restart=True)
    assert open_store(folder / "out.npy").shape == (2, *SIZE)


@pytest.mark.parametrize("writes", [1, 7, 14, 20])
def test_a_full_disk(folder, monkeypatch, writes):
    """An error; with space again the work goes on."""
    want, tiles = whole_run(folder)
    write, left = Blocks.write, [writes]

    def full(self, index, block):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, index, block)

    with monkeypatch.context() as patch:
        patch.setattr(Blocks, "write", full)
        with pytest.raises(OSError, match="No space") as caught:
            solve_in_files(job(folder), runner=counted(folder))
    assert caught.value.errno == errno.ENOSPC
    assert not (folder / "out.npy").exists()
    solve_in_files(job(folder), runner=counted(folder))
    assert (folder / "out.npy").read_bytes() == want
    assert (folder / "count").stat().st_size == tiles + 1


def test_no_number(folder):
    """An error that says where; repaired, the input is another one."""
    b = np.load(folder / "in.npy")
    b[1, 30, 5] = np.inf
    np.save(folder / "in.npy", b)
    with pytest.raises(ValueError, match="in.npy.*infinity in the region"):
        solve_in_files(job(folder))
    assert not (folder / "out.npy").exists()
