"""The report on a layer."""

import re

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator, gallery
from support.layers import matrix
from support.torus_layers import deficient, layer


class TestReport:
    def test_of_a_layer_that_can_be_inverted(self):
        report = convinv.layer_report(layer("tall"))
        assert "invertible: full column rank" in str(report)
        assert f"{report.spectrum.condition:.4g}" in str(report)
        level = np.linalg.norm(matrix(layer("tall"))) / np.sqrt(8 * 6 * 8)
        assert np.isclose(report.damping[0.1], 0.1 * level)
        assert report.methods[0].name == "spectral"
        assert "auto takes spectral: the layer is periodic" in str(report)

    def test_worst_frequencies(self):
        report = convinv.layer_report(deficient())
        assert report.verdict == "rank-deficient: 2 of 72 unknowns can't be determined"
        assert report.worst[0] == ((0, 0), 0)
        values = [value for _, value in report.worst]
        assert values == sorted(values)
        # no frequency beside its conjugate, which has the same value
        assert len(set(np.round(values, 12))) == len(values)
        least = np.unique(report.spectrum.values[..., -1].round(12))
        np.testing.assert_allclose(values, least[:4], atol=1e-11)

    def test_of_others(self, monkeypatch):
        text = str(convinv.layer_report(layer("wide")))
        assert "full row rank: 42 of 126 unknowns can't be determined" in text
        kernel = gallery.conv_layer(3, 8, rng=0)
        monkeypatch.setattr("convinv.spectra._spectrum.DENSE_SIDE", 10)
        text = str(convinv.layer_report(ConvLinearOperator(kernel, (3, 9, 9)), rng=0))
        assert "singular values of the torus approximation" in text
        assert re.search("no sign of a null space|may be rank-deficient", text)
        op = ConvLinearOperator(kernel[:2], (3, 9, 9))
        text = str(convinv.layer_report(op, rng=0))
        assert "at least 145 of 243 unknowns can't be determined" in text

    @pytest.mark.parametrize("name", ["one dimension", "tall", "three dimensions"])
    def test_picture(self, name):
        plt = pytest.importorskip("matplotlib.pyplot")
        plt.switch_backend("agg")
        report = convinv.layer_report(layer(name))
        ax = report.plot()
        assert ax.get_title() == report.verdict and report.plot(ax) is ax
        axes = len(report.spectrum.frequencies)
        marks = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
        want = {1: [], 2: [place[::-1] for place, _ in report.worst] * 2, 3: []}[axes]
        if axes == 1:
            want = [(*place, value) for place, value in report.worst] * 2
        np.testing.assert_allclose(
            np.reshape(marks, (-1, 2)), np.reshape(want, (-1, 2))
        )
        plt.close("all")
