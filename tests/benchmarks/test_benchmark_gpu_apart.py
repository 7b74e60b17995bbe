"""Parts of the GPU's benchmark in processes of their own, and what is kept."""

import types

import pytest

from support.benchmark_device import PROPERTIES, load, rows, written
from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_a_part_that_ends_early_does_not_stop_the_others(
    command, monkeypatch, tmp_path, capsys
):
    apart = load("apart")
    measure = apart.process

    def process(words, seconds):
        return "exit status -11" if "gmres" in words else measure(words, seconds)

    monkeypatch.setattr(apart, "process", process)
    parts = ("ceilings", "gmres", "peers")
    assert command("--output", str(tmp_path), "--only", *parts) == 1
    found, text = written(tmp_path)
    assert list(found["parts"]) == ["ceilings", "gmres", "peers"]
    assert rows(found, "peers") and "gmres: **failed**, exit status -11" in text
    assert "failed: gmres: gmres: exit status -11" in capsys.readouterr().out


def test_a_part_that_writes_nothing_has_failed(command, monkeypatch, tmp_path, capsys):
    """Where an older result is there, and where none is."""
    output = ["--output", str(tmp_path), "--only", "ceilings"]
    assert command(*output) == 0
    monkeypatch.setattr(load("apart"), "process", lambda words, seconds: None)
    assert command(*output, "gmres") == 1
    found, _ = written(tmp_path)
    printed = capsys.readouterr().out
    for name in ("ceilings", "gmres"):
        assert found["parts"][name]["tables"] == []
        reason = "ended before anything was written"
        assert f"failed: {name}: {name}: {reason}" in printed


def test_a_process_of_a_part(monkeypatch, tmp_path):
    """It ends with a known exit status, with another, or when its time is over."""
    apart = load("apart")
    package = tmp_path / "parts"
    package.mkdir()
    (package / "__main__.py").write_text(
        "import sys, time\n"
        "if sys.argv[1] == 'late': time.sleep(60)\n"
        "sys.exit(int(sys.argv[1]))\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(apart, "MODULE", "parts")
    monkeypatch.chdir(tmp_path)
    assert apart.process(["0"], 60) is apart.process(["1"], 60) is None
    assert apart.process(["3"], 60) == "exit status 3"
    assert apart.process(["late"], 0.5).startswith("ended after ")


def seconds_given(monkeypatch, folder, taken):
    """Seconds that every part may take, and all of them took: `taken` of both."""
    apart, main = load("apart"), load("__main__")
    given, clock = {}, [1000.0]

    def process(words, seconds):
        name = words[words.index("--only") + 1]
        given[name] = seconds
        clock[0] += taken(name, seconds)

    monkeypatch.setattr(apart, "process", process)
    clocks = types.SimpleNamespace(perf_counter=lambda: clock[0])
    monkeypatch.setattr(apart, "time", clocks)
    args = main.parse(["--output", str(folder)])
    apart.run(args, {"device": "Stand-in"}, folder, main.TITLES)
    assert list(given) == list(main.TITLES)
    return given, clock[0] - 1000.0


def test_all_parts_together_take_less_than_eight_minutes(monkeypatch, tmp_path):
    """Also where every one is ended, as it takes all that it may."""
    given, whole = seconds_given(monkeypatch, tmp_path, lambda name, seconds: seconds)
    settings = load("settings")
    assert set(given) == set(settings.ALLOWED)
    assert given["check"] == 2 * settings.ALLOWED["check"] + settings.START
    assert whole < 480


def test_parts_that_keep_to_their_time_are_not_ended(monkeypatch, tmp_path):
    allowed, start = load("settings").ALLOWED, 3.0  # seconds, of Python and CuPy
    given, _ = seconds_given(
        monkeypatch, tmp_path, lambda name, _: allowed[name] + start
    )
    for name, seconds in given.items():
        assert seconds >= allowed[name] + start


def test_other_parts_stay(command, monkeypatch, tmp_path):
    output = ["--output", str(tmp_path), "--only"]
    assert command(*output, "ceilings") == 0
    assert command(*output, "gmres") == 0
    assert list(written(tmp_path)[0]["parts"]) == ["ceilings", "gmres"]
    monkeypatch.setitem(PROPERTIES, "name", "Another")
    assert command(*output, "ceilings") == 0
    found, _ = written(tmp_path)
    assert list(found["parts"]) == ["ceilings"]
    assert found["where"]["device"] == "Another"
