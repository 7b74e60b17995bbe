"""Work that a killed process leaves, and another one goes on with."""

import errno
import json
import os
import pickle
import sys

import numpy as np
import pytest

from convinv._files import Blocks, Journal, Workplace, create_store, open_store
from support.processes import FOLDERS, run

EDGES = ((0, 7, 14, 20), (0, 16, 31))
CORES = [(i, j) for i in range(3) for j in range(2)]
PROBLEM = {"image": "blurred", "strength": 0.1}


def core(index):
    return tuple(slice(*ends[i : i + 2]) for i, ends in zip(index, EDGES))


@pytest.fixture
def blocks(tmp_path):
    (tmp_path / "x").mkdir()
    return Blocks(tmp_path / "x", EDGES, (2, 1), "float32")


def records(path):
    journal = Journal(path)
    journal.close()
    return journal.records


def test_any_box_of_blocks(blocks):
    """Is what the array has there, also in another process's copy of the object."""
    rng = np.random.default_rng()
    x = rng.standard_normal((2, 1, 20, 31)).astype("float32")
    for index in CORES:
        blocks.write(index, x[(..., *core(index))])
    copy = pickle.loads(pickle.dumps(blocks))
    assert copy.shape == x.shape and copy.ndim == 4
    for _ in range(30):
        low, high = np.sort(rng.integers(0, (21, 32), (2, 2)), axis=0)
        box = tuple(map(slice, low, high))
        np.testing.assert_array_equal(copy[(..., *box)], x[(..., *box)])
        np.testing.assert_array_equal(copy[(slice(None),) * 2 + box], x[(..., *box)])


def test_checksums_of_blocks(blocks):
    block = np.random.default_rng().standard_normal((2, 1, 7, 16)).astype("float32")
    found = blocks.write((0, 0), block)
    assert blocks.checksum((0, 0)) == found and blocks.checksum((1, 0)) is None
    with blocks.file((0, 0)).open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\x01\x02\x03\x04")
    assert blocks.checksum((0, 0)) != found
    with blocks.file((0, 0)).open("r+b") as file:
        file.truncate(200)
    assert blocks.checksum((0, 0)) is None


