"""Certificates bound the error, rounding and all."""

from fractions import Fraction

import numpy as np
import pytest

from convinv.local_inverse import certify
from support import oracles
from support.arrays import random
from support.centers import KINDS, NORMS, center, size


def exact_inverse(A):
    """The inverse in rational numbers, rounded once."""
    n = len(A)
    rows = [[Fraction(float(v)) for v in row] for row in A]
    rows = [row + [Fraction(i == j) for j in range(n)] for i, row in enumerate(rows)]
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in set(range(n)) - {k}:
            rows[i] = [v - rows[i][k] * w for v, w in zip(rows[i], rows[k])]
    return [row[n:] for row in rows]


def exact_error(A, X):
    """The largest entry of ``X - A^-1``, in rational arithmetic."""
    exact = exact_inverse(A)
    pairs = [pair for rows in zip(X, exact) for pair in zip(*rows)]
    return float(max(abs(Fraction(float(x)) - y) for x, y in pairs))


@NORMS
@KINDS
def test_certificates_bound_the_error(norm, kind):
    A = center(5, kind, shape=(20,))
    exact = np.linalg.inv(A.astype(np.result_type(kind, "float64")))
    for disturbed in (1e-6, 1e-4, 1e-2):
        X = (exact * (1 + disturbed * random(A.shape, kind, 1))).astype(kind)
        found = certify(A, X, norm)
        error = size(X - exact, norm)
        assert found.proven.all() and found.norm == norm
        assert (error <= found.bound).all()
        if disturbed > 1e-3:
            assert (found.bound <= 100 * error).all()


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_certificates_count_rounding(kind):
    """Against rational arithmetic, where the error is all rounding."""
    for seed in range(5):
        A = center(4, kind, seed) * 10.0 ** (seed - 2)
        X = np.linalg.inv(A).astype(kind)
        found = certify(A.astype(kind), X, "max")
        error = exact_error(A.astype(kind), X)
        assert 0 < error <= found.bound <= 1e3 * error


def test_a_wrong_inverse_is_not_certified():
    A = center(3)
    singular = A.copy()
    singular[0] = singular[1]
    for matrix, X in (
        (A, np.zeros_like(A)),
        (A, -np.linalg.inv(A)),
        (A, np.full_like(A, np.nan)),
        (A, np.full_like(A, 1e308)),
        (singular, oracles.pinv(singular)),
    ):
        with np.errstate(all="ignore"):
            found = certify(matrix, X)
        assert not found.proven and found.bound == np.inf


def test_certificates_of_ill_conditioned_matrices():
    """Hilbert's matrix: proven as long as rounding leaves a digit."""
    proven = []
    for n in range(2, 16):
        H = 1 / (1.0 + np.arange(n)[:, None] + np.arange(n))
        X = np.linalg.inv(H)
        found = certify(H, X, "max")
        proven.append(bool(found.proven))
        if found.proven:
            assert exact_error(H, X) <= found.bound
    assert all(proven[:6]) and not any(proven[11:])


def test_certificates_of_badly_scaled_matrices():
    A = center(3)
    for scale in (1e-120, 1e120):
        found = certify(A * scale, np.linalg.inv(A) / scale, "frobenius")
        assert found.proven and found.bound < 1e-12 / scale
