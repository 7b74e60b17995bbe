"""The tables that the benchmarks write."""

import importlib
import json
import types

import numpy as np
import pytest

from support.paths import ROOT


@pytest.fixture
def load(monkeypatch):
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks beside the tests")
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def tables(load):
    return load("support.reading").tables


def row(name="3to8", dtype="float32", *, first=1.0, **changes):
    """A measured row: STRIP 1 s, CGLS and LSQR 30 s."""
    title = name.replace("to", "->")
    return {
        "key": f"{title}, 64x64, batch 200, {dtype}",
        "label": f"{title}, 64x64, batch 200",
        "name": name,
        "size": 64,
        "batch": 200,
        "dtype": dtype,
        "damp": 0.0,
        "tall": True,
        "condition": 5.0,
        "rtol": 1e-6,
        "missed": [],
        "method": "schwarz",
        "nit": 2,
        "nbytes": 8_500_000,
        "decibels": 150.0,
        "times": {"auto": [first, first / 4], "schwarz": [0.9, 0.2]},
        "strip": {"window": [8, 8], "seconds": 1.0, "decibels": 33.0},
        "cgls": {
            "seconds": 30.0,
            "iterations": 120,
            "decibels": 120.0,
            "short": False,
            "extrapolated": True,
        },
        "lsqr": {"seconds": 30.0},
        **changes,
    }


def test_exact_tables_hold_the_figures(load, tables):
    text = load("exact_grid.report").tables([row(), row(dtype="float64", strip=None)])
    both = tables(text)["Times"]
    assert [r["dtype"] for r in both] == ["float32", "float64"]
    assert both[0]["dB"] == "150" and both[0]["kept MB"] == "8.50"
    assert both[0]["CGLS s"] == "~30.0" and both[0]["CGLS"] == "120"
    assert both[0]["STRIP"] == "8x8, 33 dB" and both[1]["STRIP s"] == "-"
    ratios = tables(text)["Ratios"][0]
    assert ratios["second / STRIP"] == "0.250"
    assert ratios["CGLS / first"] == "~30.0" and ratios["LSQR / second"] == "120"
    assert ratios["direct s"] == "-" and ratios["schwarz s"] == "0.900 / 0.200"
    assert ratios["best"] == "1.11"


def test_exact_bars(load):
    report = load("exact_grid.report")
    slow = row("3to16", first=2.0, decibels=119.0)
    wide = row("8to3", first=5.0, tall=False)
    found = {bar.text: bar for bar in report.bars([row(), slow, wide])}
    missed = {text: [m[0] for m in bar.missed] for text, bar in found.items()}
    label = "3->16, 64x64, batch 200, float32"
    other = "8->3, 64x64, batch 200, float32"
    assert missed["at least 120 dB"] == [label]
    # STRIP finds no minimum norm, so that wide layers are not compared with it
    assert missed["with set-up at most one sweep of STRIP"] == [label]
    assert missed["20 times faster than SciPy's LSQR"] == [label, other]
    assert missed["at most 1.3 times the best method"] == [label, other]
    assert not any("1024x1024" in text and names for text, names in missed.items())


def test_exact_bar_for_cgls_depends_on_the_condition(load):
    bars = load("exact_grid.report").bars
    well, ill = row(first=4.0, condition=2.0), row(first=4.0)
    missed = [
        bar.missed for bar in bars([well, ill]) if bar.text.startswith("10 times")
    ]
    assert missed == [[(ill["key"], 7.5, 10)]]


def test_exact_methods_that_miss_the_tolerance_are_no_rivals(load):
    report = load("exact_grid.report")
    times = {"auto": [1.0, 0.5], "schwarz": [0.1, 0.1], "direct": [0.8, 0.4]}
    failed = row(times=times, missed=["schwarz"])
    assert report.over_best(failed) == pytest.approx(1.25)
    assert report.over_best(row(times=times)) == pytest.approx(10)
    assert "| (0.100 / 0.100) |" in report.tables([failed])


def test_exact_tolerance(load, monkeypatch):
    """The rtol whose solution is good enough, found in few solves."""
    reference = load("exact_grid.reference")
    asked = []

    def solve(op, b, method, *, damp, rtol):
        asked.append(rtol)
        x = np.ones((1, 4)) * (1 + 1e3 * rtol)
        return types.SimpleNamespace(success=rtol > 5e-10, x=x)

    monkeypatch.setattr(reference, "quietly", solve)
    case, exact = types.SimpleNamespace(damp=0.0), np.ones((1, 4))
    assert reference.tolerance(case, None, None, exact, [0]) == 1e-9
    assert asked == [1e-6, 1e-9]
    monkeypatch.setattr(reference, "ACCURACY", 200.0)  # out of reach
    assert reference.tolerance(case, None, None, exact, [0]) == 1e-6


