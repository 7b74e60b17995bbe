"""Total variation against matrices of differences."""

import numpy as np
import pytest
from scipy import optimize, sparse

from convinv import ConvergenceWarning
from convinv.proximal import (
    NuclearNorm,
    TotalVariation,
    prox_total_variation,
    total_variation,
)


def differences(shape, axes):
    """The matrices of forward differences."""
    made = []
    for axis in axes:
        parts = [sparse.eye_array(n) for n in shape]
        n = shape[axis]
        d = sparse.diags_array(
            [-np.ones(n), np.ones(n - 1)], offsets=[0, 1], shape=(n, n)
        ).tolil()
        d[-1] = 0
        parts[axis] = d.tocsr()
        whole = parts[0]
        for part in parts[1:]:
            whole = sparse.kron(whole, part)
        made.append(whole.toarray())
    return made


class TestTotalVariation:
    def test_value(self):
        x = np.random.default_rng(0).standard_normal((3, 4, 5))
        d = [m @ x.ravel() for m in differences(x.shape, (1, 2))]
        norms = np.sqrt(d[0] ** 2 + d[1] ** 2).sum()
        assert total_variation(x) == pytest.approx(norms)
        apart = np.abs(d).sum()
        assert total_variation(x, isotropic=False) == pytest.approx(apart)
        one = np.abs(differences(x.shape, (0,))[0] @ x.ravel()).sum()
        assert total_variation(x, axes=0) == pytest.approx(one)

    @pytest.mark.parametrize("weight", [0.1, 0.6, 5.0])
    def test_anisotropic_oracle(self, weight):
        """The dual is a least-squares problem with bounds."""
        x = np.random.default_rng(1).standard_normal((5, 6))
        d = np.vstack(differences(x.shape, (0, 1)))
        p = optimize.lsq_linear(d.T, x.ravel(), bounds=(-weight, weight), tol=1e-14).x
        wanted = (x.ravel() - d.T @ p).reshape(x.shape)
        found = prox_total_variation(x, weight, isotropic=False, rtol=1e-7)
        np.testing.assert_allclose(found, wanted, atol=1e-6)

    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    def test_isotropic_minimum(self, dtype):
        rng = np.random.default_rng(2)
        x, weight = rng.standard_normal((6, 5)).astype(dtype), 0.4
        if dtype == "c16":
            x += 1j * rng.standard_normal((6, 5))
        z = prox_total_variation(x, weight, rtol=1e-9, maxiter=20000)

        def objective(z):
            return np.sum(np.abs(z - x) ** 2) / 2 + weight * total_variation(z)

        best = objective(z)
        for _ in range(200):
            d = rng.standard_normal(x.shape).astype(dtype)
            if dtype == "c16":
                d += 1j * rng.standard_normal(x.shape)
            # strongly convex: so much larger it has to be
            more = np.sum(np.abs(1e-3 * d) ** 2) / 2
            assert objective(z + 1e-3 * d) >= best + more * (1 - 1e-3)

    def test_one_step(self):
        """Two plateaus move towards each other by weight / length."""
        x = np.repeat([0.0, 1.0], [4, 6])
        z = prox_total_variation(x, 0.6, axes=0, rtol=1e-9, maxiter=10000)
        np.testing.assert_allclose(z, np.repeat([0.15, 0.9], [4, 6]), atol=1e-7)
        z = prox_total_variation(x, 100.0, axes=0, rtol=1e-9, maxiter=10000)
        np.testing.assert_allclose(z, 0.6, atol=1e-7)
        same = prox_total_variation(x, 0.0, axes=0)
        assert np.array_equal(same, x) and not np.shares_memory(same, x)

    def test_precision_is_kept(self):
        x = np.random.default_rng(3).standard_normal((2, 8, 8)).astype("f4")
        assert prox_total_variation(x, 0.1).dtype == np.float32

    def test_warns_where_it_ends_too_early(self):
        x = np.random.default_rng(4).standard_normal((16, 16))
        with pytest.warns(ConvergenceWarning, match="20 iterations were not enough"):
            prox_total_variation(x, 10.0, rtol=1e-8, maxiter=20)

    def test_starts_where_it_ended(self):
        x = np.random.default_rng(5).standard_normal((12, 12))
        prox = TotalVariation(1.0, rtol=1e-7, maxiter=5000).start()
        first = prox(x, 0.3)
        again = prox(x + 1e-6, 0.3)
        np.testing.assert_allclose(first, again, atol=1e-5)
        fresh = TotalVariation(1.0, rtol=1e-7, maxiter=5000).prox(x, 0.3)
        np.testing.assert_array_equal(first, fresh)

    @pytest.mark.parametrize("axes", [(0, 0), (2,), (), (0.5,)])
    def test_refuses_axes(self, axes):
        with pytest.raises(ValueError, match=r"axes must be different axes.*\(3, 3\)"):
            total_variation(np.eye(3), axes=axes)

    def test_refuses_weights(self):
        with pytest.raises(ValueError, match="finite and not negative"):
            prox_total_variation(np.eye(3), -1.0)
        with pytest.raises(ValueError, match="weight must be finite and not negative"):
            TotalVariation(-1.0)
        with pytest.raises(TypeError, match="weight must be a number"):
            NuclearNorm("much")
