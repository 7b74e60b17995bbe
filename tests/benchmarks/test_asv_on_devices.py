"""The asv suites that take a backend, on the stand-in for CuPy and without a device."""

import importlib
import sys

import pytest

from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


SUITES = ("exact", "kernels", "operator", "rows", "solve")


def benchmarks_with_a_backend():
    """``(class, parameters)`` of the asv suite: the first of each, and CuPy."""
    for suite in SUITES:
        module = importlib.import_module(f"benchmarks.suites.bench_{suite}")
        for made in list(vars(module).values()):
            names = getattr(made, "param_names", ()) if isinstance(made, type) else ()
            if "backend" not in names:
                continue
            *params, backends = made.params
            if "cupy" in backends:
                yield made, (*(values[0] for values in params), "cupy")


def test_asv_skips_without_a_device(monkeypatch):
    skipped = pytest.importorskip("asv_runner.benchmarks.mark").SkipNotImplemented
    monkeypatch.setitem(sys.modules, "cupy", None)
    found = dict(benchmarks_with_a_backend())
    assert {made.__module__.split("_")[-1] for made in found} == set(SUITES)
    for made, values in found.items():
        with pytest.raises(skipped, match="cupy"):
            made().setup(*values)


def test_asv_runs_on_a_device(cupy, monkeypatch):
    """Every benchmark that takes a backend, on small problems."""
    pytest.importorskip("skimage")
    problems = importlib.import_module("benchmarks.support.problems")
    exact = importlib.import_module("benchmarks.suites.bench_exact")
    solve = importlib.import_module("benchmarks.suites.bench_solve")
    layers = importlib.import_module("benchmarks.support.layers")
    for name, layer in layers.SMALL.items():
        small = layer._replace(c_in=2, c_out=3, size=12, batch=1)
        monkeypatch.setitem(layers.SMALL, name, small)
    for name, case in exact.CASES.items():
        monkeypatch.setitem(exact.CASES, name, case._replace(size=16, batch=1))
    monkeypatch.setattr(
        solve, "problem", lambda name, size, *rest: problems.problem(name, 16, *rest)
    )
    monkeypatch.setattr(solve, "FEW", 2)
    monkeypatch.setattr(solve, "MAXITER", 2)
    for made, values in benchmarks_with_a_backend():
        if made.__name__ == "Boundaries":
            continue  # the same products on a larger layer
        bench = made()
        bench.setup(*values)
        timed = [name for name in dir(bench) if name.startswith(("time_", "track_"))]
        for name in timed:
            if getattr(bench, name) is not None:
                getattr(bench, name)(*values)
