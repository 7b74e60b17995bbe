"""What the fake GPU must notice and count, for tests on it to mean anything."""

import contextlib
import ctypes
import importlib
import signal
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from support import drygpu, processes
from support.paths import ROOT

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not drygpu.installed(), reason="a test of --drygpu"),
]

FAULTY = """
extern "C" __global__ void at(float* y, long long i) { y[i] = 1.f; }
extern "C" __global__ void divergent(float* y) {
  if (threadIdx.x < 7) __syncthreads();
  y[threadIdx.x] = 1.f;
}
"""
HIDDEN = """
#define JOIN(a, b) a##b
extern "C" __global__ void hidden(float* y) {
  JOIN(__s, yncthreads)();
  y[threadIdx.x] = 1.f;
}
"""
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


@pytest.fixture
def launch(cupy):
    def launch(name, *args):
        kernel = cupy.RawModule(code=FAULTY).get_function(name)
        kernel((1,), (32,), args)
        cupy.cuda.Device().synchronize()

    return launch


class TestCompiler:
    """It is asked for before anything else."""

    def run(self, monkeypatch, *arguments):
        monkeypatch.setenv("PATH", "")
        command = [sys.executable, "-m", "pytest", "-q", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    def test_none_for_the_fake_gpu(self, monkeypatch):
        done = self.run(monkeypatch, "--drygpu", "--co", __file__)
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert done.stderr == "ERROR: --drygpu needs g++, nm\n\n"

    def test_none_for_the_stand_in(self, monkeypatch):
        name = "test_reading_outside_an_array_gives_nan"
        done = self.run(monkeypatch, "tests/kernels/test_cuda_stand_in.py", "-k", name)
        assert "\nneeds g++\n" in done.stdout and "1 error" in done.stdout


class TestKept:
    """What is compiled meets nothing that it was not compiled for."""

    def test_versions_of_cupy(self, cupy, monkeypatch):
        kernels = importlib.import_module("support.drygpu.kernels")
        path = kernels._library(HIDDEN, ())
        assert kernels._library(HIDDEN, ()) == path
        monkeypatch.setattr(cupy, "__version__", "0")
        assert kernels._library(HIDDEN, ()) != path

    def test_options_of_the_compiler(self, cupy, monkeypatch, tmp_path):
        kernels = importlib.import_module("support.drygpu.kernels")
        prepared, options = kernels._prepared.__wrapped__, kernels.COMPILER
        touch = lambda place, *args: (place / args[-1]).touch()  # noqa: E731
        monkeypatch.setattr(kernels, "folder", lambda: tmp_path)
        monkeypatch.setattr(kernels, "_compile", touch)
        place = prepared()
        assert prepared() == place
        monkeypatch.setattr(kernels, "COMPILER", (*options, "-O2"))
        assert prepared() != place


class TestMemory:
    def test_fresh_memory_is_no_number(self, cupy):
        with cupy.cuda.using_allocator(None):
            assert np.isnan(cupy.empty(3).get()).all()

    @pytest.mark.parametrize("behind", [0, 1])
    def test_writing_behind_an_allocation(self, cupy, launch, behind):
        memory = cupy.cuda.Memory(512)
        y = cupy.ndarray(128, "f4", cupy.cuda.MemoryPointer(memory, 0))
        launch("at", y, np.int64(127 + behind))
        address = memory.ptr
        memory.ptr = 0  # nobody else frees it
        if behind:
            with pytest.raises(RuntimeError, match="wrote behind an allocation"):
                cupy.cuda.runtime.free(address)
        else:
            cupy.cuda.runtime.free(address)

    def test_no_more_than_there_is(self, cupy):
        free, total = cupy.cuda.runtime.memGetInfo()
        assert 0 < free <= total
        with pytest.raises(cupy.cuda.memory.OutOfMemoryError):
            cupy.cuda.alloc(total + 1)


class TestDevices:
    def test_arrays_of_another_device(self, cupy, launch):
        y = cupy.zeros(3, "f4")
        with cupy.cuda.Device(1):
            z = cupy.zeros(3, "f4")
            assert (y.device.id, z.device.id) == (0, 1)
            with pytest.raises(Exception, match="ILLEGAL_ADDRESS"):
                launch("at", y, np.int64(0))
            with pytest.raises(ValueError, match="Peer access is unavailable"):
                y + 1

    def test_kernels_of_another_device(self, cupy):
        kernel = cupy.RawKernel(FAULTY, "at")
        loaded = kernel.kernel
        with cupy.cuda.Device(1), pytest.raises(Exception, match="INVALID_HANDLE"):
            loaded((1,), (1,), (cupy.zeros(3, "f4"), np.int64(0)))

    def test_transforms_of_arrays_of_another_device(self, cupy):
        x = cupy.ones(8, "c8")
        with cupy.cuda.Device(1):
            with pytest.raises(cupy.cuda.cufft.CuFFTError, match="EXEC_FAILED"):
                cupy.fft.fft(x)
            assert cupy.fft.fft(cupy.ones(8, "c8")).get()[0] == 8


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


class TestStreams:
    def test_work_waits(self, cupy):
        """What no stream was made to wait for is not there yet."""
        one, other = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
        for ordered in (False, True):
            with one:
                x = cupy.empty(4)
                x.fill(np.nan)
                one.synchronize()
                x.fill(2)
                event = one.record()
            with other:
                if ordered:
                    other.wait_event(event)
                y = x + 1
                assert np.isnan(y.get()).all() != ordered
            one.synchronize()
            assert (x.get() == 2).all()

    def test_events_are_places_in_a_stream(self, cupy):
        """What comes after the record of an event is not waited for."""
        one, other = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
        for wait in (other.wait_event, lambda event: event.synchronize()):
            with one:
                x = cupy.zeros(4)
                x.fill(1)
                event = one.record()
                x.fill(2)
            assert not event.done
            wait(event)
            assert event.done and not one.done
            with other:
                assert (x.get() == 1).all()
            one.synchronize()
            assert (x.get() == 2).all() and one.done

    def test_blocking_streams_are_in_order(self, cupy):
        x = cupy.zeros(4)
        with cupy.cuda.Stream():
            x += 1
        assert (x.get() == 1).all()

    def test_barriers_that_not_all_threads_reach(self, cupy, launch):
        with pytest.raises(RuntimeError, match="kernel divergent: divergent barrier"):
            launch("divergent", cupy.zeros(32, "f4"))
        cupy.cuda.Device().synchronize()  # told once

    def test_barriers_that_the_text_of_a_kernel_hides(self, cupy, launch):
        y = cupy.zeros(32, "f4")
        launch("at", y, np.int64(0))  # of a module whose kernels may have barriers
        cupy.RawKernel(HIDDEN, "hidden")((1,), (32,), (y,))
        with pytest.raises(RuntimeError, match="kernel launched without fibers"):
            cupy.cuda.Device().synchronize()


class TestGraphs:
    def test_counts(self, cupy):
        x, stream = cupy.zeros(4), cupy.cuda.Stream(non_blocking=True)
        x + 1  # compiled
        cupy.cuda.Device().synchronize()
        with drygpu.counts() as done, stream:
            stream.begin_capture()
            cupy.add(x, 1, out=x)
            cupy.add(x, 1, out=x)
            graph = stream.end_capture()
        assert (done.captured, done.launches, done.calls) == (2, 0, 0)
        assert (x.get() == 0).all()
        with drygpu.counts() as done, stream:
            graph.launch()
            graph.launch()
            stream.synchronize()
        assert (done.graph_launches, done.graph_nodes, done.calls) == (2, 4, 2)
        assert done.waits == 1 and (x.get() == 4).all()

    def test_what_cupy_refuses(self, cupy):
        a = cupy.eye(3)
        for call in (lambda: a @ a, lambda: cupy.linalg.inv(a)):
            stream = cupy.cuda.Stream(non_blocking=True)
            with stream:
                stream.begin_capture()
                with pytest.raises(NotImplementedError, match="during stream capture"):
                    call()
                stream.end_capture()

    def test_waits_spoil_a_capture(self, cupy):
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            with pytest.raises(RuntimeError, match="CaptureUnsupported"):
                stream.synchronize()
            with pytest.raises(RuntimeError, match="CaptureInvalidated"):
                stream.end_capture()


def test_counts(cupy):
    a = cupy.ones((4, 4))
    cupy.fft.fft(a @ a).get(), cupy.linalg.solve(a + cupy.eye(4), a)
    with drygpu.counts() as done:
        b = a @ a
        cupy.fft.fft(b).get()
        cupy.linalg.solve(a + cupy.eye(4), a)
    assert (done.blas, done.fft, done.to_host) == (1, 1, 1)
    assert done.solver == 2 and done.launches > 0 and done.waits >= 1
    assert done.names["cublasGemmEx"] == 1 and sum(done.names.values()) == done.calls
    with drygpu.counts() as done, cupy.cuda.using_allocator(None):
        x = cupy.empty(1000)
        y = cupy.empty(10)
        del y
    assert (done.allocations, done.frees) == (2, 1) and done.bytes == x.nbytes


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
