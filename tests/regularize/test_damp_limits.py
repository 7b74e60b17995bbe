"""Data and layers of which a rule can say little."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._regularize import hybrid_lsqr as krylov
from support.damping_cases import (
    LAYERS,
    blur,
    chosen,
    data,
    decompose,
    every_hybrid,
    every_rule,
    layer,
    normal,
    picture,
)


class TestLimits:
    @every_hybrid
    @every_rule
    @pytest.mark.parametrize("name", ["blur", "blur on a torus"])
    def test_zero_b(self, monkeypatch, name, rule, small):
        decompose(monkeypatch, small)
        op = LAYERS[name][0]()
        result = chosen(op, np.zeros((2, *op.output_shape)), rule, 1.0)
        assert result.success and not result.x.any()
        assert result.extra["damp"] == 0
        assert all(len(v) == 0 for v in result.extra["damp_path"].values())

    @every_hybrid
    @every_rule
    def test_a_zero_operator(self, monkeypatch, rule, small):
        decompose(monkeypatch, small)
        for boundary in ("periodic", "zero"):
            op = ConvLinearOperator(np.zeros((1, 1, 3)), (1, 9), boundary=boundary)
            result = chosen(op, np.ones(op.output_shape), rule, 1e-3)
            assert result.success and not result.x.any() and result.extra["damp"] == 0

    @every_hybrid
    @pytest.mark.parametrize("name", ["blur", "blur on a torus", "over"])
    def test_noise_that_accounts_for_all(self, monkeypatch, name, small):
        decompose(monkeypatch, small)
        op = LAYERS[name][0]()
        b, _ = data(op, 0.1)
        level = 1.001 * np.sqrt(np.mean(b**2))
        result = solve(op, b, "cgls", damp="discrepancy", noise_level=level)
        assert result.success and "noise_level accounts for all of b" in result.message
        assert result.extra["damp"] > 100 * np.linalg.norm(op.todense(), 2)
        assert np.linalg.norm(op.forward(result.x)) <= 1e-3 * np.linalg.norm(b)

    @every_hybrid
    @pytest.mark.parametrize("level", [0.0, 1e-9])
    def test_noise_that_needs_no_damp(self, monkeypatch, level, small):
        """The least-squares residual alone is as large as the noise."""
        decompose(monkeypatch, small)
        for name in ("over", "over, strided"):
            op = LAYERS[name][0]()
            b, _ = data(op, 0.1)
            result = solve(op, b, "cgls", damp="discrepancy", noise_level=level)
            assert result.extra["damp"] == 0 and result.success
            assert "noise_level" not in result.message

    @pytest.mark.parametrize("name", ["over", "over, strided"])
    def test_data_without_noise(self, name):
        op = LAYERS[name][0]()
        b, _ = data(op, 0.0)
        result = solve(op, b, "cgls", damp="gcv", rtol=1e-8)
        assert result.success
        assert result.extra["damp"] <= 1e-4 * np.linalg.norm(op.todense(), 2)

    def test_what_has_not_settled_says_so(self, monkeypatch):
        decompose(monkeypatch, 0)
        monkeypatch.setattr(krylov, "MOST", 9)
        op = blur("reflect", (20, 20), 1.5)
        b, _ = data(op, 1e-6)
        result = chosen(op, b, "gcv")
        assert "not settled after 9 steps" in result.message

    def test_memory_limits_the_steps(self, monkeypatch):
        monkeypatch.setattr(krylov, "BYTES", 8 * 400 * 12)
        op = blur("reflect", (20, 20))
        b = normal(np.random.default_rng(0), (1, 400))
        basis = krylov.Basis(op, b, "ncp", 1e-16)
        assert basis.limit == 12

    @pytest.mark.parametrize("rule", ["discrepancy", "gcv", "lcurve"])
    def test_a_low_rank(self, monkeypatch, rule):
        """The Krylov space is complete after a few steps."""
        rng = np.random.default_rng(2)
        A = rng.standard_normal((40, 4)) @ rng.standard_normal((4, 30))
        b = A @ rng.standard_normal(30) + rng.standard_normal(40)
        want = chosen(A, b, rule, 1.0).extra["damp"]
        decompose(monkeypatch, 0)
        got = chosen(A, b, rule, 1.0).extra["damp"]
        assert got == pytest.approx(want, rel=1e-4)


class TestNoSpread:
    """Operators of one singular value, of none, or of one unknown."""

    @every_rule
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
    @pytest.mark.parametrize(
        "kernel", [[[[0.1257302210933933]]], [[[0.0, -3.0, 0.0]]], [[[1e-9]]]]
    )
    def test_one_singular_value(self, kernel, dtype, rule):
        size = (1, 7)
        op = ConvLinearOperator(kernel, size, padding="same", dtype=dtype)
        b = normal(np.random.default_rng(0), op.output_shape, dtype)
        result = chosen(op, b, rule, 0.1)
        damp, value = result.extra["damp"], np.abs(kernel).max()
        assert result.success and np.isfinite(damp)
        want = value * b / (value**2 + damp**2) * np.sign(np.sum(kernel))
        np.testing.assert_allclose(result.x, want, rtol=1e-3)
        if rule == "lcurve":
            assert damp == pytest.approx(value, rel=0.02)
            assert "no corner" in result.message

    @every_rule
    @pytest.mark.parametrize("seed", range(15))
    def test_small_operators(self, seed, rule):
        """Matrices that are orthogonal, zero, of rank one, of whole numbers."""
        rng = np.random.default_rng(seed)
        m, n = rng.integers(1, 7, 2)
        basis = np.linalg.qr(rng.standard_normal((max(m, n), min(m, n))))[0]
        integers = rng.integers(-2, 3, (m, n))
        for A in (np.eye(m, n), np.zeros((m, n)), basis, np.ones((m, n)), integers):
            size = int(np.sqrt(A.shape[0]))
            if rule == "ncp":  # it wants an image
                kernel = rng.standard_normal((1, 1, 1, 1))
                A = ConvLinearOperator(kernel, (1, size, size + 1))
            b = rng.standard_normal(A.shape[0])
            for scale in (1.0, 0.0, 1e200):
                level = 0.2 * scale if rule == "discrepancy" else None
                result = solve(A, scale * b, "lsqr", damp=rule, noise_level=level)
                assert result.success and result.extra["damp"] >= 0

    def test_a_curve_without_corner_says_so(self):
        """Singular values of one order: the largest curvature is at an end."""
        op = layer((2, 1, 3), (1, 20), boundary="periodic", padding=1)
        rng = np.random.default_rng(0)
        b = op.forward(rng.standard_normal(op.input_shape))
        result = chosen(op, b, "lcurve", None)
        path = result.extra["damp_path"]
        ends = path["damp"][[0, -1]]
        curvature = np.max(path["criterion"])
        doubtful = curvature <= 0 or np.isclose(result.extra["damp"], ends).any()
        assert doubtful and "no corner" in result.message

    def test_a_curve_with_a_corner_does_not(self):
        op = blur("reflect", (12, 12), 1.5)
        rng = np.random.default_rng(0)
        b = op.forward(picture((12, 12))) + 1e-3 * rng.standard_normal((1, 12, 12))
        result = chosen(op, b, "lcurve", None)
        assert np.max(result.extra["damp_path"]["criterion"]) > 0
        assert "corner" not in result.message
