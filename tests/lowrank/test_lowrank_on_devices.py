"""Gradients through factors of device arrays equal those of the host."""

import numpy as np
import pytest

from convinv import lowrank
from support.arrays import random

SHAPE = (3, 5, 4)
VARIANTS = ["standard", "inv", "tf", "clip", "taylor"]


def equal(cupy, call, *arrays, tolerance=1e-9):
    """`call` gives the same for NumPy arrays and for CuPy arrays, of the same kind."""
    expected, found = call(*arrays), call(*map(cupy.asarray, arrays))
    assert isinstance(found, cupy.ndarray) and found.dtype == expected.dtype
    np.testing.assert_allclose(
        found.get(), expected, atol=tolerance * abs(expected).max()
    )


@pytest.fixture(params=["float64", "complex128", "float32"])
def dtype(request):
    return request.param


@pytest.fixture
def tolerance(dtype):
    return 1e-9 if dtype != "float32" else 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_of_the_svd(cupy, dtype, tolerance, variant):
    u, s, vh = np.linalg.svd(random(SHAPE, dtype), full_matrices=False)
    gu, gvh = random(u.shape, dtype, 1), random(vh.shape, dtype, 2)
    gs = random(s.shape, s.dtype, 3)

    def call(u, s, vh, gu, gs, gvh):
        return lowrank.svd_vjp(u, s, vh, gu, gs, gvh, variant=variant)

    equal(cupy, call, u, s, vh, gu, gs, gvh, tolerance=tolerance)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_of_eigenvectors(cupy, dtype, tolerance, variant):
    a = random((3, 4, 4), dtype)
    w, v = np.linalg.eigh(a + a.conj().swapaxes(1, 2))
    gw, gv = random(w.shape, w.dtype, 1), random(v.shape, dtype, 2)

    def call(w, v, gw, gv):
        return lowrank.eigh_vjp(w, v, gw, gv, variant=variant)

    equal(cupy, call, w, v, gw, gv, tolerance=tolerance)


def test_functions_of_singular_values(cupy, dtype, tolerance):
    a = random(SHAPE, dtype)
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    arguments = u, s, vh, random(SHAPE, dtype, 1), s**3, 3 * s**2
    equal(cupy, lowrank.spectral_vjp, *arguments, tolerance=tolerance)
    equal(cupy, lowrank.nuclear_norm, a, tolerance=tolerance)
