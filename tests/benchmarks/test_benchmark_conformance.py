"""The tables of conformance: every operator and solver has a row."""

import importlib
import re

import pytest

from support.paths import ROOT


@pytest.fixture
def benchmark(monkeypatch):
    if not (ROOT / "benchmarks" / "conformance").is_dir():
        pytest.skip("no benchmarks beside the tests")
    pytest.importorskip("tabulate")
    pytest.importorskip("cpuinfo")
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.conformance.__main__")


@pytest.mark.parametrize("library", ["pylops", "sigpy"])
def test_operators(benchmark, library):
    pytest.importorskip(library)
    text = benchmark.operators(library)
    for name, _, options in benchmark.LIBRARIES[library]():
        rows = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
        assert len(rows) == 1 and re.search(r"\d+ of \d+", rows[0]), (name, options)


def test_solvers(benchmark, monkeypatch):
    every = list(benchmark.solvers())
    few = [row for row in every if row[0] in ("cg", "convinv, cgls")]
    monkeypatch.setattr(benchmark, "solvers", lambda: few)
    lines = benchmark.solver_table().splitlines()
    assert any(line.startswith("| cg ") and "definite" in line for line in lines)
    own = next(line for line in lines if line.startswith("| convinv, cgls"))
    assert "13 of 13" in own and own.rstrip(" |").endswith("-")
