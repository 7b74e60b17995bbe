"""Least squares of Hessenberg matrices by Givens rotations."""

import types

import numpy as np
import pytest

from convinv.solvers._hessenberg_qr import ArrayHessenbergQR, CompiledHessenbergQR
from support import oracles
from support.arrays import random


def storage(form, xp):
    """``make(batch, is_complex, steps)`` and functions to and from its arrays."""

    def make(batch, is_complex, steps):
        problem = types.SimpleNamespace(
            xp=xp, batch=batch, place={}, is_complex=is_complex
        )
        return form(problem, steps, 1e-15)

    return make, xp.asarray, (lambda a: a) if xp is np else (lambda a: a.get())


every_form = pytest.mark.parametrize("form", [CompiledHessenbergQR, ArrayHessenbergQR])
doubles = pytest.mark.parametrize("dtype", ["float64", "complex128"])
lengths = pytest.mark.parametrize("steps", [6, 70])


@every_form
@doubles
@lengths
def test_least_squares(form, dtype, steps):
    check_least_squares(*storage(form, np), dtype, steps)


@doubles
@lengths
def test_least_squares_on_a_device(cupy, dtype, steps):
    check_least_squares(*storage(CompiledHessenbergQR, cupy), dtype, steps)


@every_form
def test_breakdown(form):
    check_breakdown(*storage(form, np))


def test_breakdown_on_a_device(cupy):
    check_breakdown(*storage(CompiledHessenbergQR, cupy))


def check_least_squares(make, upload, download, dtype, steps):
    """An item that ends after two steps keeps the solution of these."""
    batch = 3
    small = make(batch, dtype == "complex128", steps)
    norm = np.array([1.0, 2.0, 3.0])
    for seed in (0, 10):  # storage is used again
        columns = random((batch, steps, steps), dtype, seed)
        columns += 2 * np.sqrt(steps) * np.eye(steps)
        left = np.abs(random((batch, steps), "float64", seed + 1)) + 0.1
        small.start(upload(norm))
        for j in range(steps):
            active = np.array([True, j < 2, True])
            h, after = columns[:, : j + 1, j].copy(), left[:, j] ** 2
            before = oracles.vectors_sumsq(h) + after
            found = small.append(*map(upload, (h, before, after, active)))
            factor, broken, residual = map(download, found)
            np.testing.assert_allclose(factor, np.where(active, 1 / left[:, j], 0))
            assert not broken.any()
            if j > 6 and j < steps - 1:
                continue
            solutions = download(small.solve(j + 1))
            for item in range(batch):
                size = j + 1 if active[item] else 2
                H = np.zeros((size + 1, size), dtype)
                H[:-1] = np.triu(columns[item, :size, :size])
                H[np.arange(1, size + 1), np.arange(size)] = left[item, :size]
                right = norm[item] * np.eye(size + 1)[0]
                y = np.linalg.lstsq(H, right, rcond=None)[0]
                padded = np.pad(y, (0, j + 1 - size))
                close = {"rtol": 1e-7, "atol": 1e-12}
                np.testing.assert_allclose(solutions[item], padded, **close)
                if active[item]:
                    wanted = np.linalg.norm(H @ y - right)
                    assert norm[item] * residual[item] == pytest.approx(wanted)


def check_breakdown(make, upload, download):
    """Items without anything left, neither length nor a pivot, are broken."""
    small = make(3, False, 2)
    small.start(upload(np.ones(3)))
    h = np.array([[2.0], [1e-20], [2.0]])
    before, after = np.array([4.0, 1, 5]), np.array([1e-32, 1e-32, 1])
    found = small.append(*map(upload, (h, before, after, np.ones(3, bool))))
    factor, broken, _ = map(download, found)
    np.testing.assert_array_equal(factor, [0, 0, 1])
    np.testing.assert_array_equal(broken, [False, True, False])
    np.testing.assert_allclose(download(small.solve(1))[:, 0], [0.5, 0, 0.4])
