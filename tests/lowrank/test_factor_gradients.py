"""Gradients through the factors of an SVD or an eigendecomposition."""

import numpy as np
import pytest

from convinv.lowrank import eigh_vjp, svd_vjp, svt_vjp
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


class TestFactors:
    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    @pytest.mark.parametrize("shape", ["square", "tall", "wide"])
    def test_svd_finite_differences(self, dtype, shape):
        """A loss of all three factors that does not see the phases."""
        a = matrix(VALUES["distinct"], SHAPES[shape], dtype)
        p = random((SHAPES[shape][0],) * 2, dtype, 11)
        q = random((SHAPES[shape][1],) * 2, dtype, 12)
        r = random(a.shape, dtype, 13)
        k = min(a.shape)
        w = np.arange(1.0, k + 1)

        def loss(a):
            u, s, vh = np.linalg.svd(a, full_matrices=False)
            one = np.sum(w * np.sum(u.conj() * (p @ u), axis=0).real)
            two = np.sum(w * s * np.sum((vh @ q) * vh.conj(), axis=1).real)
            return one + two + np.vdot(r, (u * w) @ vh).real

        u, s, vh = np.linalg.svd(a, full_matrices=False)
        pp, qq = (x + x.conj().T for x in (p, q))
        gu = w * (pp @ u) + r @ vh.conj().T * w
        gvh = (w * s)[:, None] * (vh @ qq) + w[:, None] * (u.conj().T @ r)
        gs = w * np.sum((vh @ q) * vh.conj(), axis=1).real
        assert error(svd_vjp(u, s, vh, gu, gs, gvh), slopes(loss, a)) < 1e-7

    def test_the_term_that_the_paper_misses(self):
        """Without the imaginary diagonal the complex gradient is off."""
        a, g = random((4, 4), "c16", 0), random((4, 4), "c16", 1)
        u, s, vh = np.linalg.svd(a)
        f = s**2
        gu, gvh = g @ vh.conj().T * f, f[:, None] * (u.conj().T @ g)
        gs = 2 * s * np.diagonal(u.conj().T @ g @ vh.conj().T).real
        ga = svd_vjp(u, s, vh, gu, gs, gvh)
        wanted = slopes(lambda a: np.vdot(g, a @ a.conj().T @ polar(a)).real, a)
        assert error(ga, wanted) < 1e-8
        phase = 1j * np.imag(np.diagonal(u.conj().T @ gu)) / s
        assert error(ga - (u * phase) @ vh, wanted) > 0.02

    def test_truncated_factors(self):
        """Those of a matrix of deficient rank, as the theorem allows."""
        a = matrix([3.0, 2.0, 1.0, 0.0, 0.0], (6, 5), "f8")
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        g = random(a.shape, "f8", 2)
        k = 3
        f = np.maximum(s - 0.5, 0)
        gs = np.diagonal(u.T @ g @ vh.T)[:k]
        gu, gvh = (g @ vh.T * f)[:, :k], (f[:, None] * (u.T @ g))[:k]
        found = svd_vjp(u[:, :k], s[:k], vh[:k], gu, gs, gvh)
        np.testing.assert_allclose(found, svt_vjp(a, 0.5, g)[0], atol=1e-12)

    def test_inv_is_exact_without_threshold(self):
        """What its T is right for: f(s) = s, whatever the values."""
        a = matrix([3.0, 3.0, 1.0, 1.0, 0.5], (5, 5), "f8")
        u, s, vh = np.linalg.svd(a)
        s = np.array([3.0, 3.0, 1.0, 1.0, 0.5])
        g = random((5, 5), "f8", 3)
        found = svt_vjp(a, 0.0, g, variant="inv", factors=(u, s, vh))[0]
        np.testing.assert_allclose(found, g, atol=1e-12)
        found = svt_vjp(a, 0.0, g, variant="tf", factors=(u, s, vh))[0]
        assert error(found, g) > 0.05

    def test_zero_values(self):
        """1 / 0 is left as it is, or replaced."""
        u, s, vh = np.eye(4, 3), np.array([2.0, 1.0, 0.0]), np.eye(3)
        gu = random((4, 3), "f8", 0)
        finite = {
            v: np.isfinite(svd_vjp(u, s, vh, gu, variant=v)).all() for v in VARIANTS
        }
        assert finite == {v: v != "standard" for v in VARIANTS}

    def test_clip(self):
        """What is infinite becomes the limit, and nothing else."""
        u, s, vh = np.eye(2), np.array([2.0, 2.0]), np.eye(2)
        gu = np.array([[0.0, 1.0], [0.0, 0.0]])
        found = svd_vjp(u, s, vh, gu, variant="clip", limit=1e3)
        np.testing.assert_allclose(found, [[0, 2e3], [-2e3, 0]])
        assert not svd_vjp(u, s, vh, gu, variant="tf").any()
        # T takes the part of gu as it is
        found = svd_vjp(u, s, vh, gu, variant="inv")
        np.testing.assert_allclose(found, [[0, 0.5], [0, 0]])

    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    def test_eigh_finite_differences(self, dtype):
        a = hermitian([-3.0, -0.5, 0.2, 1.0, 4.0], dtype)
        p = random((5, 5), dtype, 1)
        weights = np.arange(1.0, 6)

        def loss(a):
            w, v = np.linalg.eigh(a)
            return np.sum(weights * w * np.sum(v.conj() * (p @ v), axis=0).real)

        w, v = np.linalg.eigh(a)
        gv = weights * w * ((p + p.conj().T) @ v)
        gw = weights * np.sum(v.conj() * (p @ v), axis=0).real
        wanted = slopes(loss, a, symmetric=True)
        assert error(eigh_vjp(w, v, gw, gv), wanted) < 1e-7
        for variant in ("inv", "tf", "clip"):
            assert error(eigh_vjp(w, v, gw, gv, variant=variant), wanted) < 1e-7

    def test_eigh_taylor(self):
        w, v = np.array([0.9, 1.0, 100.0]), np.eye(3)
        gv = np.zeros((3, 3))
        gv[0, 1] = gv[0, 2] = 1.0
        exact = eigh_vjp(w, v, gv=gv)
        series = eigh_vjp(w, v, gv=gv, variant="taylor")
        assert series[0, 1] / exact[0, 1] == pytest.approx(1 - 0.9**10)
        assert series[0, 2] / exact[0, 2] == pytest.approx(1, rel=1e-12)

    def test_eigh_equal_values(self):
        w, v = np.ones(2), np.eye(2)
        gv = np.array([[0.0, 1.0], [0.0, 0.0]])
        assert not np.isfinite(eigh_vjp(w, v, gv=gv)).all()
        for variant, wanted in {"inv": 0, "tf": 0, "clip": 5, "taylor": 5}.items():
            found = eigh_vjp(w, v, gv=gv, variant=variant, limit=10.0)
            np.testing.assert_allclose(found[0, 1], wanted)

    def test_refuses(self):
        u, s, vh = np.linalg.svd(np.eye(3)[:2], full_matrices=False)
        with pytest.raises(ValueError, match="variant must be one of 'standard'"):
            svd_vjp(u, s, vh, variant="exact")
        with pytest.raises(ValueError, match=r"gvh must have shape \(2, 3\)"):
            svd_vjp(u, s, vh, gvh=np.ones((3, 3)))
        with pytest.raises(ValueError, match=r"gw must have shape \(2,\)"):
            eigh_vjp(s, u, gw=np.ones(3))
