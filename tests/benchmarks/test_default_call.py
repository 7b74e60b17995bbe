"""The benchmark of the default call: its cases, its limits and its figures."""

import importlib
import json
import math
import signal
import time

import numpy as np
import pytest

from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def hang_in_direct(case, skipped, announce):
    """Measures nothing; what "direct" is at work on neither ends nor hears alarms."""
    if "direct" not in skipped:
        announce("direct", 0.1)
        time.sleep(600)
    return {"case": str(case), "skipped": skipped}


def fail(case, skipped, announce):
    raise RuntimeError("no data")


def row(first=1.0, second=0.5, **changes):
    """A measured row; the best first call is of cgls, the best second of direct."""
    times = {"cgls": [1.0, 1.0], "direct": [2.0, 0.5], "auto": [first, second]}
    peaks = {"auto": 3_000_000, "cgls": 1_000_000}
    return {
        "case": "3->8, 64x64",
        "times": times,
        "failed": {},
        "method": "cgls",
        "nbytes": None,
        "peaks": peaks,
        **changes,
    }


def test_names_are_unique(load):
    grid = load("default_call.grid")
    for cases, least in ((grid.cases(), 100), (grid.QUICK, 10)):
        names = [str(case) for case in cases]
        assert len(set(names)) == len(names) >= least


def test_every_operator_can_be_built(load):
    grid = load("default_call.grid")
    for case in (*grid.cases(), *grid.QUICK):
        for op in (case.operator(), case.small().operator()):
            assert op.dtype == case.dtype and min(op.output_shape) > 0, str(case)


def test_every_value_of_a_factor_comes_up_several_times(load):
    cases = load("default_call.grid").cases()
    blurs = [case for case in cases if not case.is_layer]
    factors = [[c.dtype for c in cases], [c.batch for c in cases],
               [c.damp for c in cases], [c.kind for c in cases],
               [bool(c.penalty) for c in blurs], [c.taps for c in blurs],
               [(c.boundary, c.padding) for c in blurs],
               [c.size for c in blurs]]  # fmt: skip
    for values in factors:
        assert min(values.count(value) for value in values) >= 3, set(values)


@pytest.mark.parametrize("taps", [(5, 5), (3, 5, 7)])
def test_differences_are_forward(load, taps):
    cases = load("default_call.cases")
    filters = cases.differences(taps)
    ramp = sum((a + 1) * u for a, u in enumerate(np.indices(taps)))
    sums = [np.sum(filters[a] * ramp) for a in range(len(taps))]
    assert sums == [a + 1 for a in range(len(taps))]
    assert np.all(filters.sum(axis=tuple(range(1, filters.ndim))) == 0)


@pytest.mark.parametrize("shape", [(2, 50), (3, 16, 16), (1, 4, 12, 12)])
def test_pictures(load, shape):
    pytest.importorskip("skimage")
    x = load("default_call.cases").pictures(shape, 2)
    assert x.shape == (2, *shape) and 0 <= x.min() < x.max() <= 1


def test_data_of_a_penalty_are_zeros(load):
    pytest.importorskip("skimage")
    case = load("default_call.cases").Case("disc", (16, 16), taps=(5, 5), penalty=0.1)
    x, b = case.data()
    assert b.shape == (1, 3, 16, 16) and not b[:, 1:].any()
    clean = case.operator().forward(x)[:, 0]
    ratio = np.linalg.norm(b[:, 0] - clean) / np.linalg.norm(clean)
    assert ratio == pytest.approx(0.01, rel=0.3)


def test_a_case_is_measured(load):
    pytest.importorskip("skimage")
    measure, report = load("default_call.measure"), load("default_call.report")
    case = load("default_call.cases").Case("3->8", (12, 12))
    announced = []
    skipped = {"schwarz": "skipped"}
    found = measure.measure(case, skipped, lambda *a: announced.append(a))
    assert len(found["times"]["auto"]) == 2 and min(found["times"]["auto"]) > 0
    assert {"cgls", "direct"} <= set(found["times"])
    assert found["failed"]["schwarz"] == "skipped"
    assert "separable" in found["failed"]["spectral"]  # a valid layer is none
    assert "schwarz" not in [name for name, _ in announced]
    assert found["decibels"] > 100 and min(found["peaks"].values()) > 0
    assert len(report.shown(found)) == len(report.COLUMNS.split(","))
    json.dumps(found)


