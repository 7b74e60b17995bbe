"""Singular value thresholding, and its gradients against finite differences."""

import numpy as np
import pytest

from convinv._linalg import batched
from convinv.lowrank import (
    eigh_vjp,
    nuclear_norm,
    spectral_vjp,
    svd_vjp,
    svt,
    svt_vjp,
    tensor_nuclear_norm,
    tensor_svt,
)
from convinv.proximal import prox_nuclear
from support.arrays import random

SHAPES = {"square": (5, 5), "tall": (7, 4), "wide": (4, 7), "row": (1, 3)}
VALUES = {
    "distinct": [4.0, 3.1, 2.2, 0.9, 0.5],
    "repeated": [3.0, 3.0, 1.5, 1.5, 0.5],
    "zero": [3.0, 2.1, 0.0, 0.0, 0.0],
    "clustered": [3.0 + 2e-9, 3.0 + 1e-9, 3.0, 0.5 + 1e-12, 0.5],
}
VARIANTS = ["standard", "inv", "tf", "clip", "taylor"]


def matrix(values, shape, dtype, seed=0):
    """A matrix with given singular values."""
    k = min(shape)
    u = np.linalg.qr(random((shape[0], shape[0]), dtype, seed))[0][:, :k]
    v = np.linalg.qr(random((shape[1], shape[1]), dtype, seed + 1))[0][:, :k]
    return (u * np.array(values[:k])) @ v.conj().T


def hermitian(values, dtype, seed=0):
    q = np.linalg.qr(random((len(values), len(values)), dtype, seed))[0]
    return (q * np.array(values)) @ q.conj().T


def oracle(a, tau):
    """One matrix after the other, written out."""
    result = np.empty_like(a)
    for i in np.ndindex(a.shape[:-2]):
        u, s, vh = np.linalg.svd(a[i], full_matrices=False)
        result[i] = sum(
            (max(x - t, 0) * np.outer(u[:, j], vh[j]))
            for t in [np.broadcast_to(tau, a.shape[:-2])[i]]
            for j, x in enumerate(s)
        )
    return result


def slopes(loss, a, symmetric=False, h=1e-5):
    """The gradient of a real loss by central differences."""
    g = np.zeros_like(a)
    parts = [1.0] if a.dtype.kind == "f" else [1.0, 1j]
    for i in np.ndindex(a.shape):
        for part in parts:
            d = np.zeros_like(a)
            d[i] = h * part
            if symmetric:
                d = (d + d.conj().T) / 2
            g[i] += part * (loss(a + d) - loss(a - d)) / (2 * h)
    return g


def error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


class TestSVT:
    @pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
    @pytest.mark.parametrize("shape", [*SHAPES.values(), (33, 20)])
    @pytest.mark.parametrize("tau", [0.0, 0.3, 2.0, 100.0])
    def test_oracle(self, dtype, shape, tau):
        a = random((3, 2, *shape), dtype, 0)
        before = a.copy()
        found = svt(a, tau)
        assert found.dtype == a.dtype and not np.shares_memory(found, a)
        limit = 100 * np.finfo(dtype).eps * np.abs(a).max()
        np.testing.assert_allclose(found, oracle(a, tau), rtol=0, atol=limit)
        np.testing.assert_array_equal(a, before)

    def test_thresholds_of_a_stack(self):
        a = random((2, 3, 4, 5), "f8", 1)
        tau = np.array([0.0, 0.5, 3.0])
        np.testing.assert_allclose(svt(a, tau), oracle(a, tau), atol=1e-13)
        column = np.array([[0.1], [2.0]])
        np.testing.assert_allclose(svt(a, column), oracle(a, column), atol=1e-13)

    @pytest.mark.parametrize("ratio", [2.0, 15.0, 17.0, 1e3, 1e6])
    @pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
    @pytest.mark.parametrize("shape", [(24, 24), (40, 24), (24, 40)])
    def test_rounding(self, ratio, dtype, shape):
        """Values around the threshold, wherever the squared problem is taken or not."""
        values = np.r_[1, np.linspace(1.3, 0.7, 23) / ratio]
        u = np.linalg.qr(random((shape[0], 24), "c16", 2))[0]
        v = np.linalg.qr(random((shape[1], 24), "c16", 3))[0]
        if np.dtype(dtype).kind == "f":
            u, v = np.linalg.qr(u.real)[0], np.linalg.qr(v.real)[0]
        a = ((u * values) @ v.conj().T).astype(dtype)
        wanted = (u * np.maximum(values - 1 / ratio, 0)) @ v.conj().T
        # some for the rounding of a itself; a squared problem has 500 at 1e3
        limit = 60 * np.finfo(dtype).eps
        assert np.linalg.norm(svt(a, 1 / ratio) - wanted) < limit

    @pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e100, 1e300])
    def test_scale(self, scale):
        a = random((2, 6, 5), "f8", 4)
        np.testing.assert_allclose(
            svt(a * scale, scale) / scale, oracle(a, 1.0), atol=1e-13
        )

    def test_threads_change_nothing(self, monkeypatch):
        monkeypatch.setattr(batched, "thread_count", lambda: 2)
        monkeypatch.setattr(batched, "SERIAL_WORK", 0)
        a = random((13, 5, 4), "f8", 5)
        tau = np.linspace(0, 3, 13)
        np.testing.assert_allclose(svt(a, tau), oracle(a, tau), atol=1e-13)

    def test_is_the_proximal_operator(self):
        """No neighbour has a smaller objective."""
        a = random((6, 4), "f8", 6)
        z = prox_nuclear(a, 0.8)

        def objective(z):
            return np.sum((z - a) ** 2) / 2 + 0.8 * nuclear_norm(z)

        assert np.linalg.matrix_rank(z) < 4
        for seed in range(50):
            d = random(a.shape, "f8", 10 + seed)
            for size in (1e-4, 1e-2, 1.0):
                assert objective(z + size * d) > objective(z)

    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    def test_hermitian(self, dtype):
        a = hermitian([-3.0, -0.5, 0.2, 1.0, 4.0], dtype)
        found = svt(a, 0.7, form="hermitian")
        np.testing.assert_allclose(found, svt(a, 0.7), atol=1e-13)
        w, v = np.linalg.eigh(a)
        kept = (v * np.maximum(w - 0.7, 0)) @ v.conj().T
        np.testing.assert_allclose(svt(a, 0.7, form="psd"), kept, atol=1e-13)

    @pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 3), (2, 3, 0)])
    def test_empty(self, shape):
        assert svt(np.zeros(shape), 1.0).shape == shape
        ga, gt = svt_vjp(np.zeros(shape), 1.0, np.zeros(shape))
        assert ga.shape == shape and gt.shape == ()

    def test_refuses(self):
        a = np.eye(3)
        with pytest.raises(ValueError, match="NaN or infinity"):
            svt(a * np.nan, 1.0)
        with pytest.raises(ValueError, match="must not be negative"):
            svt(a, -1.0)
        with pytest.raises(ValueError, match="must not be negative or NaN"):
            svt(a, np.nan)
        with pytest.raises(ValueError, match=r"must broadcast.*\(3,\)"):
            svt(a, np.ones(3))
        with pytest.raises(TypeError, match="must be real"):
            svt(a, 1j)
        with pytest.raises(ValueError, match=r"\(\.\.\., m, n\), got \(3,\)"):
            svt(a[0], 1.0)
        with pytest.raises(ValueError, match=r"\(\.\.\., n, n\), got \(2, 3\)"):
            svt(a[:2], 1.0, form="psd")
        with pytest.raises(ValueError, match="form must be one of.*got 'round'"):
            svt(a, 1.0, form="round")
        with pytest.raises(TypeError, match="a must be a boolean, integer"):
            svt(np.array([["x"]]), 1.0)


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
        """[[2, 4], [-4, 2]] and its neighbour; f(s) = s + 0.1, loss the sum."""
        found = []
        for a in (np.array([[2.0, 4], [-4, 2]]), np.array([[2.0001, 4], [-4, 2]])):
            u, s, vh = np.linalg.svd(a)
            ga = spectral_vjp(u, s, vh, np.ones((2, 2)), s + 0.1, np.ones(2))
            loss = slopes(lambda a: np.sum(a + 0.1 * _polar(a)), a)
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


