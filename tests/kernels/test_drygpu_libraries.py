"""The fake GPU's libraries: cuBLAS, cuSOLVER, cuSPARSE and cuFFT as CuPy calls them."""

import contextlib
import ctypes
import importlib
import signal

import numpy as np
import pytest
import scipy.sparse

from support import drygpu, processes

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not drygpu.installed(), reason="a test of --drygpu"),
]

MISSING = """
from support import drygpu
drygpu.install()
import cupy
drygpu._LIBRARY.dry_set_lapack(b"dgemm", None)
cupy.eye(2) @ cupy.eye(2)
"""


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy")


class TestOperands:
    """cuBLAS takes addresses, which must be where they are said to be."""

    @pytest.fixture
    def put(self, cupy):
        """The address of a copy of an array."""
        kept = []

        def put(array, place):
            if place == "host":
                kept.append(np.array(array))
                return kept[-1].ctypes.data
            with cupy.cuda.Device(int(place == "another device")):
                kept.append(cupy.array(array))
            return kept[-1].data.ptr

        return put

    @pytest.fixture
    def multiply(self, cupy):
        def multiply(name, a, one, good, *batch):
            cublas = importlib.import_module("cupy_backends.cuda.libs.cublas")
            handle = cupy.cuda.Device().cublas_handle
            shape = 0, 0, 1, 1, 1
            told = pytest.raises(cublas.CUBLASError, match="EXECUTION_FAILED")
            with contextlib.nullcontext() if good else told:
                getattr(cublas, name)(
                    handle, *shape, one, a, 1, a, 1, one, a, 1, *batch
                )

        return multiply

    @pytest.mark.parametrize("place", ["device", "another device", "host"])
    def test_matrices(self, put, multiply, place):
        multiply("dgemm", put([1.0], place), put([1.0], "host"), place == "device")

    @pytest.mark.parametrize("place", ["device", "another device", "host"])
    @pytest.mark.parametrize("table", ["device", "host"])
    def test_tables_of_matrices(self, put, multiply, place, table):
        addresses = put([put([1.0], place)], table)
        good = place == table == "device"
        multiply("dgemmBatched", addresses, put([1.0], "host"), good, 1)

    @pytest.mark.parametrize("mode", ["host", "device"])
    @pytest.mark.parametrize("place", ["host", "device"])
    def test_scalars(self, cupy, put, multiply, mode, place):
        cublas = importlib.import_module("cupy_backends.cuda.libs.cublas")
        handle = cupy.cuda.Device().cublas_handle
        cublas.setPointerMode(handle, int(mode == "device"))
        try:
            multiply("dgemm", put([1.0], "device"), put([1.0], place), mode == place)
        finally:
            cublas.setPointerMode(handle, 0)

    def test_transforms_of_arrays_of_another_device(self, cupy):
        x = cupy.ones(8, "c8")
        with cupy.cuda.Device(1):
            with pytest.raises(cupy.cuda.cufft.CuFFTError, match="EXEC_FAILED"):
                cupy.fft.fft(x)
            assert cupy.fft.fft(cupy.ones(8, "c8")).get()[0] == 8


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
class TestLibraries:
    """cuBLAS, cuSOLVER, cuSPARSE and cuFFT as CuPy calls them, against NumPy."""

    def close(self, got, want):
        eps = np.finfo(want.dtype).eps
        np.testing.assert_allclose(got.get(), want, atol=300 * eps)

    @pytest.fixture
    def matrices(self, dtype):
        rng = np.random.default_rng(0)
        a = rng.standard_normal((3, 5, 5)) + 1j * rng.standard_normal((3, 5, 5))
        a = a if np.dtype(dtype).kind == "c" else a.real
        return (a + 4 * np.eye(5)).astype(dtype)

    def test_products(self, cupy, matrices):
        a = cupy.asarray(matrices)
        for turn in (lambda x: x, lambda x: x.swapaxes(-1, -2)):
            self.close(turn(a) @ a, turn(matrices) @ matrices)
            self.close(turn(a[0]) @ a[1], turn(matrices[0]) @ matrices[1])
            self.close(turn(a[0]) @ a[1, 0], turn(matrices[0]) @ matrices[1, 0])

    @pytest.mark.parametrize("stack", [False, True])
    def test_factors(self, cupy, matrices, stack):
        h = matrices if stack else matrices[0]
        a, adjoint = cupy.asarray(h), lambda x: x.swapaxes(-1, -2).conj()
        self.close(cupy.linalg.inv(a), np.linalg.inv(h))
        self.close(cupy.linalg.solve(a, a[..., :2]), np.linalg.solve(h, h[..., :2]))
        u, s, vh = cupy.linalg.svd(a, full_matrices=False)
        self.close((u * s[..., None, :]) @ vh, h)
        q, r = cupy.linalg.qr(a)
        self.close(q @ r, h)
        w, v = cupy.linalg.eigh(a + adjoint(a))
        self.close((v * w[..., None, :]) @ adjoint(v), h + adjoint(h))
        lower = cupy.linalg.cholesky(a @ adjoint(a))
        self.close(lower @ adjoint(lower), h @ adjoint(h))

    @pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix"])
    @pytest.mark.parametrize("order", "CF")
    def test_sparse_products(self, cupy, matrices, form, order):
        h = np.where(np.random.default_rng(1).random((5, 5)) < 0.5, matrices[0], 0)[:4]
        x = np.asarray(matrices[1], order=order)
        a = getattr(importlib.import_module("cupyx.scipy.sparse"), form)(
            getattr(scipy.sparse, form)(h)
        )
        with drygpu.counts() as done:
            for turn in (lambda a: a, lambda a: a.T, lambda a: a.conj().T):
                y = x[: turn(h).shape[1]]
                for right in (y[:, 0], y):
                    got = turn(a) @ cupy.array(right, order=order)
                    self.close(got, turn(h) @ right)
        assert done.names["cusparseSpMV"] == done.names["cusparseSpMM"] == 3

    @pytest.mark.parametrize("axes", [(-1,), (-2,), (0, 2), (1, 2), (0, 1, 2)])
    def test_transforms(self, cupy, matrices, axes):
        a = cupy.asarray(matrices)
        self.close(cupy.fft.ifftn(a, axes=axes), np.fft.ifftn(matrices, axes=axes))
        if matrices.dtype.kind == "c":
            self.close(cupy.fft.fftn(a, axes=axes), np.fft.fftn(matrices, axes=axes))
            return
        half = np.fft.rfftn(matrices, axes=axes)
        self.close(cupy.fft.rfftn(a, axes=axes), half)
        sizes = [matrices.shape[axis] for axis in axes]
        back = cupy.fft.irfftn(cupy.asarray(half), s=sizes, axes=axes)
        self.close(back, matrices)


