"""Thresholding of tensors, by the transform's matrix."""

import numpy as np
import pytest

from convinv.lowrank import tensor_nuclear_norm, tensor_svt
from support.arrays import random
from support.matrices import oracle


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
