"""The benchmark of deblurring: its cases, its tables and its bars."""

import importlib
import json

import numpy as np
import pytest

from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)
pytest.importorskip("skimage")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.imaging.{name}")


def row(ours=30.0, best=30.0, rival=29.0, similar=0.9):
    names = ("wiener", "unsupervised_wiener", "richardson_lucy")
    values = {"blurred": 25.0, "deconvolve": ours, **dict.fromkeys(names, rival)}
    return {
        "case": "camera, disc, noise 1 %",
        "psnr": values,
        "ssim": {name: similar if name == "deconvolve" else 0.5 for name in values},
        "setting": dict.fromkeys(values, 0.1),
        "best strength": 0.1,
        "best": best,
        "noise": 1.0,
        "method": "embedding",
        "nit": 9,
        "seconds": 0.1,
    }


def speed_row(ratio):
    return {
        "picture": "512x512, gray",
        "psf": "disc",
        "seconds": [ratio, ratio],
        "unsupervised_wiener": [1.0, 1.0],
        "ratio": ratio,
        "method": "embedding",
        "nit": 9,
    }


def test_cases(load):
    cases = load("cases")
    names = [str(case) for case in cases.cases()]
    assert len(set(names)) == len(names) == 3 * (12 * 3 + 2)
    b, x, psf = cases.Case("cells", "microscope", 0.01).data()
    assert b.shape == x.shape == cases.STACK
    assert abs(psf.sum() - 1) < 1e-12
    b, x, psf = cases.Case("camera", "motion", 0.0, 64).data()
    assert b.shape == x.shape == (64, 64)
    inner = tuple(slice(k, -k) for k in psf.shape)
    from convinv import imaging

    np.testing.assert_allclose(imaging.blur(x, psf)[inner], b[inner], atol=1e-12)


@pytest.mark.parametrize(
    "rows, speeds, count",
    [
        ([row()], [speed_row(1.4)], 0),
        ([row(), row(ours=24.0, best=24.0, rival=20.0)], [], 1),
        ([row(similar=0.4)], [], 1),
        ([row(rival=30.2)], [], 1),
        ([row(rival=30.6)], [], 2),
        ([row(best=30.6)], [], 1),
        ([row()], [speed_row(1.6)], 1),
    ],
)
def test_bars(load, rows, speeds, count):
    report = load("report")
    assert len(report.missed(rows, speeds)) == count
    assert report.tables(rows, speeds).count("**missed**") == count


def test_the_textbook_form_is_the_minimum(load, monkeypatch):
    variation = load("total_variation")
    b, psf = variation.picture(48)
    x, op = variation.ours(b, psf, "symmetric")
    monkeypatch.setattr(variation, "ITERATIONS", 2000)
    other = variation.textbook(b, psf)
    values = [variation.objective(op, b, found) for found in (x, other)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-4)


def test_other_methods_have_their_bars(load):
    report = load("report")
    other = {"what": "x", "ours": 2.0, "theirs": 1.0, "ratio": 2.0, "bar": 1.0}
    other |= {"met": False, "note": "over it"}
    assert len(report.missed([row()], [], [other])) == 1
    assert "| x " in report.tables([row()], [], [other])


@pytest.mark.slow
def test_quick_form(load, monkeypatch, tmp_path):
    cases, main = load("cases"), load("__main__")
    monkeypatch.setattr(main, "QUICK", (cases.Case("camera", "Gaussian", 0.01, 48),))
    monkeypatch.setattr(load("quality"), "COUNTS", (1, 2))
    monkeypatch.setattr(load("speed"), "QUICK", {"64x64, gray": (64, 1)})
    output = tmp_path / "imaging.md"
    assert main.main(["--quick", "--output", str(output)]) == 0
    rows = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    assert len(rows["quality"]) == len(rows["time"]) == 1
    assert len(rows["other methods"]) == 1 + 5
    assert rows["quality"][0]["psnr"]["deconvolve"] > 20
    assert "camera, Gaussian, noise 1 %" in output.read_text(encoding="utf-8")