def test_exact_accuracy_that_is_missed_is_written_out(load):
    text = load("exact_grid.report").tables([row(decibels=90.0)])
    assert "at least 120 dB: **missed**, in 0 of 1; the worst 90.0" in text


def test_exact_pixels(load, tables):
    sizes = [
        {"size": 256, "batch": 1, "first": 1.0, "second": 0.1},
        {"size": 2048, "batch": 1, "first": 60.0, "second": 12.8},
    ]
    bars, report = load("exact_grid.bars"), load("exact_grid.report")
    entry = {"key": "pixels", "pixels": "3->8", "sizes": sizes}
    assert bars.pixel_ratio(entry) == pytest.approx(2)
    text = report.tables([row(), entry])
    last = tables(text)["Time of a pixel"][1]
    assert last["second ns per pixel"] == "3052"
    bar = [line for line in text.splitlines() if line.startswith("- time of a pixel")]
    assert "**missed**" in bar[0]


def test_exact_error_is_told(load, tables):
    broken = {"key": "k", "label": "3->8", "dtype": "float32", "error": "E: no"}
    text = load("exact_grid.report").tables([broken, row()])
    assert "- 3->8, float32: E: no" in text
    assert len(tables(text)["Times"]) == 1


def test_exact_rows_are_added_to_those_of_the_file(load, tables, tmp_path):
    files = load("exact_grid.rows")
    output = tmp_path / "results" / "exact.md"
    args = types.SimpleNamespace(output=output, add=True)
    assert files.kept(args) == {}
    rows = {}
    for r in (row(dtype="float64"), row()):
        files.put(rows, r)
        files.write(args, rows)
    held = files.kept(args)
    assert [r["dtype"] for r in held.values()] == ["float32", "float64"]  # in order
    files.put(held, row(first=3.0))
    files.write(args, held)
    times = tables(output.read_text(encoding="utf-8"))["Times"]
    assert [r["first s"] for r in times] == ["3.00", "1.00"]
    assert len(json.loads(output.with_suffix(".json").read_text())) == 2


@pytest.mark.parametrize(
    "value, text",
    [(None, "-"), (0.0, "0.00e+00"), (1.2345, "1.23"), (123.4, "123"),
     (0.01234, "0.0123"), (2e7, "2.00e+07")],
)  # fmt: skip
def test_numbers_have_three_digits(load, value, text):
    assert load("support.tables").number(value) == text


def test_products_by_both_routes(load, tables, monkeypatch):
    """The table tells what was taken, and by how much it was slower."""
    found = load("products")
    cases = [
        found.Case((1, 1), (31, 31), (96, 96)),
        found.Case((2, 1), (3, 3), (20, 20), "float64", stride=2),
    ]

    def interleaved(calls, seconds, rounds):
        for call in calls.values():
            call()
        seconds = {"FFT": 2.0, "direct": 1.0, "fftconvolve": 3.0, "oaconvolve": 5.0}
        return {name: types.SimpleNamespace(least=seconds[name]) for name in calls}

    monkeypatch.setattr(found, "interleaved", interleaved)
    large, small = tables(found.measured("Products", cases, 0.0))["Products"]
    assert large["layer"] == "1->1, 31x31 on 96x96" and large["taken"] == "FFT"
    assert large["fftconvolve"] == "3.0" and large["oaconvolve"] == "5.0"
    assert large["over best"] == "2.00"
    assert small["layer"] == "1->2, 3x3 on 20x20, stride 2"
    assert small["taken"] == "direct" and small["over best"] == "1.00"
    assert small["fftconvolve"] == "" and small["dtype"] == "float64"


def test_photographs_differ(load):
    import numpy as np

    photographs = load("support.photographs").photographs
    pytest.importorskip("skimage")
    x = photographs(3, 16, 60)
    assert x.shape == (60, 3, 16, 16) and 0 <= x.min() <= x.max() <= 1
    flat = {item.tobytes() for item in x}
    assert len(flat) == 60 and np.std(x) > 0.1
