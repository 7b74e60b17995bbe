"""The figure of the page on priors."""

import importlib
import re

import numpy as np
import pytest

from support.paths import ROOT

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")


@pytest.fixture
def figures(monkeypatch):
    if not (ROOT / "docs").is_dir():
        pytest.skip("no documentation beside the tests")
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("priors_figures")


def test_figure(figures, tmp_path):
    """It shows what the page says: total variation is the best of the three."""
    figures.draw(tmp_path / "figures", 48)
    drawn = [path.name for path in (tmp_path / "figures").iterdir()]
    text = (ROOT / "docs" / "priors.rst").read_text(encoding="utf-8")
    assert re.findall(r"figure:: /_build/figures/(\S+)", text) == drawn
    shown = figures.images(48)
    ratios = [float(re.search(r": (.*) dB", title)[1]) for title in shown]
    assert len(ratios) == 3 and np.argmax(ratios) == 2