class TestFailures:
    """Of what stands for a library."""

    def test_of_a_transform(self, cupy, monkeypatch, capfd):
        x = cupy.fft.fft(cupy.ones(8))
        monkeypatch.setattr("support.drygpu.libraries.TYPES", {})
        cupy.fft.fft(x)
        with pytest.raises(RuntimeError, match="cuFFT failed"):
            cupy.cuda.Device().synchronize()
        assert "KeyError: 105" in capfd.readouterr().err

    def test_plans_that_are_not_there(self, cupy):
        address, work = ctypes.c_void_p(cupy.ones(8, "c8").data.ptr), ctypes.c_size_t()
        for name, *args in (
            ("Destroy",),
            ("SetStream", 0),
            ("MakePlan1d", 8, 0x29, 1, ctypes.byref(work)),
            ("ExecC2C", address, address, 1),
        ):
            assert getattr(drygpu._LIBRARY, f"cufft{name}")(-1, *args) == 1

    def test_functions_that_scipy_lacks(self):
        done = processes.run(MISSING, PYTHONPATH=processes.FOLDERS)
        assert done.returncode == -signal.SIGABRT and "SciPy lacks dgemm" in done.stderr


def test_singular_matrices_give_nan(cupy):
    """CuPy raises nothing for them."""
    assert not cupy.isfinite(cupy.linalg.inv(cupy.zeros((3, 3)))).any()
    assert not cupy.isfinite(cupy.linalg.solve(cupy.zeros((3, 3)), cupy.ones(3))).all()
