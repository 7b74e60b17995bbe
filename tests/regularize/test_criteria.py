"""The criteria of the rules are the dense formulas."""

import numpy as np
import pytest

from convinv import ConvLinearOperator
from support.damping_cases import (
    LAYERS,
    Dense,
    blur,
    chosen,
    data,
    decompose,
    every_layer,
    every_rule,
)


@every_rule
@every_layer
def test_criteria_are_the_dense_formulas(name, rule):
    """And no damp nearby is better than the one taken."""
    op, torus = LAYERS[name][0](), LAYERS[name][1]
    b, level = data(op, 0.05, batch=2)
    dense = Dense(op, b, torus)
    extra = chosen(op, b, rule, level).extra
    damp, path = extra["damp"], extra["damp_path"]
    usual = (path["damp"] > 1e-2 * dense.norm) & (path["damp"] < 11 * dense.norm)
    usual = np.flatnonzero(usual)
    for i in usual[np.linspace(0, len(usual) - 1, 5).astype(int)]:
        at = path["damp"][i]
        want = dense.criterion(rule, at, level)
        close = 1e-4 if rule == "lcurve" else 1e-7
        assert path["criterion"][i] == pytest.approx(want, rel=close, abs=close)
        want = dense.residual_norm(at), dense.solution_norm(at)
        assert path["residual_norm"][i] == pytest.approx(want[0], rel=1e-8)
        assert path["solution_norm"][i] == pytest.approx(want[1], rel=1e-8)
    assert np.all(np.diff(path["damp"]) > 0)
    if damp == 0:
        best = path["criterion"].min()
        assert rule != "lcurve" and path["criterion"][0] <= 1.0001 * best
        return
    assert damp in path["damp"]
    if rule == "discrepancy":
        assert dense.residual_norm(damp) == pytest.approx(level * np.sqrt(b.size))
        return
    sign = -1 if rule == "lcurve" else 1
    best = sign * dense.criterion(rule, damp, level)
    assert best == pytest.approx(np.min(sign * path["criterion"]), rel=1e-4)
    for factor in (0.9, 1.1):
        at = np.clip(factor * damp, path["damp"][0], path["damp"][-1])
        assert best <= sign * dense.criterion(rule, at, level) + 1e-9 * abs(best)


@pytest.mark.parametrize(
    ("boundary", "small", "rule"),
    [
        ("reflect", 0, "gcv"),
        ("reflect", 0, "ncp"),
        ("reflect", 256, "ncp"),
        ("periodic", 256, "ncp"),
    ],
)
def test_device_equals_host(cupy, monkeypatch, boundary, small, rule):
    decompose(monkeypatch, small)
    op = blur(boundary)
    b, level = data(op, 0.1, batch=2)
    want = chosen(op, b, rule, level, "cgls")
    device = ConvLinearOperator(
        cupy.asarray(op.kernel), op.input_shape, padding=3, boundary=boundary
    )
    got = chosen(device, cupy.asarray(b), rule, level, "cgls")
    assert isinstance(got.x, cupy.ndarray)
    assert got.extra["damp"] == pytest.approx(want.extra["damp"], rel=1e-6)
    # the device looks at the stopping test later, and comes closer to the solution
    close = 1e-4 * np.abs(want.x).max()
    np.testing.assert_allclose(got.x.get(), want.x, atol=close)


def test_gcv_of_a_small_image_is_exact():
    """The trace of 576 unknowns comes from the matrix itself, also without noise."""
    g = np.exp(-0.5 * (np.arange(5) - 2.0) ** 2)
    op = ConvLinearOperator(
        np.outer(g, g)[None, None] / g.sum() ** 2,
        (1, 24, 24),
        padding="same",
        boundary="reflect",
    )
    b = op.forward(np.random.default_rng(0).random((1, 24, 24)))
    u, s, _ = np.linalg.svd(op.todense())
    parts = u.T @ b.ravel()
    damps = np.geomspace(1e-5, 1, 1500)
    left = damps[:, None] ** 2 / (s**2 + damps[:, None] ** 2)
    best = damps[np.argmin(np.sum((left * parts) ** 2, 1) / left.sum(1) ** 2)]
    assert chosen(op, b, "gcv", None).extra["damp"] == pytest.approx(best, rel=0.01)
