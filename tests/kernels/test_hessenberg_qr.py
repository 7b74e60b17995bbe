"""Least squares of Hessenberg matrices by Givens rotations."""

import types

import numpy as np
import pytest

from convinv.solvers._hessenberg_qr import ArrayHessenbergQR, CompiledHessenbergQR
from support import oracles
from support.arrays import random

forms = pytest.mark.parametrize("form", [CompiledHessenbergQR, ArrayHessenbergQR])


class TestHessenbergQR:
    @forms
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_least_squares(self, form, dtype):
        """An item that ends after two steps keeps the solution of these."""
        batch, steps = 3, 6
        problem = types.SimpleNamespace(
            xp=np, batch=batch, place={}, is_complex=dtype == "complex128"
        )
        small, norm = form(problem, steps, 1e-15), np.array([1.0, 2.0, 3.0])
        for seed in (0, 10):  # storage is used again
            columns = random((batch, steps, steps), dtype, seed)
            left = np.abs(random((batch, steps), "float64", seed + 1)) + 0.1
            small.start(norm)
            for j in range(steps):
                active = np.array([True, j < 2, True])
                h, after = columns[:, : j + 1, j].copy(), left[:, j] ** 2
                before = oracles.vectors_sumsq(h) + after
                factor, broken, residual = small.append(h, before, after, active)
                np.testing.assert_allclose(factor, np.where(active, 1 / left[:, j], 0))
                assert not broken.any()
                for item in range(batch):
                    size = j + 1 if active[item] else 2
                    H = np.zeros((size + 1, size), dtype)
                    H[:-1] = np.triu(columns[item, :size, :size])
                    H[np.arange(1, size + 1), np.arange(size)] = left[item, :size]
                    right = norm[item] * np.eye(size + 1)[0]
                    y, rest = np.linalg.lstsq(H, right, rcond=None)[:2]
                    padded = np.pad(y, (0, j + 1 - size))
                    np.testing.assert_allclose(small.solve(j + 1)[item], padded)
                    if active[item]:
                        found = norm[item] * residual[item]
                        assert found == pytest.approx(float(rest[0]) ** 0.5)

    @forms
    def test_breakdown(self, form):
        """Items without anything left, neither length nor a pivot, are broken."""
        problem = types.SimpleNamespace(xp=np, batch=3, place={}, is_complex=False)
        small = form(problem, 2, 1e-15)
        small.start(np.ones(3))
        h = np.array([[2.0], [1e-20], [2.0]])
        before, after = np.array([4.0, 1, 5]), np.array([1e-32, 1e-32, 1])
        factor, broken, _ = small.append(h, before, after, np.ones(3, bool))
        np.testing.assert_array_equal(factor, [0, 0, 1])
        np.testing.assert_array_equal(broken, [False, True, False])
        np.testing.assert_allclose(small.solve(1)[:, 0], [0.5, 0, 0.4])
