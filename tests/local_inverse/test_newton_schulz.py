"""The iteration of Newton and Schulz."""

import numpy as np
import pytest

from convinv import ConvergenceWarning
from convinv.local_inverse import LocalInverse, newton_schulz
from support.arrays import random
from support.centers import KINDS, center, size


@KINDS
def test_newton_schulz(kind):
    A = center(6, kind, shape=(4,))
    found = newton_schulz(A)
    exact = np.linalg.inv(A.astype(np.result_type(kind, "float64")))
    assert found.success and found.x.dtype == kind
    single = kind in ("float32", "complex64")
    np.testing.assert_allclose(found.x, exact, atol=1e-4 if single else 1e-12)
    assert (size(found.x - exact, "spectral") <= found.bound).all()


def test_newton_schulz_squares_the_residual():
    A = center(5)
    X0 = np.linalg.inv(A) @ (np.eye(5) - 0.1 * random((5, 5)) / 5)
    R = np.eye(5) - A @ X0
    expected = [np.linalg.norm(np.linalg.matrix_power(R, 2**k)) for k in range(4)]
    history = newton_schulz(A, X0).history
    np.testing.assert_allclose(history[:4], expected, rtol=1e-6, atol=1e-14)


def test_one_step_of_newton_is_the_linear_approximation():
    near = LocalInverse(center(4))
    A = near.A0 + 0.1 * random((4, 4), seed=1)
    with pytest.warns(ConvergenceWarning, match="at maxiter"):
        found = newton_schulz(A, near.inverse, maxiter=1)
    np.testing.assert_allclose(found.x, near.approximate(A), atol=1e-14)
    assert found.nit == 1 and not found.success


def test_newton_schulz_from_the_default_start_takes_what_it_says():
    for power in (1, 3, 6):
        values = np.geomspace(1, 10.0**-power, 8)
        Q = np.linalg.qr(random((8, 8)))[0]
        found = newton_schulz(Q * values @ Q.T)
        assert found.success
        assert found.nit <= 2 * np.log2(10.0**power) + 5 + np.log2(8)


def test_newton_schulz_tells_of_divergence():
    """It converges where the spectral radius is below 1, whatever the norm."""
    A = np.array([np.eye(3), 2 * np.eye(3)])
    with pytest.warns(ConvergenceWarning, match="1 of 2 items diverge"):
        found = newton_schulz(A, np.full((1, 3, 3), np.eye(3)) * 1.1)
    assert np.isfinite(found.bound).tolist() == [True, False]
    R = np.triu(np.full((3, 3), 40.0), 1)  # nilpotent: norm 69, spectral radius 0
    found = newton_schulz(np.eye(3), np.eye(3) - R)
    assert found.success and found.history[0] > 50


@pytest.mark.parametrize("A", [np.zeros((2, 2)), np.ones((3, 3)), np.diag([1.0, 0])])
def test_newton_schulz_of_singular_matrices(A):
    with pytest.warns(ConvergenceWarning):
        found = newton_schulz(A)
    assert not found.success and found.bound == np.inf


def test_newton_schulz_keeps_what_it_was_given():
    A, X0 = center(3), np.eye(3) / 4
    before = A.copy(), X0.copy()
    found = newton_schulz(A, X0)
    assert found.x is not X0 and (A == before[0]).all() and (X0 == before[1]).all()
    loose = newton_schulz(A, rtol=1e-2)
    assert loose.nit < newton_schulz(A).nit and loose.history[-1] <= 1e-2