def test_what_takes_too_long_is_stopped(load):
    limits = load("support.time_limit")
    before = signal.getsignal(signal.SIGALRM)
    end = time.perf_counter() + 60

    def long():  # Python 3.13 handles no exception of a jump in the with block itself
        while time.perf_counter() < end:
            pass

    with pytest.raises(limits.OutOfTime, match="more than 0.3 s"):
        with limits.TimeLimit(0.3):
            long()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == before
    with limits.TimeLimit(60):  # what ends in time goes on
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_what_hangs_is_left_out(load, monkeypatch):
    worker = load("support.worker")
    monkeypatch.setattr(worker, "GRACE", 1.0)
    with worker.Worker(hang_in_direct) as runner:
        found = runner.row("a case")
    assert list(found["skipped"]) == ["direct"]
    assert "did not return" in found["skipped"]["direct"]


def test_a_case_that_fails_is_told(load):
    with load("support.worker").Worker(fail) as runner:
        assert runner.row("a case")["error"] == "RuntimeError: no data"


def test_ratios_are_those_to_the_best_of_each_call(load):
    report = load("default_call.report")
    found = row(first=1.2, second=0.6)
    assert report.ratio(found, 0) == pytest.approx(1.2)
    assert report.ratio(found, 1) == pytest.approx(1.2)
    none = row()
    del none["times"]["auto"]
    assert report.ratio(none, 0) == math.inf
    assert report.ratio(row(times={"auto": [1, 1]}), 0) is None


def test_bars(load):
    missed = load("default_call.report").missed
    assert missed([row()] * 20) == []
    assert missed([*[row()] * 19, row(first=1.9)]) == []
    assert len(missed([*[row()] * 18, *[row(first=1.9)] * 2])) == 1
    assert len(missed([*[row()] * 19, row(first=2.1)])) == 1
    assert len(missed([row(), row(second=0.6)])) == 1
    assert missed([row(), {"case": "c", "error": "no"}]) == ["c: no"]


def test_summary_names_the_worst(load):
    failed = row(case="hard", failed={"auto": "more than 3 s"})
    del failed["times"]["auto"]
    alone, none = row(case="alone", times={"auto": [1, 1]}), row(case="no", times={})
    text = load("default_call.report").summary([row(), failed, alone, none])
    assert "first call within 1.3 times the best: 1 of 2 (50%)" in text
    assert "- hard: more than 3 s" in text and "- hard: inf" in text
    assert text.index("had success within its limit") < text.index("- no\n")
    assert text.index("alone had success") < text.index("- alone\n")


def test_the_command_lists_and_writes(load, monkeypatch, tmp_path, capsys):
    command = load("default_call.__main__")
    assert command.main(["--quick", "--list", "--only", "3->8"]) == 0
    names = capsys.readouterr().out.splitlines()
    assert len(names) == 2 and all("3->8" in name for name in names)
    monkeypatch.setattr(command.Worker, "row", lambda self, case: row(first=5.0))
    output = tmp_path / "results" / "default_call.md"
    arguments = ["--quick", "--only", names[0], "--output", str(output)]
    assert command.main(arguments) == 0
    assert command.main([*arguments, "--check"]) == 1
    assert "| 3->8, 64x64 |" in output.read_text(encoding="utf-8")
    assert len(json.loads(output.with_suffix(".json").read_text())) == 1


def test_the_command_keeps_what_there_is(load, monkeypatch, capsys):
    command = load("default_call.__main__")
    rows = iter([row()])

    def interrupted(self, case):
        for found in rows:
            return found
        raise KeyboardInterrupt

    monkeypatch.setattr(command.Worker, "row", interrupted)
    assert command.main(["--quick"]) == 0
    assert "1 of 12 cases" in capsys.readouterr().out


def test_one_damping_for_all(load):
    command = load("default_call.__main__")
    found = command.chosen_cases(command.parse(["--damp", "0.5"]))
    assert {case.damp for case in found} == {0.5} and len(set(found)) == len(found)
    with pytest.raises(SystemExit):
        command.parse(["--only", "no such case"])
