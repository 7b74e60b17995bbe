"""The figures of the page on pictures can be drawn, and show what it says."""

import runpy

import numpy as np
import pytest

from support.paths import ROOT

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")
SCRIPT = ROOT / "docs" / "imaging_figures.py"
if not SCRIPT.is_file():
    pytest.skip("no documentation beside the tests", allow_module_level=True)


@pytest.fixture(scope="module")
def page():
    return runpy.run_path(str(SCRIPT))


def test_figures_are_written(page, tmp_path):
    page["draw"](tmp_path, size=64, count=3)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"imaging-deblur.png", "imaging-strength.png"}


def test_dots_are_at_the_top_of_the_curves(page):
    for _, strengths, levels, _, level in page["curves"](128, 7):
        assert level > max(levels) - 0.5
        assert np.all(np.diff(strengths) > 0)
