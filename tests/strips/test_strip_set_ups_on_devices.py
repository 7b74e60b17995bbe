"""Set-ups of STRIP that are made on a device: the decisions and results of the host."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, solve
from convinv._linalg import device_pseudoinverse
from convinv._linalg.pseudoinverse import pseudoinverse
from convinv.strips import strip_plan
from support.arrays import doubles, random

LAYERS = {
    "plain": ((9, 3, 3, 3), (3, 14, 16), {}),
    "groups": ((6, 1, 3, 3), (3, 12, 13), {"groups": 3}),
    "padded": ((4, 1, 3, 3), (1, 12, 13), {"padding": 1, "boundary": "reflect"}),
    "wide": ((2, 3, 3, 3), (3, 9, 16), {}),
}


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch):
    monkeypatch.setattr(device_pseudoinverse, "WORK", 0)


def conditioned(m, n, condition, dtype):
    """A matrix of that condition number."""
    U, _ = np.linalg.qr(random((m, min(m, n)), dtype, 1))
    V, _ = np.linalg.qr(random((n, min(m, n)), dtype, 2))
    return U * np.geomspace(1, 1 / condition, min(m, n)) @ V.conj().T


class TestInverse:
    @pytest.mark.parametrize("shape", [(30, 20), (20, 30), (20, 20), (7, 1)])
    @pytest.mark.parametrize("damp", [0.0, 0.3])
    @doubles
    def test_equals_that_of_the_svd(self, cupy, shape, damp, dtype):
        A = 1e-5 * conditioned(*shape, 1e3, dtype)
        got = device_pseudoinverse.full_rank_inverse(cupy.asarray(A), 1e-5 * damp)
        U, s, Vh = np.linalg.svd(A, full_matrices=False)
        want = (Vh.conj().T * (s / (s**2 + (1e-5 * damp) ** 2))) @ U.conj().T
        assert got.dtype == dtype
        close = 1e-11 * np.abs(want).max()
        np.testing.assert_allclose(got.get(), want, rtol=0, atol=close)

    @pytest.mark.parametrize("shape", [(40, 25), (25, 40)])
    @pytest.mark.parametrize("condition", 10.0 ** np.arange(6, 17))
    def test_takes_no_rank_that_the_host_does_not(self, cupy, shape, condition):
        A = conditioned(*shape, condition, "float64")
        got = device_pseudoinverse.full_rank_inverse(cupy.asarray(A))
        _, rank, used = pseudoinverse(A)
        assert got is None or (rank, used) == (25, "qr")
        assert (got is not None) or condition > 1e9

    def test_rcond(self, cupy):
        A = cupy.asarray(conditioned(40, 25, 1e4, "float64"))
        assert device_pseudoinverse.full_rank_inverse(A, rcond=1e-9) is not None
        assert device_pseudoinverse.full_rank_inverse(A, rcond=1e-3) is None

    def test_matrices_that_are_not_finite(self, cupy):
        A = random((9, 4))
        A[3, 2] = np.inf
        with np.errstate(all="ignore"):
            assert device_pseudoinverse.full_rank_inverse(cupy.asarray(A)) is None


@pytest.mark.parametrize("name", LAYERS)
def test_matrices(cupy, name):
    shape, size, options = LAYERS[name]
    kernel = random(shape)
    plan = strip_plan(ConvLinearOperator(kernel, size, **options))
    op = ConvLinearOperator(cupy.asarray(kernel), size, **options)
    for label in range(plan.classes):
        for group in range(plan.groups):
            want = plan.matrix(op, label, group)
            got = plan.matrix(op, label, group, xp=cupy)
            assert plan.matrix_shape(label) == want.shape
            np.testing.assert_array_equal(got.get(), want)


@pytest.mark.parametrize("damp", [0.0, 0.2])
@pytest.mark.parametrize("name", LAYERS)
def test_solves(cupy, monkeypatch, name, damp):
    shape, size, options = LAYERS[name]
    kernel = random(shape)
    on_cpu = ConvLinearOperator(kernel, size, **options)
    on_device = ConvLinearOperator(cupy.asarray(kernel), size, **options)
    b = on_cpu.forward(random((2, *size), seed=1))
    made, qr = [], cupy.linalg.qr
    monkeypatch.setattr(cupy.linalg, "qr", lambda A: made.append(A.shape) or qr(A))
    settings = {"damp": damp, "maxiter": 2, "rtol": 1e-30}
    with pytest.warns(ConvergenceWarning):
        ours = solve(on_device, cupy.asarray(b), "strip", **settings)
    with pytest.warns(ConvergenceWarning):
        theirs = solve(on_cpu, b, "strip", **settings)
    assert made
    assert ours.extra["factorization"] == theirs.extra["factorization"]
    assert ours.extra["direct"] == theirs.extra["direct"]
    close = 1e-9 * np.abs(theirs.x).max()
    np.testing.assert_allclose(ours.x.get(), theirs.x, rtol=0, atol=close)
    assert np.abs(theirs.x).max() > 0
