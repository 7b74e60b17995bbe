"""The array API form of the vectors, and the solvers on such arrays."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, Status, solve
from convinv._problem.monitor import Monitor
from convinv.kernels import load
from convinv.kernels.vectors import array_api
from support import counts, kernel_cases, oracles
from support.arrays import every_dtype, random
from support.vector_calls import CALLS, arguments, as_tuple, assert_close

xp = pytest.importorskip("array_api_strict")
DEVICE = xp.Device("device1")


def to_numpy(array):
    if isinstance(array, np.ndarray):
        return array
    assert array.device == DEVICE, "an array left its device"
    return np.asarray(array.to_device(xp.Device("CPU_DEVICE")))


def test_load():
    assert load("vectors", xp) is array_api
    with pytest.raises(TypeError, match="NumPy or CuPy"):
        load("correlate", xp)


def strict(array, dtype=None):
    return xp.asarray(np.asarray(array, dtype), device=DEVICE)


class TestArrayApiVectors:
    @pytest.mark.parametrize("name", CALLS)
    @pytest.mark.parametrize(("batch", "n"), [(1, 1), (3, 50)])
    @every_dtype
    def test_equals_oracle(self, name, dtype, batch, n):
        given = arguments(name, batch, n, dtype)
        kept = [strict(a) for a in given]
        expected = as_tuple(getattr(oracles, f"vectors_{name}")(*given))
        results = as_tuple(getattr(array_api, name)(*kept))
        assert len(results) == len(expected)
        for got, want in zip(results, expected):
            assert_close(to_numpy(got), want, dtype, 100)
        for before, after in zip(given, kept):
            np.testing.assert_array_equal(to_numpy(after), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_for_counts(dtype):
    """The kernel of methods for counts, whose arguments stay as they are."""
    module = load("poisson", xp)
    for case in kernel_cases.poisson(dtype):
        for got, want in zip(case.run(module, strict), case.wanted, strict=True):
            assert_close(to_numpy(got), want, dtype, 100)


class Strict:
    """A matrix as an operator on array_api_strict arrays of a device of their own.

    These arrays refuse to become NumPy arrays behind one's back, and to meet arrays of
    another device: what runs on them runs on any library.
    """

    def __init__(self, A, adjoint=True):
        self.A, self.shape = strict(A), A.shape
        self.dtype = self.A.dtype
        self.AH = strict(A.conj().T)
        if adjoint:
            self.rmatvec = self.rmatmat = lambda y: self.AH @ y

    def matvec(self, x):
        assert x.device == DEVICE and x.ndim == 1
        return self.A @ x

    def matmat(self, X):
        assert X.device == DEVICE and X.ndim == 2
        return self.A @ X


VARIANTS = {
    "cgls": {},
    "lsqr": {},
    "lsmr": {},
    "gmres": {"normal": True},
    "gradient": {},
    "gradient adam": {"step": "adam", "step_size": 0.05, "rtol": 1e-2},
    "gradient fixed": {"step": "fixed"},
    "cg": {},
}


class TestSolversOnArrayApiArrays:
    @staticmethod
    def system(method, dtype):
        A = random((14, 9), dtype) + 6 * np.eye(14, 9)
        if method == "cg":
            A = A.conj().T @ A
        return A.astype(dtype), random(A.shape[1], dtype, 1)

    @pytest.mark.parametrize("damp", [0.0, 0.5])
    @pytest.mark.parametrize("variant", VARIANTS)
    @every_dtype
    def test_as_with_numpy(self, variant, dtype, damp):
        method, options = variant.split()[0], {"rtol": 1e-4, **VARIANTS[variant]}
        if damp and method == "cg":
            pytest.skip("takes no damp")
        A, x = self.system(method, dtype)
        b = np.stack([A @ x, 0 * (A @ x), 3 * (A @ x)])
        for data in (b, b[0]):
            got = solve(Strict(A), strict(data), method, damp=damp, rng=0, **options)
            assert got.success and str(got.x.dtype).endswith(dtype)
            expected = solve(A, data, method, damp=damp, rng=0, **options)
            assert expected.success
            size = np.max(np.abs(expected.x))
            np.testing.assert_allclose(
                to_numpy(got.x), expected.x, atol=20 * options["rtol"] * size
            )
            assert isinstance(got.history, np.ndarray)
            assert np.shape(got.residual_norm) == data.shape[:-1]

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_starting_points_and_callbacks(self, variant):
        method, options = variant.split()[0], {"rtol": 1e-4, **VARIANTS[variant]}
        A, x = self.system(method, "float64")
        b = np.stack([A @ x, A @ (2 * x)])
        seen = []

        def callback(state):
            assert to_numpy(state.x).shape == (2, 9)
            assert isinstance(state.residual_norm, np.ndarray)
            seen.append(state.nit)

        options["x0"] = strict(0.9 * x)
        got = solve(Strict(A), strict(b), method, callback=callback, **options)
        assert got.success and seen == list(range(1, got.nit + 1))
        assert np.linalg.norm(b - to_numpy(got.x) @ A.T) <= 0.1 * np.linalg.norm(b)
        exact = strict(np.stack([x, 2 * x]))
        got = solve(Strict(A), strict(b), method, **{**options, "x0": exact})
        assert got.success and got.nit == 0

    def test_plain_gmres_without_an_adjoint(self):
        A, x = self.system("cg", "complex128")
        got = solve(Strict(A, adjoint=False), strict(A @ x), "gmres", rtol=1e-9)
        np.testing.assert_allclose(to_numpy(got.x), x, rtol=1e-6)
        assert got.success and solve(Strict(A, adjoint=False), strict(A @ x)).success

    @pytest.mark.parametrize("method", ["cgls", "gmres", "cg"])
    def test_preconditioners(self, method):
        A, x = self.system("cg", "float64")
        inverse = np.linalg.inv(A.T @ A if method == "cgls" else A)
        matrix = strict(inverse.T)
        op, b = Strict(A), strict(A @ x)
        got = solve(op, b, method, preconditioner=lambda v: v @ matrix)
        assert got.success and got.nit <= 8  # it is looked at after eight

    @pytest.mark.parametrize("variant", counts.VARIANTS)
    def test_counts(self, variant):
        method, options = counts.VARIANTS[variant]
        c = counts.case("zero")
        options = {"rtol": 1e-2, "background": 0.5, "maxiter": 500, **options}
        got = solve(Strict(c.A), strict(c.b), method, **options)
        expected = solve(c.A, np.array(c.b), method, **options)
        assert got.success and expected.success
        np.testing.assert_allclose(to_numpy(got.x), expected.x, rtol=0.1, atol=3)

    def test_failures(self):
        A, x = self.system("cgls", "float64")
        with pytest.warns(ConvergenceWarning):
            got = solve(Strict(A), strict(random(14, "float64")), rtol=1e-14, maxiter=2)
        assert got.status is Status.MAXITER and got.nit == 2
        with pytest.raises(ValueError, match="b holds NaN"):
            solve(Strict(A), strict(np.full(14, np.nan)))
        with pytest.raises(TypeError, match="x0 must be"):
            solve(Strict(A), strict(A @ x), x0=x)

    def test_columns(self):
        A, x = self.system("cgls", "float64")
        got = solve(Strict(A), strict(np.stack([A @ x, 2 * (A @ x)], axis=1)))
        np.testing.assert_allclose(
            to_numpy(got.x), np.stack([x, 2 * x], axis=1), atol=1e-4
        )

    def test_the_host_is_asked_rarely(self, monkeypatch):
        """On a device only every eighth iteration looks at the stopping test."""
        A, x = self.system("cgls", "float64")
        asked = []
        any_active = Monitor.any_active
        monkeypatch.setattr(
            Monitor, "any_active", lambda self: asked.append(1) or any_active(self)
        )
        got = solve(Strict(A), strict(A @ x), "cgls", rtol=1e-10)
        assert got.success and len(asked) <= 2 + got.nit // 8
