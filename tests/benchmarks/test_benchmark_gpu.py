"""The command that measures on a GPU, its parts run on the stand-in for CuPy."""

import functools
import importlib
import pathlib
import subprocess
import sys

import pytest

import convinv
from support.benchmark_device import device, load, rows, small, written
from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run of every part has written, and its exit status.

    The check takes the dtype of the other parts, as each has kernels to be compiled.
    """
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        with device() as cupy:
            command, checks = small(cupy, patch), load("checks")
            patch.setattr(checks, "BOUNDS", {"float32": checks.BOUNDS["float32"]})
            status = command("--output", str(folder))
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


PARTS_ALONE = {"check": 4, "methods": 2, "strip": 2, "graphs": 1}  # and their rows


@pytest.mark.parametrize("name", PARTS_ALONE)
def test_parts_on_few_cases(command, monkeypatch, tmp_path, name):
    """Those that no other quick test runs; the check in every dtype."""
    checks = load("checks")
    cgls = [m for m in convinv.methods() if m.name == "cgls"]
    monkeypatch.setattr(checks, "LAYERS", {"3->8": checks.LAYERS["3->8"]})
    monkeypatch.setattr(checks.convinv, "methods", lambda: cgls)
    monkeypatch.setattr(load("graphs"), "METHODS", ("cgls",))
    assert command("--output", str(tmp_path), "--only", name) == 0
    found, _ = written(tmp_path)
    assert found["parts"][name]["failures"] == []
    assert len(rows(found, name)) == PARTS_ALONE[name]


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
