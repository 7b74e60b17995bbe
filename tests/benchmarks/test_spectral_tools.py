"""The benchmark of spectral tools: its errors, its tables, and what it calls a miss."""

import importlib
import json

import pytest

from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)
pytest.importorskip("torch")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.spectral_tools.{name}")


def test_a_quick_run(load, tmp_path, capsys):
    output = tmp_path / "tools.md"
    assert load("__main__").main(["--quick", "--check", "--output", str(output)]) == 0
    text = output.read_text(encoding="utf-8")
    assert "| 3 -> 16, 3x3" in text and "all errors are small" in text
    assert text.strip() in capsys.readouterr().out
    found = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    assert len(found["norms"]) == len(found["determinants"]) == 2
    for row in found["norms"]:
        # the weight reshaped to a matrix is another matrix
        assert row["left"] > 1.1 and row["error"] < 1e-6
        assert row["norm"] / row["reshaped"] == pytest.approx(row["left"])


def test_misses(load):
    report = load("report")
    norm = {"layer": "one", "error": 1e-9, "lower": 1.0, "upper": 1.1}
    determinant = {"layer": "other", "error": 1e-12, "gradient error": 1e-12}
    assert report.missed([norm], [determinant, {"layer": "large"}]) == []
    assert report.missed([{**norm, "error": 1e-3}], []) == ["the norm of one"]
    assert report.missed([{**norm, "upper": 0.9}], []) == ["the norm of one"]
    wrong = {**determinant, "gradient error": 1e-3}
    assert report.missed([], [wrong]) == ["the determinant of other"]
