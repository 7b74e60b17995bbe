"""The charts of the pages: their data, and what becomes of the drawing."""

import importlib
import re
import runpy
import xml.etree.ElementTree as xml

import pytest

from support.paths import ROOT

DOCS = ROOT / "docs"
CHARTS = sorted(DOCS.glob("charts/*.py"))
LEFT_OUT = {"_build", "gallery", "generated"}
PAGES = [p for p in sorted(DOCS.rglob("*.rst")) if LEFT_OUT.isdisjoint(p.parts)]


@pytest.fixture
def charts(monkeypatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("convinv_charts")


@pytest.fixture
def draw(charts):
    """A function that draws a chart from other data: its axes."""
    from matplotlib import pyplot

    def drawn(name, data):
        with charts.chart_style.style():
            figure = runpy.run_path(str(DOCS / "charts" / f"{name}.py"))["draw"](data)
        return figure.axes[0]

    yield drawn
    pyplot.close("all")


def points(ax):
    """``{name of a series: [(x, y), ...]}``"""
    return {
        line.get_label(): list(zip(*map(list, line.get_data())))
        for line in ax.lines
        if not line.get_label().startswith("_")
    }


def rows_of_labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_pages_show_every_chart():
    names = [
        name
        for page in PAGES
        for name in re.findall(r"convinv-chart:: (\w+)\n", page.read_text("utf-8"))
    ]
    assert set(names) == {path.stem for path in CHARTS}


@pytest.mark.parametrize("script", CHARTS, ids=lambda path: path.stem)
def test_a_chart(charts, script):
    """An element of the page: all text is text, every color is one of the page's."""
    figure, source = charts.drawn(script)
    assert source.is_file() and source.is_relative_to(ROOT / "benchmarks" / "results")
    text = charts.svg(figure, script.stem, 'Dots & "lines" < 3')
    root = xml.fromstring(text)
    assert root.get("aria-label") == 'Dots & "lines" < 3' and root.get("width") is None
    label = figure.axes[0].get_xlabel()
    assert label in "".join(root.itertext())
    assert not re.findall(r"#0102\d\d|#0101\d\d|font-family|<image", text)
    colors = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", text))
    assert colors - {"none"} <= {
        f"var({v})" for v in charts.chart_style.VARIABLES.values()
    }
    # ids are those that something refers to, so that charts share none of their own
    ids = set(re.findall(r' id="([^"]+)"', text))
    assert ids == set(re.findall(r"#([\w-]+)", text))


def test_two_charts_share_no_ids(charts):
    found = [
        set(
            re.findall(
                r' id="([^"]+)"', charts.svg(charts.drawn(path)[0], path.stem, "")
            )
        )
        for path in CHARTS
    ]
    assert sum(map(len, found)) == len(set().union(*found))


def test_ratios_to_torch(draw):
    def row(layer, product, ours, theirs):
        return {
            "layer": f"{layer}, batch 5",
            "dtype": "float32",
            "product": product,
            "convinv ms": f"{ours} / 99.0",
            "torch ms": f"{theirs} / 1.0",
        }

    times = {"forward": (2.0, 5.0), "adjoint": (4.0, 2.0)}
    rows = [row("1->2, 3x3, 9x9", p, *taken) for p, taken in times.items()]
    ax = draw("kernels", {"Against torch": rows})
    assert rows_of_labels(ax) == ["1→2\n3x3, 9x9"]
    assert points(ax) == {
        "float32, forward": [(2.5, 0)],
        "float32, adjoint": [(0.5, 0)],
    }


def test_steps_in_deepinv(draw):
    def row(padding, by, ms):
        names = {"filter": "disc 3 x 3", "padding": padding, "step": "prox_l2"}
        return {**names, "by": by, "ms": ms, "gradient": "1e-6"}

    steps = [("valid", "Blur", "40"), ("valid", "ConvPhysics", "5.5")]
    rows = [row(*step) for step in [*steps, ("circular", "Blur", "60")]]
    ax = draw("deepinv_inverses", {"Steps": rows})
    names = [f"disc 3 x 3, {padding}\nprox_l2" for padding in ("valid", "circular")]
    assert rows_of_labels(ax) == names
    assert points(ax) == {"Blur": [(40, 0), (60, 1)], "ConvPhysics": [(5.5, 0)]}


def test_exact_ratios(draw):
    def row(key, name, tall):
        return {
            "key": key,
            "name": name,
            "size": 64,
            "batch": 200,
            "tall": tall,
            "times": {"auto": [2.0, 1.0]},
            "strip": {"seconds": 3.0},
            "cgls": {"seconds": 10.0},
            "lsqr": {"seconds": 40.0},
        }

    ax = draw(
        "exact",
        [
            row("1->8, 64x64, batch 200, float32", "1to8", True),
            row("1->8, 64x64, batch 200, float64", "1to8", True),
            row("8->3, 64x64, batch 200, float32", "8to3", False),
        ],
    )
    assert rows_of_labels(ax) == [
        f"{name}\n64x64, batch 200" for name in ("1→8", "8→3")
    ]
    found = points(ax)
    assert found["second call"] == [(0.5, 0), (0.5, 1)]
    assert found["STRIP, a sweep"] == [(1.5, 0)]  # none for the wide layer
    assert found["CGLS, 120 dB"] == [(5, 0), (5, 1)]
    assert found["LSQR, 120 dB"] == [(20, 0), (20, 1)]


def test_default_calls(draw):
    """Ratios to the best of the others; without one no dot, without success neither."""
    cases = [
        {"times": {"auto": [2.0, 1.0], "cgls": [1.0, 2.0], "direct": [4.0, 0.5]}},
        {"times": {"auto": [1.0, 1.0], "cgls": [2.0, 1.0]}},
        {"times": {"cgls": [2.0, 2.0]}},
        {"times": {"auto": [1.0, 1.0]}},
        {"case": "x", "error": "E: no"},
    ]
    found = points(draw("default_call", cases))
    assert [y for _, y in found["first call"]] == [0.5, 2.0]
    assert [y for _, y in found["second call"]] == [1.0, 2.0]
    assert [x for x, _ in found["first call"]] == pytest.approx([100 / 6, 50])


def test_gains_are_means(draw):
    def row(picture, blurred, **psnr):
        return {
            "case": f"{picture}, disc, noise 1 %",
            "psnr": {"blurred": blurred, **psnr},
        }

    rows = [
        row("a", 20.0, deconvolve=24.0, wiener=21.0, richardson_lucy=19.0),
        row("b", 30.0, deconvolve=32.0, wiener=30.0, richardson_lucy=28.0),
    ]
    ax = draw("imaging", {"quality": rows})
    assert rows_of_labels(ax) == ["disc\nnoise 1 %"]
    assert points(ax) == {
        "deconvolve": [(3.0, 0)],
        "wiener": [(0.5, 0)],
        "richardson_lucy": [(-1.5, 0)],
    }


def test_simulated_over_measured(draw):
    rows = [
        {"case": f"blur, 64x64, tile 8, halo 2, {workers}", "ratio": ratio}
        for workers, ratio in (("1 worker", 0.9), ("2 workers", 0.6))
    ]
    rows.append({"case": "layer, 64x64, tile 8, halo 2, 2 workers", "ratio": 1.2})
    ax = draw("scaling_compared", {"compared": rows})
    assert rows_of_labels(ax) == ["blur, tile 8\nhalo 2", "layer, tile 8\nhalo 2"]
    assert points(ax) == {"1 worker": [(0.9, 0)], "2 workers": [(0.6, 0), (1.2, 1)]}


def test_errors_by_sweep(draw):
    rows = [
        {"case": "halo 2", "errors": [0.1, 0.01]},
        {"case": "halo 2, from data inside alone", "errors": [0.2, 0.2]},
    ]
    assert points(draw("scaling_sweeps", {"sweeps": rows})) == {
        "halo 2": [(1, 0.1), (2, 0.01)],
        "recipe, halo 2": [(1, 0.2), (2, 0.2)],
    }


def test_cells(charts):
    value = charts.chart_style.value
    cells = ["46.34 ± 0.05", "9.36e-16", "7.35 / 11.01", "~4.9", "-", "none finite", ""]
    assert list(map(value, cells)) == [46.34, 9.36e-16, 7.35, 4.9, None, None, None]
