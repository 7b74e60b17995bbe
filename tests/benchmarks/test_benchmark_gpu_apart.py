"""Parts of the GPU's benchmark in processes of their own, and what is kept."""

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


def test_a_process_of_a_part(monkeypatch, tmp_path):
    """It ends by itself, in an error that nobody caught, or when its time is over."""
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


def test_all_parts_together_take_less_than_eight_minutes():
    settings = load("settings")
    assert set(settings.ALLOWED) == set(load("__main__").TITLES)
    assert sum(settings.ALLOWED.values()) < settings.LONGEST < 480


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
