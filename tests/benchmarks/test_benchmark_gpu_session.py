"""What parts of the GPU's benchmark share, and what they make of known times."""

import importlib
import time
import types

import numpy as np
import pytest

from support.benchmark_device import load
from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def part(cupy, seconds=100.0, **settings):
    session = load("session")
    made = load("settings").QUICK._replace(**settings)
    return session.Part(session.Session(cupy, made), seconds)


def test_what_takes_too_long_is_left_out(cupy):
    found = part(cupy, limit=2.0)
    assert not found.late("a", 1.9)
    assert found.late("b", 2.1)
    assert part(cupy, seconds=0.0).late("c")
    assert found.notes == ["b: left out, expected 2.1 s"]


def test_methods_that_would_take_long_are_left_out(cupy, monkeypatch):
    """The next size is judged by the last, and nothing after one that is left out."""
    methods = load("methods")
    asked, names = [], ("slow", "fast", "set-up")

    def measured(session, name, rowwise, size, taken):
        asked.append((name, size))
        seconds = {"slow": 1.0, "fast": 1e-3, "set-up": 0.9 + 1e-4 * size}[name]
        taken.setdefault(name, []).append((size, seconds))
        return ()

    monkeypatch.setattr(methods, "entries", lambda: dict.fromkeys(names))
    monkeypatch.setattr(methods, "measured", measured)
    found = part(cupy, limit=3.7, batches={8: 1, 16: 1, 64: 1})
    methods.run(found.session, found)
    assert asked == [
        *[(name, 8) for name in names],
        *[(name, size) for size in (16, 64) for name in names[1:]],
    ]
    assert found.notes == [
        "slow, 16x16, batch 1: left out, expected 4.0 s",
        "slow, 64x64, batch 1: left out, a smaller one was not measured",
    ]


def test_what_does_not_fit_is_no_failure(cupy):
    found = part(cupy)
    with found.case("large"):
        raise MemoryError("out of memory")
    assert found.notes == ["large: left out, out of memory"]
    assert not found.failures


def test_events_repeat_short_calls(cupy):
    timing = load("timing")
    made = []
    events = timing.Events(cupy)

    def call():
        made.append(0)
        time.sleep(1e-3)

    seconds = events(call)
    assert 1e-3 <= seconds < 1e-2
    assert 2 <= len(made) <= 3  # one to see how long it takes
    assert events.between(lambda: time.sleep(0.01), 2) >= 0.01


def test_graphs_pay_after_their_capture(cupy, monkeypatch):
    """Times that are known: 4 ms an iteration, 1 ms in a graph, 29 ms to make it."""
    graphs = load("graphs")
    measure = importlib.import_module("benchmarks.support.measure")
    iterate = importlib.import_module("convinv.solvers._iterate")
    limits = []
    monkeypatch.setattr(
        graphs, "quietly", lambda *args, **kwargs: limits.append(iterate.SMALL)
    )

    def interleaved(calls, seconds, rounds, taken):
        for call in calls.values():
            call()
        found = {}
        for always, steps in calls:
            alone = iterate.DEVICE_CHECK if always else steps
            seconds = 4e-3 * alone + always * (29e-3 + 1e-3 * (steps - alone))
            found[always, steps] = measure.Seconds(seconds, seconds)
        return found

    monkeypatch.setattr(graphs, "interleaved", interleaved)
    session = part(cupy).session
    row = dict(zip(graphs.COLUMNS.split(","), graphs.compared(session, "cgls", 12)))
    assert row["one by one ms"] == pytest.approx(4)
    assert row["graph ms"] == pytest.approx(1)
    assert row["capture ms"] == pytest.approx(29)
    assert row["pays from iteration"] == 18
    assert [limit > 0 for limit in limits] == [False, False, True, True]


def test_bars_of_products(cupy):
    """Claims of a thin layer whose times are known."""
    products = load("products")
    measure = importlib.import_module("benchmarks.support.measure")
    _, layer = products.LAYERS[1]
    layer = products.filled(layer, 10_000_000)
    op = layer.operator("float32")
    moved = sum(op.shape) * layer.batch * 4
    assert moved <= 10_000_000 < moved + 4 * sum(op.shape)
    session = types.SimpleNamespace(ceilings={"copy": 1e9, "float32": 1e12})
    seconds = measure.Seconds(moved / 0.7e9, moved / 0.65e9)
    times = {
        "convinv": seconds,
        "cuDNN": measure.Seconds(1.6 * seconds.least, 1.4 * seconds.median),
    }
    rows, claims = [], []
    products.add(session, "thin", layer, op, "forward", times, 0.0, rows, claims)
    assert [c.holds for c in claims] == [True, False]
    assert all(c.soft for c in claims)
    found = dict(zip(products.COLUMNS.split(","), rows[0]))
    assert found["of a copy"] == pytest.approx(0.65)
    assert found["cuDNN / convinv"] == pytest.approx(1.4)
    work = 2 * 9 * 24 * 254**2 * layer.batch
    assert found["TFlop/s"] == pytest.approx(work / seconds.median / 1e12)


def test_tolerances_of_both_versions_of_cupy():
    arguments = load("peers").arguments
    old, new = (lambda A, b, tol, atol: 0), (lambda A, b, *, rtol, atol: 0)
    assert arguments(old, "cg") == {"tol": 0.0, "atol": 0.0}
    assert arguments(new, "gmres") == {"rtol": 0.0, "atol": 0.0}
    assert arguments(old, "lsmr") == {"atol": 0, "btol": 0, "conlim": 0}


def test_clocks_are_told_or_why_not(monkeypatch):
    device = load("device")
    line = "580.1, 1980 MHz, 3201 MHz, 1980 MHz, 3201 MHz, 700.00 W, 33\n"
    done = types.SimpleNamespace(stdout=line, stderr="", returncode=0)
    monkeypatch.setattr(device.subprocess, "run", lambda *args, **kwargs: done)
    assert "driver_version 580.1, clocks.sm 1980 MHz" in device.state("0")
    done.stdout = "No devices were found"
    assert device.state("0") == "unknown, nvidia-smi: No devices were found"

    def absent(*args, **kwargs):
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(device.subprocess, "run", absent)
    assert device.state("0") == "unknown, nvidia-smi: nvidia-smi"


def test_arrays():
    arrays = load("arrays")
    found = arrays.noise(np, (3, arrays.SENT), "float32")
    np.testing.assert_array_equal(found[0], found[2])
    assert found.dtype == np.float32 and 0.9 < found.std() < 1.1
    pictures = arrays.images(np, 2, 3, 10, "float64")
    assert pictures.shape == (2, 3, 10, 10) and len(np.unique(pictures)) == 54
    quality = importlib.import_module("benchmarks.support.quality")
    assert quality.largest_error(found, 2 * found) == pytest.approx(0.5)
