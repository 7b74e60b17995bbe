"""The command that measures on a GPU, its parts run on the stand-in for CuPy."""

import functools
import importlib
import pathlib
import subprocess
import sys
import time
import types

import numpy as np
import pytest

import convinv
from support.benchmark_device import PROPERTIES, device, load, rows, small, written
from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def cupy():
    with device() as module:
        yield module


@pytest.fixture
def command(cupy, monkeypatch):
    return small(cupy, monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run of every part has written, and its exit status."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        with device() as cupy:
            status = small(cupy, patch)("--output", str(folder))
    return status, *written(folder)


@pytest.mark.slow
def test_every_part(whole):
    status, found, text = whole
    assert status == 0
    main = load("__main__")
    assert list(found["parts"]) == list(main.TITLES)
    for name, part in found["parts"].items():
        assert part["failures"] == []
        assert part["command"] == f"python -m benchmarks.gpu --quick --only {name}"
        assert f"# {main.TITLES[name]}\n" in text
        for table in part["tables"]:
            width = len(table["columns"].split(","))
            assert table["rows"] and all(len(r) == width for r in table["rows"])
    assert found["where"]["device"] == "Stand-in"
    assert found["where"]["compute capability"] == "9.0"
    assert found["where"]["CUDA of the driver"] == "13.0"
    assert found["where"]["CUDA runtime"] == "12.9"


@pytest.mark.slow
def test_parts_hold_what_they_are_asked_for(whole):
    _, found, text = whole
    assert [row["unit"] for row in rows(found, "ceilings")] == [
        "GB/s", "TFlop/s", "TFlop/s",
    ]  # fmt: skip
    methods = rows(found, "methods")
    tried = {row["method"] for row in methods}
    listed = [m for m in convinv.methods() if m.objective == "least-squares"]
    assert tried > {method.name for method in listed}
    checked = {row["method"] for row in rows(found, "check", 1)}
    assert checked == {method.name for method in listed}
    assert {row["images"] for row in methods} == {"12x12, batch 1"}
    spectral = [row for row in methods if row["method"] == "spectral"]
    assert [row["ms an iteration"] for row in spectral] == ["-"]
    assert all(0 <= row["differ"] < 1e-3 for row in rows(found, "peers"))
    products = rows(found, "products")
    assert len(products) == 16
    rates = {row["rate"] for row in rows(found, "ceilings")}
    copy = next(r["rate"] for r in rows(found, "ceilings") if r["unit"] == "GB/s")
    assert len(rates) == 3
    for row in products:
        assert row["of a copy"] == pytest.approx(row["GB/s"] / copy)
    assert text.count("of a copy's rate: ") == 6  # both products of the thin layers
    strip = rows(found, "strip")
    assert [row["method"] for row in strip] == ["strip", "auto"]
    assert strip[1]["dB"] >= 120 and strip[0]["dB"] < strip[1]["dB"]
    assert [(r["method"], r["numbers"]) for r in rows(found, "graphs")] == [
        (method, 8 * 10**2) for method in ("cgls", "lsmr")
    ]
    solves = rows(found, "busy")
    assert len(solves) == 7
    for row in solves:
        assert row["device works ms"] == pytest.approx(6e-3)
        assert (row["kernels"], row["copies"]) == (2, 1)
    kernels = [(r["kernel"], r["ms"]) for r in rows(found, "busy", 1)[:3]]
    assert kernels == [
        ("a/b", pytest.approx(4e-3)),
        ("copy", pytest.approx(2e-3)),
        ("c", pytest.approx(1e-3)),
    ]


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


def test_cudnn_is_compared(command, cupy, monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    cudnn = load("cudnn")
    layers = importlib.import_module("benchmarks.support.layers")
    monkeypatch.setattr(cudnn, "load", lambda: (torch, None))
    monkeypatch.setattr(cudnn, "array", lambda xp, t: xp.asarray(t.numpy()))
    monkeypatch.setattr(layers, "tensor", lambda a: torch.from_numpy(a.get()))
    assert command("--output", str(tmp_path), "--only", "products") == 0
    found, text = written(tmp_path)
    for row in rows(found, "products"):
        if "periodic" in row["layer"]:
            assert row["cuDNN median ms"] == row["differ"] == "-"
            continue
        assert 0 <= row["differ"] < 1e-5
        ratio = row["cuDNN median ms"] / row["median ms"]
        assert row["cuDNN / convinv"] == pytest.approx(ratio)
    assert text.count("times cuDNN's speed: ") == 8
    assert "14 of 14 agreements met" in text
    # arrays that differ are a failure
    monkeypatch.setattr(cudnn, "array", lambda xp, t: 2 * xp.asarray(t.numpy()))
    assert command("--only", "products") == 1


@pytest.mark.slow
def test_without_cudnn_it_is_said(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert command("--output", str(tmp_path), "--only", "products") == 0
    assert "- cuDNN was not measured: " in written(tmp_path)[1]


@pytest.mark.slow
def test_what_is_missed_does_not_stop_the_timing(
    command, monkeypatch, tmp_path, capsys
):
    checks = load("checks")
    few = {"3->8": checks.LAYERS["3->8"]}
    monkeypatch.setattr(checks, "LAYERS", few)
    monkeypatch.setattr(checks.convinv, "methods", lambda: [])
    monkeypatch.setattr(checks, "largest_error", lambda found, expected: 1.0)
    assert command("--output", str(tmp_path), "--only", "check", "ceilings") == 1
    found, text = written(tmp_path)
    assert list(found["parts"]) == ["check", "ceilings"]
    assert "3->8, float32, forward: within 1e-05: **missed**, 1.0e+00" in text
    assert "failed: check: 3->8, float32, forward" in capsys.readouterr().out
    assert rows(found, "ceilings")


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


def test_nan_fails_the_check():
    assert not load("checks").within("x", float("nan"), 1.0).holds


def test_without_a_profiler_it_is_said(command, tmp_path, monkeypatch):
    profiler = load("profiler")
    monkeypatch.setattr(profiler, "load", lambda: (None, "nothing: no torch"))
    assert command("--output", str(tmp_path), "--only", "busy") == 0
    assert "- nothing: no torch" in written(tmp_path)[1]


@pytest.mark.slow
def test_counters(cupy, monkeypatch, capsys):
    """Every call is timed, and made once while the profiler looks."""
    counters, looks = load("counters"), []
    for name in load("device").EXACT:
        monkeypatch.setenv(name, "0")
    for name in ("profilerStart", "profilerStop"):
        put = functools.partial(looks.append, name)
        monkeypatch.setattr(cupy.cuda.runtime, name, put, raising=False)
    layers = [(d, layer._replace(size=14, batch=1)) for d, layer in counters.LAYERS]
    few = {"LAYERS": layers, "LONG": 64, "BASES": ((64, 3),), "SIZE": 8, "CUT": 1}
    for name, value in few.items():
        monkeypatch.setattr(counters, name, value)
    assert counters.main() == 0
    names = [name for name, _ in counters.calls(cupy)]
    assert len(set(names)) == len(names) == 2 * len(layers) + 6
    printed = capsys.readouterr().out.splitlines()
    assert [line.rsplit(": ", 1)[0] for line in printed] == names
    assert looks == ["profilerStart", "profilerStop"] * len(names)


def test_an_exception_is_written_down(command, monkeypatch, tmp_path, capsys):
    products = load("products")
    real = products.measured

    def measured(session, torch, kind, layer, *rest):
        if layer.taps == 5:
            raise RuntimeError("an illegal address")
        real(session, torch, kind, layer, *rest)

    monkeypatch.setattr(products, "measured", measured)
    output = ["--output", str(tmp_path)]
    assert command(*output, "--only", "products", "gmres") == 1
    found, text = written(tmp_path)
    (failure,) = found["parts"]["products"]["failures"]
    assert "5x5" in failure["case"] and "in measured" in failure["trace"]
    assert "5x5, 16x16, batch" in failure["case"]
    assert "**failed**, RuntimeError: an illegal address" in text
    assert len(rows(found, "products")) == 14 and rows(found, "gmres")
    assert "failed: products: " in capsys.readouterr().out


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


def test_without_output_a_quick_run_writes_nothing(command, monkeypatch):
    main = load("__main__")

    def refuse(*args, **kwargs):
        raise AssertionError("written")

    monkeypatch.setattr(pathlib.Path, "write_text", refuse)
    assert command("--only", "ceilings") == 0
    assert main.parse([]).output == main.RESULTS
    assert main.parse(["--quick"]).output is None


def test_without_a_device(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for name in load("device").EXACT:
        monkeypatch.setenv(name, "0")
    assert load("__main__").main([]) == 2
    assert capsys.readouterr().err.startswith("no CUDA device that CuPy can use: ")


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


def test_plan_needs_no_device_and_is_what_the_page_shows():
    command = [sys.executable, "-m", "benchmarks.gpu", "--plan"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    printed = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert len(printed) > 10 and "published for the H200" in result.stdout
    page = ROOT / "docs" / "inside" / "cuda.rst"
    if not page.exists():
        pytest.skip("no documentation beside the tests")
    text = page.read_text(encoding="utf-8")
    for line in printed:
        assert f"   {line}\n" in text


def test_plan_takes_other_rates(capsys):
    main = load("__main__")
    assert main.main(["--plan", "--bandwidth", "1.5", "--flops", "20", "10"]) == 0
    text = capsys.readouterr().out
    assert "at 1.5 TB/s, 20 TFlop/s" in text and "as given" in text
    line = next(s for s in text.splitlines() if s.startswith("| 1->1"))
    assert [c.strip() for c in line.split("|")][4] == "1.000"  # 1.5 GB


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
