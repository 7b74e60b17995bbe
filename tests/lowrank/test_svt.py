"""Singular value thresholding against NumPy, matrix after matrix."""

import numpy as np
import pytest

from convinv._linalg import batched
from convinv.lowrank import nuclear_norm, svt, svt_vjp
from convinv.proximal import prox_nuclear
from support.arrays import random
from support.matrices import SHAPES, hermitian, oracle


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
        """No neighbor has a smaller objective."""
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
