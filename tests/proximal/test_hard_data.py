"""Data that are met exactly."""

import numpy as np
import pytest

from convinv.lowrank import nuclear_norm, tensor_nuclear_norm
from convinv.operators import FourierSampling, MaskOperator
from convinv.proximal import NuclearNorm, TensorNuclearNorm, admm


def tubal(rng, shape, rank, transform=np.fft.fft, back=np.fft.ifft):
    """A tensor whose slices in the Fourier domain have a rank."""
    m, n, k = shape
    p = np.fft.fft(rng.standard_normal((m, rank, k)))
    q = np.fft.fft(rng.standard_normal((rank, n, k)))
    x = np.fft.ifft(np.einsum("irk,rjk->ijk", p, q)).real
    return x / np.abs(x).max()


class TestHardData:
    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("scale", [1.0, 255.0])
    def test_recovers_a_tensor(self, seed, scale):
        """The bar: tubal rank 3, half of the entries, 200 iterations."""
        rng = np.random.default_rng(seed)
        x = scale * tubal(rng, (40, 40, 8), 3)
        mask = rng.random(x.shape) < 0.5
        op, g = MaskOperator(mask), TensorNuclearNorm()
        result = admm(op, x[mask], g, data="hard", rtol=1e-10, maxiter=200)
        assert result.success and result.nit <= 200
        np.testing.assert_array_equal(result.x[mask], x[mask])
        assert np.linalg.norm(result.x - x) < 1e-8 * np.linalg.norm(x)
        assert result.residual_norm == 0
        assert result.objective == pytest.approx(float(tensor_nuclear_norm(x)))

    def test_cosine_transform_and_fixed_penalty(self):
        rng = np.random.default_rng(3)
        from scipy import fft

        p, q = rng.standard_normal((20, 2, 5)), rng.standard_normal((2, 20, 5))
        x = fft.idct(np.einsum("irk,rjk->ijk", p, q), norm="ortho")
        mask = rng.random(x.shape) < 0.6
        g = TensorNuclearNorm(transform="dct")
        rho = 2 / np.abs(x).max()
        result = admm(MaskOperator(mask), x[mask], g, data="hard", rho=rho, rtol=1e-9)
        assert result.success and result.extra == {"data": "hard", "rho": rho}
        assert np.linalg.norm(result.x - x) < 1e-7 * np.linalg.norm(x)

    def test_from_frequencies(self):
        """A low-rank series of images from part of their Fourier transforms."""
        rng = np.random.default_rng(4)
        x = np.einsum("ai,ahw->ihw", rng.standard_normal((2, 10)),
                      rng.standard_normal((2, 8, 8)))  # fmt: skip
        mask = rng.random(x.shape) < 0.7
        op = FourierSampling(mask)

        class Casorati(NuclearNorm):
            def value(self, x):
                return super().value(x.reshape(10, 64))

            def prox(self, x, step):
                return super().prox(x.reshape(10, 64), step).reshape(x.shape)

        result = admm(op, op.forward(x), Casorati(), data="hard", rtol=1e-8)
        assert result.success
        assert np.linalg.norm(result.x - x) < 1e-6 * np.linalg.norm(x)

    def test_any_operator(self):
        """The nearest points come from least squares then."""
        rng = np.random.default_rng(5)
        x = np.outer(rng.standard_normal(8), rng.standard_normal(8))
        a = rng.standard_normal((45, 64))
        result = admm(
            a, a @ x.ravel(), NuclearNorm(), data="hard", shape=(8, 8), rtol=1e-7
        )
        assert result.success
        np.testing.assert_allclose(result.x, x, atol=1e-4)

    def test_soft_data_and_hard_agree_for_small_weights(self):
        rng = np.random.default_rng(6)
        x = np.outer(rng.standard_normal(20), rng.standard_normal(20))
        mask = rng.random(x.shape) < 0.7
        op = MaskOperator(mask)
        hard = admm(op, x[mask], NuclearNorm(), data="hard", rtol=1e-7, maxiter=5000)
        soft = admm(op, x[mask], NuclearNorm(1e-3), rtol=1e-7, maxiter=5000)
        assert hard.success and soft.success
        assert np.linalg.norm(soft.x - hard.x) < 2e-2 * np.linalg.norm(x)
        assert nuclear_norm(soft.x) < nuclear_norm(hard.x)

    def test_dual_step(self):
        rng = np.random.default_rng(7)
        x = tubal(rng, (12, 12, 4), 1)
        mask = rng.random(x.shape) < 0.7
        op = MaskOperator(mask)
        found = [
            admm(op, x[mask], TensorNuclearNorm(), data="hard", dual_step=s, rtol=1e-8)
            for s in (0.5, 1.0, 1.6)
        ]
        assert all(r.success for r in found)
        for r in found:
            np.testing.assert_allclose(r.x, x, atol=1e-6)