def _polar(a):
    u, _, vh = np.linalg.svd(a)
    return u @ vh


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
        wanted = slopes(lambda a: np.vdot(g, a @ a.conj().T @ _polar(a)).real, a)
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


class TestTensor:
    @staticmethod
    def unitary(transform, k):
        if transform == "dft":
            return np.fft.fft(np.eye(k)) / np.sqrt(k)
        import scipy.fft

        return scipy.fft.dct(np.eye(k), axis=0, norm="ortho")

    @pytest.mark.parametrize("transform", ["dft", "dct"])
    @pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
    @pytest.mark.parametrize("k", [1, 2, 5, 8])
    def test_oracle(self, transform, dtype, k):
        """All slices, by the transform's matrix."""
        x = random((2, 4, 3, k), dtype, k)
        matrix = self.unitary(transform, k)
        slices = np.moveaxis(np.einsum("lk,bmnk->bmnl", matrix, x), -1, 1)
        wanted = np.einsum("lk,blmn->bmnk", matrix.conj(), oracle(slices, 0.7))
        found = tensor_svt(x, 0.7, transform=transform)
        assert found.dtype == x.dtype
        np.testing.assert_allclose(found, wanted, atol=20 * np.finfo(dtype).eps)
        norms = np.linalg.svd(slices, compute_uv=False).sum(axis=(1, 2))
        found = tensor_nuclear_norm(x, transform=transform)
        np.testing.assert_allclose(found, norms, rtol=50 * np.finfo(dtype).eps)

    @pytest.mark.parametrize("transform", ["dft", "dct"])
    def test_nonexpansive(self, transform):
        for seed in range(20):
            x, y = random((2, 5, 4, 6), "f8", seed)
            moved = [tensor_svt(z, 1.0, transform=transform) for z in (x, y)]
            assert np.linalg.norm(moved[0] - moved[1]) <= np.linalg.norm(x - y)

    def test_thresholds_of_a_stack(self):
        x = random((3, 4, 5, 6), "f8", 0)
        found = tensor_svt(x, [0.0, 1.0, 100.0])
        np.testing.assert_allclose(found[0], x[0], atol=1e-13)
        np.testing.assert_allclose(found[1], tensor_svt(x[1], 1.0), atol=1e-13)
        assert not found[2].any()

    def test_refuses(self):
        with pytest.raises(ValueError, match="transform must be one of 'dft', 'dct'"):
            tensor_svt(np.ones((2, 2, 2)), 1.0, transform="dwt")
        with pytest.raises(ValueError, match=r"\(\.\.\., m, n, k\).*got \(2, 2\)"):
            tensor_nuclear_norm(np.eye(2))
