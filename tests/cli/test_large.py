"""``convinv deblur`` from store to store, killed and resumed."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from convinv import gallery, imaging
from convinv._files import Blocks, create_store, open_store
from convinv._tiles import TilePlan
from support.processes import FOLDERS

zarr = pytest.importorskip("zarr")
pytest.importorskip("h5py")
pytest.importorskip("tifffile")

PSF = gallery.gaussian_kernel(7, 1.0)
SIZE = 90, 75
TILES = "--psf", "gaussian:1", "--strength", "0.1", "--chunks", "32"


@pytest.fixture(scope="module")
def blurred():
    scene = np.random.default_rng(3).random((20, 20)).repeat(5, 0).repeat(5, 1)
    b = imaging.blur(scene, PSF)[: SIZE[0], : SIZE[1]]
    noise = np.random.default_rng(4).standard_normal(b.shape)
    return (b + 0.01 * noise).astype("float32")


@pytest.fixture
def source(tmp_path, blurred):
    """A store of the picture."""
    path = tmp_path / "in.zarr"
    create_store(path, SIZE, "float32", (40, 40))[...] = blurred
    return path


def near(path, b, psf=PSF, **options):
    """Compare with the picture deblurred in memory."""
    options = {"strength": 0.1, **options}
    want = imaging.deconvolve(b.astype(float), psf, rtol=1e-8, **options)
    found = open_store(path)[...]
    if found.dtype.kind == "u":
        found, want = found / np.iinfo(found.dtype).max, want.clip(0, 1)
    assert np.linalg.norm(found - want) < 5e-3 * np.linalg.norm(want)


@pytest.mark.parametrize("name", ["out.zarr", "out.npy", "out.tif", "out.h5:/a"])
def test_from_store_to_store(facts, tmp_path, source, blurred, name):
    out = tmp_path / name
    found = facts("deblur", source, out, *TILES)
    assert found["success"] and found["grid"] == [4, 3] and not found["resumed"]
    near(out, blurred)
    if name == "out.zarr":
        assert open_store(out).chunks == (32, 32)
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", name.partition(":")[0]]


def test_lines(done, tmp_path, source):
    lines = done("deblur", source, tmp_path / "out.zarr", *TILES).splitlines()
    names = [line.split()[0] for line in lines]
    assert names[:5] == ["picture", "psf", "strength", "tiles", "step"]
    assert "step 1, sweep: 12 of 12 tiles" in "\n".join(lines)
    assert names[-2:] == ["quality", "written"]


def test_automatic_strength(facts, tmp_path, source, blurred):
    """Of a picture that is its own sample that of `deconvolve`."""
    for words, options in (((), {}), (("--noise", "0.03"), {"noise": 0.03})):
        out = tmp_path / "out.zarr"
        found = facts("deblur", source, out, "--psf", "gaussian:1", "--force", *words)
        whole = imaging.deconvolve(
            blurred, gallery.gaussian_kernel(9, 1.0), return_result=True, **options
        )
        assert found["strength"] == pytest.approx(whole.extra["strength"], rel=1e-4)
        assert found["noise"] == pytest.approx(whole.extra["noise"], rel=1e-4)


def test_colors_and_integers(facts, tmp_path, blurred):
    """Interleaved colors of 16 bits, with more pictures in front."""
    rng = np.random.default_rng(5)
    b = np.stack([blurred * share for share in rng.random(6)])
    b = np.moveaxis(b.reshape(2, 3, *SIZE), 1, -1)
    stored = np.rint(np.clip(b, 0, 1) * 65535).astype("uint16")
    np.save(tmp_path / "in.npy", stored)
    out = tmp_path / "out.zarr"
    words = "deblur", tmp_path / "in.npy", out, *TILES, "--channel-axis", "-1"
    found = facts(*words, "--boundary", "reflect")
    assert found["dtype"] == "uint16" and found["shape"] == [2, *SIZE, 3]
    near(out, stored / 65535, channel_axis=-1, boundary="reflect")


@pytest.mark.slow
def test_a_volume(facts, tmp_path, blurred):
    b = np.stack([blurred[:30, :30]] * 20)
    np.save(tmp_path / "in.npy", b)
    out = tmp_path / "out.h5:/volume"
    words = "--psf", "gaussian:0.6,0.8,0.8", "--strength", "0.2", "--chunks", "12,30,16"
    facts("deblur", tmp_path / "in.npy", out, *words)
    widths = 0.6, 0.8, 0.8
    psf = gallery.gaussian_kernel((7, 9, 9), widths)
    near(out, b, psf, strength=0.2)


def test_attributes_and_names_stay(done, tmp_path, blurred):
    """Those of an image of OME-Zarr, which the output is too."""
    group = zarr.open_group(tmp_path / "in.zarr", mode="w")
    group.create_array("0", data=blurred[None], dimension_names=("c", "y", "x"))
    axes = [{"name": name} for name in "cyx"]
    image = {"axes": axes, "datasets": [{"path": "0"}], "name": "cells"}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    done("deblur", tmp_path / "in.zarr", tmp_path / "out.zarr", *TILES)
    made = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert made.attrs["ome"]["multiscales"] == [image]
    assert made["0"].shape == (1, *SIZE)
    near(tmp_path / "out.zarr", blurred[None])


def test_memory_makes_the_tiles(done, tmp_path, source, monkeypatch):
    """The limit, shared by the tiles at work, is what the plan gets."""
    limits = []

    def plan(*args, memory, **options):
        limits.append(memory)
        return TilePlan(*args, memory=memory, **options)

    monkeypatch.setattr("convinv._out_of_core._job.TilePlan", plan)
    words = "deblur", source, tmp_path / "out.zarr", *TILES[:4], "--force"
    done(*words, "--max-memory", "100MB")
    done(*words)
    assert limits == [1e8, None]


def test_what_cannot_be(refused, tmp_path, source):
    out = tmp_path / "out.zarr"
    for words in (["--tv"], ["--poisson"], ["--bounds", "0,1"]):
        assert words[0] in refused(2, "deblur", source, out, *TILES, *words)
    said = refused(2, "deblur", source, out, *TILES, "--chunks", "8,8,8")
    assert "--chunks" in said
    assert "a.png" in refused(1, "deblur", source, tmp_path / "a.png", *TILES)
    assert "no file" in refused(1, "deblur", tmp_path / "no.zarr", out, *TILES)
    (tmp_path / "out.zarr").mkdir()
    assert "--force" in refused(1, "deblur", source, out, *TILES)
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", "out.zarr"]


def heeds_interrupts():
    """A process in the background of a shell ignores them otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*words):
    env = {**os.environ, "PYTHONPATH": FOLDERS}
    return subprocess.Popen(
        [sys.executable, "-m", "convinv", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        preexec_fn=heeds_interrupts,
    )


def begun(process, journal, records):
    """Wait for some lines in the journal of a process."""
    end = time.monotonic() + 100
    while time.monotonic() < end and process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= records:
            return
        time.sleep(0.002)
    raise AssertionError(process.communicate())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize(
    "name, scheduler",
    [
        ("SIGKILL", ()),
        ("SIGINT", ()),
        ("SIGTERM", ()),
        ("SIGKILL", ("--scheduler", "processes")),
    ],
)
def test_ended_and_resumed(facts, tmp_path, source, name, scheduler):
    """By signals; the same command goes on and makes the same bits."""
    whole, out = tmp_path / "whole.zarr", tmp_path / "out.zarr"
    words = "--psf", "gaussian:1", "--strength", "0.1", "--chunks", "12", *scheduler
    facts("deblur", source, whole, *words)
    process = command("deblur", source, out, *words)
    begun(process, tmp_path / "out.zarr.partial" / "journal", 20)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)  # which a process left over would hold
    assert not out.exists()
    code = {"SIGKILL": -signal.SIGKILL, "SIGINT": 130, "SIGTERM": 143}[name]
    assert process.returncode == code
    if name != "SIGKILL":
        assert "out.zarr.partial" in said and said.count("\n") == 1
    found = facts("deblur", source, out, *words)
    assert found["resumed"] and found["success"]
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    for file in files:
        assert (out / file).read_bytes() == (whole / file).read_bytes()
    assert not (tmp_path / "out.zarr.partial").exists()


