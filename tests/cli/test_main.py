"""The command as a whole: help, codes, JSON, one line for each failure."""

import os
import re
import subprocess
import sys

import pytest

import convinv
from convinv import cli
from convinv.cli import _main, methods
from convinv.cli._output import plain
from support.paths import PACKAGE

COMMANDS = ("deblur", "psf", "invert", "report", "demo", "images", "methods")


def test_help(done):
    out = done()
    assert out == done("--help") and "examples:" in out
    for name in COMMANDS:
        assert f"\n    {name} " in out
        text = done(name, "--help")
        assert text.startswith(f"usage: convinv {name} ") and "--json" in text
        assert max(map(len, text.splitlines())) <= 100


def test_version(done):
    assert done("--version") == f"convinv {convinv.__version__}\n"


def test_methods_table(done):
    out = done("methods")
    for method in convinv.methods():
        block = re.search(rf"^{method.name} +(.*)\n((?:  +.*\n)*)", out, re.MULTILINE)
        assert block[1] == method.summary
        for word in [*method.options, *["square"] * method.square]:
            assert word in block[2]
    assert max(map(len, out.splitlines())) <= 100


def test_methods_as_json(facts):
    found = facts("methods")["methods"]
    assert [entry["name"] for entry in found] == [m.name for m in convinv.methods()]
    assert {"summary", "needs", "options", "stores"} <= set(found[0])


def test_images(done, facts):
    pytest.importorskip("skimage")
    found = facts("images")["images"]
    assert [entry["name"] for entry in found] == convinv.gallery.images()
    one = next(entry for entry in found if entry["name"] == "coffee")
    assert (one["height"], one["width"], one["channels"]) == (400, 600, 3)
    assert re.search(r"^coffee +400 +600 +3$", done("images"), re.MULTILINE)


def test_no_images(refused, monkeypatch):
    monkeypatch.setattr(convinv.gallery, "images", lambda: [])
    assert "python -m pip install scikit-image" in refused(1, "images")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("bad\n  value"), 1, "convinv: error: bad value\n"),
        (OverflowError("too large"), 1, "convinv: error: too large\n"),
        (MemoryError(), 1, "convinv: error: MemoryError\n"),
        (_main.UsageError("what?"), 2, "convinv: error: what?\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_failures(command, monkeypatch, error, code, line):
    def fail(args, output):
        raise error

    monkeypatch.setattr(methods, "run", fail)
    assert command("methods") == (code, "", line)


def test_faults_of_the_package_are_not_hidden(monkeypatch):
    monkeypatch.setattr(methods, "run", lambda args, output: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["methods"])


def test_warnings_are_lines(command, monkeypatch):
    def warn(args, output):
        import warnings

        warnings.warn("of\nmany lines", UserWarning, stacklevel=2)

    monkeypatch.setattr(methods, "run", warn)
    assert command("methods") == (0, "", "convinv: warning: of many lines\n")


def test_json_has_no_other_numbers():
    import numpy as np

    facts = {"a": np.float32(0.5), "b": (np.inf, [np.nan]), "c": np.arange(2), 3: 1j}
    want = {"a": 0.5, "b": ["inf", ["nan"]], "c": [0, 1], "3": [0.0, 1.0]}
    assert plain(facts) == want


def run(*words, **options):
    command = [sys.executable, "-m", "convinv", *words]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(command, capture_output=True, text=True, env=env, **options)


def test_as_a_module():
    """``python -m convinv``, in processes of its own."""
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"convinv {convinv.__version__}\n")
    done = run()
    assert done.returncode == 0 and done.stdout.startswith("usage: convinv")
    done = run("demo", "--size", "3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "convinv: error: --size must be 0 or at least 7, got 3\n"
    assert run("demo", "--what").returncode == 2


@pytest.mark.parametrize("words", ["methods", "methods --json"])
def test_a_reader_that_ends(words):
    """``convinv methods | head -1``, with a pipe that is closed from the start."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "convinv", *words.split()]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, env=env, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
