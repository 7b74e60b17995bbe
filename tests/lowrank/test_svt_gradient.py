"""Gradients of singular value thresholding against finite differences."""

import numpy as np
import pytest

from convinv.lowrank import spectral_vjp, svd_vjp, svt, svt_vjp
from support.arrays import random
from support.matrices import (
    SHAPES,
    VALUES,
    VARIANTS,
    error,
    hermitian,
    matrix,
    polar,
    slopes,
)


class TestGradient:
    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("values", VALUES)
    @pytest.mark.parametrize("tau", [0.0, 0.7, 2.0])
    def test_finite_differences(self, dtype, shape, values, tau):
        shape = SHAPES[shape]
        a, c = matrix(VALUES[values], shape, dtype), random(shape, dtype, 5)

        def loss(a):
            return np.sum(np.abs(svt(a, tau) - c) ** 2) / 2

        g = svt(a, tau) - c
        ga, gt = svt_vjp(a, tau, g)
        assert np.linalg.norm(ga) <= np.linalg.norm(g) * (1 + 1e-14)
        wanted = slopes(loss, a)
        if np.linalg.norm(wanted) < 1e-9:  # nothing above the threshold
            assert np.linalg.norm(ga) < 1e-9 and gt == 0
            return
        assert error(ga, wanted) < 1e-6
        if tau:
            h = 1e-5
            plus, minus = (
                np.sum(np.abs(svt(a, tau + d) - c) ** 2) / 2 for d in (h, -h)
            )
            assert abs(gt - (plus - minus) / (2 * h)) < 1e-7 * np.linalg.norm(g)

    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    @pytest.mark.parametrize("form", ["hermitian", "psd"])
    @pytest.mark.parametrize(
        "values", [[-3.0, -0.5, 0.2, 1.0, 4.0], [2.0, 2.0, 0.0, -2.0, 0.3]]
    )
    @pytest.mark.parametrize("tau", [0.0, 0.7])
    def test_hermitian(self, dtype, form, values, tau):
        if form == "psd" and tau == 0 and 0.0 in values:
            tau = 0.1  # 0 itself is a kink
        a, c = hermitian(values, dtype), random((5, 5), dtype, 5)

        def loss(a):
            return np.sum(np.abs(svt(a, tau, form=form) - c) ** 2) / 2

        ga, gt = svt_vjp(a, tau, svt(a, tau, form=form) - c, form=form)
        np.testing.assert_allclose(ga, ga.conj().T, atol=1e-14)
        assert error(ga, slopes(loss, a, symmetric=True)) < 1e-6
        if tau:
            h = 1e-5
            plus, minus = (
                np.sum(np.abs(svt(a, tau + d, form=form) - c) ** 2) / 2 for d in (h, -h)
            )
            assert gt == pytest.approx((plus - minus) / (2 * h), rel=1e-6)

    @pytest.mark.parametrize("tau", [0.7, 2.0])
    def test_others_are_off_where_values_are_equal(self, tau):
        """Only the default is right; the others miss by a tenth and more."""
        a = hermitian([3.0, 3.0, 1.6, 1.1, 0.4], "f8")
        a[[0, 1]] = a[[1, 0]]  # not symmetric
        c = random((5, 5), "f8", 8)
        g = svt(a, tau) - c
        wanted = slopes(lambda a: np.sum((svt(a, tau) - c) ** 2) / 2, a)
        u, s, vh = np.linalg.svd(a)
        s[:2] = 3.0  # equal, not only to rounding
        errors = {
            v: error(svt_vjp(a, tau, g, variant=v, factors=(u, s, vh))[0], wanted)
            for v in ("exact", *VARIANTS)
        }
        assert errors["exact"] < 1e-6
        assert not np.isfinite(errors["standard"])
        assert min(errors["tf"], errors["taylor"]) > 0.05
        assert errors["inv"] > 0.02
        assert max(errors["tf"], errors["inv"], errors["taylor"]) > 0.1

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    @pytest.mark.parametrize("variant", ["standard", "inv", "tf", "clip"])
    def test_variants_agree_on_distinct_values(self, shape, dtype, variant):
        a = matrix(VALUES["distinct"], SHAPES[shape], dtype)
        g = random(a.shape, dtype, 3)
        exact, by_factors = svt_vjp(a, 0.7, g), svt_vjp(a, 0.7, g, variant=variant)
        np.testing.assert_allclose(by_factors[0], exact[0], atol=1e-12)
        np.testing.assert_allclose(by_factors[1], exact[1], atol=1e-12)
        b = hermitian([-3.0, -0.5, 0.2, 1.0, 4.0], dtype)
        g = random(b.shape, dtype, 4)
        for form in ("hermitian", "psd"):
            exact = svt_vjp(b, 0.7, g, form=form)
            other = svt_vjp(b, 0.7, g, form=form, variant=variant)
            np.testing.assert_allclose(other[0], exact[0], atol=1e-12)
            np.testing.assert_allclose(other[1], exact[1], atol=1e-12)

    def test_taylor_is_a_truncated_series(self):
        """Right to the last bit for well separated values, 1 - q^10 for close ones."""
        g = random((2, 2), "f8", 0)
        far = matrix([10.0, 0.1], (2, 2), "f8")
        np.testing.assert_allclose(
            svt_vjp(far, 0.01, g, variant="taylor")[0],
            svt_vjp(far, 0.01, g)[0],
            rtol=1e-12,
        )
        u, s, vh = np.linalg.svd(matrix([1.0, 0.9], (2, 2), "f8"))
        gu = random((2, 2), "f8", 1)
        offset = [
            np.abs(u.T @ svd_vjp(u, s, vh, gu, variant=v) @ vh.T)[0, 1]
            for v in ("taylor", "standard")
        ]
        assert offset[0] / offset[1] == pytest.approx(1 - 0.81**10, rel=1e-12)

    def test_batches(self):
        a, g = random((4, 3, 5, 6), "c16", 1), random((4, 3, 5, 6), "c16", 2)
        tau = np.array([0.2, 1.0, 3.0])
        ga, gt = svt_vjp(a, tau, g)
        assert gt.shape == (3,)
        total = np.zeros(3)
        for i in np.ndindex(4, 3):
            one, slope = svt_vjp(a[i], tau[i[1]], g[i])
            np.testing.assert_allclose(ga[i], one, atol=1e-13)
            total[i[1]] += slope
        np.testing.assert_allclose(gt, total, rtol=1e-12)
        assert svt_vjp(a, np.ones((4, 1)), g)[1].shape == (4, 1)
        assert svt_vjp(a, 1.0, g)[1].shape == ()

    @pytest.mark.parametrize("values", [[1e-18, 1e-18, 0, 0], [1e18, 1e18, 1, 1]])
    def test_single_precision_is_bounded(self, values):
        """Table 1's kind of matrix: the default needs no clipping."""
        a = matrix(values, (4, 4), "f8").astype("f4")
        g = np.ones((4, 4), "f4")
        for tau in (0.0, 0.5 * values[0]):
            ga, _ = svt_vjp(a, np.float32(tau), g)
            assert ga.dtype == np.float32
            assert np.linalg.norm(ga) <= np.linalg.norm(g) * (1 + 1e-6)
        np.testing.assert_allclose(svt_vjp(a, 0.0, g)[0], g, rtol=1e-5)

    def test_gradients_that_overflowed_pass_on(self):
        """Mixed-precision training looks for them afterwards."""
        g = np.array([[np.inf, 0.0], [0.0, np.nan]])
        assert not np.isfinite(svt_vjp(np.eye(2), 0.1, g)[0]).all()

    def test_the_paper_s_matrix(self):
        """[[2, 4], [-4, 2]] and its neighbor; f(s) = s + 0.1, loss the sum."""
        found = []
        for a in (np.array([[2.0, 4], [-4, 2]]), np.array([[2.0001, 4], [-4, 2]])):
            u, s, vh = np.linalg.svd(a)
            ga = spectral_vjp(u, s, vh, np.ones((2, 2)), s + 0.1, np.ones(2))
            loss = slopes(lambda a: np.sum(a + 0.1 * polar(a)), a)
            assert error(ga, loss) < 1e-8
            found.append(ga)
        np.testing.assert_allclose(*found, atol=1e-5)

    @pytest.mark.parametrize("values", ["distinct", "repeated", "clustered"])
    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    @pytest.mark.parametrize("shape", ["square", "tall", "wide"])
    def test_smooth_functions(self, values, dtype, shape):
        a = matrix(VALUES[values], SHAPES[shape], dtype)
        g = random(a.shape, dtype, 7)

        def apply(a):
            u, s, vh = np.linalg.svd(a, full_matrices=False)
            return (u * np.tanh(s)) @ vh

        u, s, vh = np.linalg.svd(a, full_matrices=False)
        ga = spectral_vjp(u, s, vh, g, np.tanh(s), 1 / np.cosh(s) ** 2)
        assert error(ga, slopes(lambda a: np.vdot(g, apply(a)).real, a)) < 1e-8

    def test_refuses(self):
        a = np.eye(3)
        with pytest.raises(ValueError, match=r"g must have the shape of a.*\(2, 3\)"):
            svt_vjp(a, 1.0, a[:2])
        with pytest.raises(ValueError, match="variant must be one of 'exact'"):
            svt_vjp(a, 1.0, a, variant="best")
        with pytest.raises(ValueError, match="g must have shape"):
            spectral_vjp(a, np.ones(3), a, a[:2], np.ones(3), np.ones(3))
