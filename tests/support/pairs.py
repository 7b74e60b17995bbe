"""Pairs to learn from, and how, for the tests of `convinv.learning`."""

import pytest

from convinv.learning import SpectralOperator

from .arrays import random

METHODS = ("householder", "gram-schmidt", "modified", "pivoted", "smooth")
STABLE = ("householder", "modified", "pivoted")
methods = pytest.mark.parametrize("method", METHODS)


def learn(X, Y, method="householder", **options):
    return SpectralOperator.fit(X, Y, orthonormalization=method, **options)


def small(dtype="float64", pairs=7, n=12, m=15):
    F, X = random((m, n), dtype, 1), random((pairs, n), dtype, 2)
    return F, X, X @ F.T


def atol(method):
    """The smooth activation is off by the square of its width."""
    return 1e-7 if method == "smooth" else 1e-11