NO_SPACE = """
import resource
import numpy as np
from convinv._files import Blocks, Journal
blocks = Blocks({blocks!r}, ((0, 64), (0, 64)), (1, 1), "float32")
journal = Journal({journal!r})
blocks.write((0, 0), np.ones((1, 1, 64, 64), "float32"))
journal.add({{"number": 1}})
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
for work in (
    lambda: blocks.write((0, 0), np.zeros((1, 1, 64, 64), "float32")),
    lambda: journal.add({{"text": 5000 * "a"}}),
):
    try:
        work()
    except OSError as error:
        print(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files")
def test_no_space(tmp_path):
    """A block stays what it was, and the journal without half of a line."""
    paths = str(tmp_path / "x"), str(tmp_path / "journal")
    (tmp_path / "x").mkdir()
    done = run(NO_SPACE.format(blocks=paths[0], journal=paths[1]), PYTHONPATH=FOLDERS)
    assert done.returncode == 0, done.stderr
    found = [int(line) for line in done.stdout.split()]
    assert set(found) <= {errno.EFBIG, errno.ENOSPC} and len(found) == 2
    blocks = Blocks(paths[0], ((0, 64), (0, 64)), (1, 1), "float32")
    assert (blocks[..., :64, :64] == 1).all()
    assert os.listdir(paths[0]) == ["0-0.npy"]
    journal = Journal(paths[1])
    assert journal.records == [{"number": 1}]
    journal.add({"number": 2})
    journal.close()
    assert records(paths[1]) == [{"number": 1}, {"number": 2}]


def test_a_journal_without_its_end(tmp_path):
    """A record whose line is not whole is dropped; numbers come back to the bit."""
    path, numbers = tmp_path / "journal", np.random.default_rng().random(5).tolist()
    journal = Journal(path)
    journal.add({"a": numbers})
    journal.add({"b": 1})
    journal.close()
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        journal = Journal(path)
        assert journal.records == [{"a": numbers}]
        journal.add({"c": 2})
        journal.close()
        assert records(path) == [{"a": numbers}, {"c": 2}]
    path.write_bytes(b"words\n" + whole)
    with pytest.raises(ValueError, match="line 1.*--restart"):
        records(path)


def make(work, value):
    create_store(work.working, (4, 8), "float32")[...] = value


@pytest.mark.parametrize("name", ["a.zarr", "a.zarr/deep", "a.npy", "a.tif", "a.h5:/x"])
def test_the_output_comes_at_the_end(tmp_path, name):
    for package in ("zarr", "tifffile", "h5py"):
        pytest.importorskip(package)
    path = str(tmp_path / name)
    file = name.partition("/")[0].partition(":")[0]
    with Workplace(path, PROBLEM) as work:
        assert not work.resumed
        work.journal.add({"tile": 1})
        make(work, 2)
        assert os.listdir(tmp_path) == [f"{file}.partial"]
    with Workplace(path, PROBLEM) as work:
        assert work.resumed and work.journal.records[1:] == [{"tile": 1}]
        work.finish()
    assert os.listdir(tmp_path) == [file]
    assert (open_store(path)[...] == 2).all()
    with pytest.raises(FileExistsError, match="exists"):
        Workplace(path, PROBLEM)


def test_another_problem_is_refused(tmp_path):
    path = str(tmp_path / "a.npy")
    with Workplace(path, PROBLEM) as work:
        work.journal.add({"tile": 1})
    with pytest.raises(ValueError) as caught:
        Workplace(path, {**PROBLEM, "strength": 0.2, "boundary": "zero"})
    for words in ("a.npy.partial", "strength was 0.1, is 0.2", "boundary", "--restart"):
        assert words in str(caught.value)
    with Workplace(path, PROBLEM) as work:
        assert work.resumed
        (work.folder / "x-0").mkdir()
    other = {**PROBLEM, "strength": 0.2}
    with Workplace(path, other, restart=True) as work:
        assert not work.resumed and not (work.folder / "x-0").exists()
        assert work.journal.records == [{"problem": other}]


def test_one_process_at_a_time(tmp_path):
    path = str(tmp_path / "a.npy")
    with Workplace(path, PROBLEM):
        with pytest.raises(BlockingIOError, match="another process"):
            Workplace(path, PROBLEM)
    Workplace(path, PROBLEM).close()


def test_what_was_there_goes_only_by_force(tmp_path):
    path = str(tmp_path / "a.npy")
    np.save(path, np.zeros(3))
    with pytest.raises(FileExistsError, match="--force"):
        Workplace(path, PROBLEM)
    assert os.listdir(tmp_path) == ["a.npy"]
    with Workplace(path, PROBLEM, force=True) as work:
        make(work, 5)
        assert np.load(path).shape == (3,)
        work.finish()
    assert (np.load(path) == 5).all()
    pytest.importorskip("zarr")
    for name in ("b.zarr", "b.zarr"):
        with Workplace(str(tmp_path / name), PROBLEM, force=True) as work:
            make(work, 6)
            work.finish()
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "b.zarr"]
    with pytest.raises(FileExistsError, match="other arrays"):
        Workplace(str(tmp_path / "b.zarr/one"), PROBLEM, force=True)


def test_a_folder_of_somebody_else(tmp_path):
    (tmp_path / "a.npy.partial").mkdir()
    (tmp_path / "a.npy.partial" / "letter").touch()
    with pytest.raises(FileExistsError, match="no unfinished work"):
        Workplace(str(tmp_path / "a.npy"), PROBLEM, restart=True)
    with pytest.raises(FileNotFoundError, match="no folder"):
        Workplace(str(tmp_path / "none" / "a.npy"), PROBLEM)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_names_change(tmp_path, moment, monkeypatch):
    """Before or after the output got its name: the next run ends the work."""
    path = str(tmp_path / "a.npy")
    work = Workplace(path, PROBLEM)
    make(work, 3)
    broken = {"before": "os.replace", "after": "shutil.rmtree"}[moment]
    with monkeypatch.context() as patch:
        patch.setattr(broken, lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            work.finish()
    work.close()
    assert os.path.exists(path) == (moment == "after")
    with Workplace(path, PROBLEM) as work:
        assert work.is_whole
        work.finish()
    assert os.listdir(tmp_path) == ["a.npy"] and (np.load(path) == 3).all()


def test_records_are_json(tmp_path):
    with Workplace(str(tmp_path / "a.npy"), PROBLEM) as work:
        text = (work.folder / "journal").read_text()
    assert [json.loads(line) for line in text.splitlines()] == [{"problem": PROBLEM}]
