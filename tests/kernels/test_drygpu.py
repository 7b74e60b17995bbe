"""What the fake GPU must notice and count, for tests on it to mean anything."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

from support import drygpu
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