def broken_at(monkeypatch, count, error):
    """Let the disk be full, or so, when a number of blocks is written."""
    write, left = Blocks.write, [count]

    def failing(self, index, block):
        left[0] -= 1
        if left[0] < 0:
            raise error
        return write(self, index, block)

    monkeypatch.setattr(Blocks, "write", failing)


def test_a_full_disk(refused, facts, tmp_path, source, monkeypatch):
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        broken_at(patch, 5, OSError(errno.ENOSPC, "No space left on device"))
        said = refused(1, "deblur", source, out, *TILES)
    for words in ("no space left", "out.zarr.partial", "the same command goes on"):
        assert words in said
    assert facts("deblur", source, out, *TILES)["resumed"]


def test_another_strength_needs_a_restart(
    refused, facts, tmp_path, source, monkeypatch
):
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        broken_at(patch, 5, OSError(errno.EIO, "Input/output error"))
        refused(1, "deblur", source, out, *TILES)
    other = *TILES[:3], "0.2", *TILES[4:]
    said = refused(1, "deblur", source, out, *other)
    assert "strength was 0.1, is 0.2" in said and "--restart" in said
    found = facts("deblur", source, out, *other, "--restart")
    assert not found["resumed"] and found["success"]


def test_an_input_that_changes(refused, tmp_path, source, monkeypatch):
    """Between two runs: nothing is made of two inputs."""
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        broken_at(patch, 5, OSError(errno.EIO, "Input/output error"))
        refused(1, "deblur", source, out, *TILES)
    open_store(source, "r+")[:40, :40] = 0
    assert "stamp was" in refused(1, "deblur", source, out, *TILES)


def test_the_journal_is_of_plain_numbers(refused, tmp_path, source, monkeypatch):
    broken_at(monkeypatch, 5, OSError(errno.EIO, "Input/output error"))
    refused(1, "deblur", source, tmp_path / "out.zarr", *TILES)
    lines = (tmp_path / "out.zarr.partial" / "journal").read_text().splitlines()
    problem = json.loads(lines[0])["problem"]
    assert problem["tiles"] == [32, 32] and problem["strength"] == 0.1
