"""What the pages on the exact inverse show is what the package does."""

import importlib
import re
import subprocess
import sys

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery, solve
from convinv._inverse.accuracy import FINEST
from support.paths import ROOT

DOCS = ROOT / "docs"

if not DOCS.is_dir():
    pytest.skip("no documentation beside the tests", allow_module_level=True)


@pytest.fixture
def figures(monkeypatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("skimage")
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("exact_figures")


def small():
    op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 96, 96))
    return op, np.random.default_rng(0).random(op.output_shape)


def test_figures(figures, tmp_path, monkeypatch):
    """The script draws what the page shows."""
    monkeypatch.setattr(figures, "LINE", 8)
    monkeypatch.setattr(figures, "STEPS", 3)
    monkeypatch.setattr(figures, "problem", lambda size: small())
    figures.draw(tmp_path / "figures", 40)
    drawn = sorted((tmp_path / "figures").iterdir())
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    text = (DOCS / "exact.rst").read_text(encoding="utf-8")
    shown = re.findall(r"figure:: /_build/figures/(\S+)", text)
    assert {path.name for path in drawn} == set(shown)


def test_decay(figures, monkeypatch):
    """The factor converges with the square of the rate at which N^-1 decays."""
    monkeypatch.setattr(figures, "LINE", 16)  # a line is a block of the factor
    norms, changes = figures.decay(96)
    rates = (norms[30] / norms[20]) ** (1 / 10), (changes[24] / changes[12]) ** (1 / 12)
    assert 0.3 < rates[0] < 0.9
    np.testing.assert_allclose(rates[1], rates[0] ** 2, rtol=0.03)


def test_frame(figures):
    """The torus leaves a residual on the frame only, the bands next to none."""
    op, b = small()
    torus, bands = figures.residuals(op, b)
    assert torus.max() > 1e-2 and torus[4:-4, 4:-4].max() < 1e-13
    assert bands.max() < 3e-4 * torus.max()
    edge = np.zeros(bands.shape, bool)  # of the bands: stencils reach 2 further
    depths = solve(op, b, "schwarz", accuracy=FINEST).extra["depth"]
    assert max(depths) < 40
    for axis, depth in enumerate(depths):
        for lines in (slice(depth, depth + 2), slice(-depth - 2, -depth)):
            edge[lines if axis == 0 else (slice(None), lines)] = True
    assert bands[~edge].max() < 1e-2 * bands.max()


def test_plan():
    """The table of the performance page is what the command prints."""
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks beside the tests")
    command = [sys.executable, "-m", "benchmarks.exact_plan"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) > 4
    text = (DOCS / "performance.rst").read_text(encoding="utf-8")
    for line in lines:
        assert line in text
