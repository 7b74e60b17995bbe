"""Iterations captured in CUDA graphs."""

import dataclasses
import importlib

import numpy as np
import pytest

import convinv
from convinv.solvers import _iterate, _stagnation, _surrogate
from support.quiet import quietly

METHODS = {
    "adbk": {"momentum": 0.4},
    "cg": {},
    "cgls": {},
    "fdbk": {},
    "gradient": {},
    "lsmr": {},
    "lsqr": {},
    "rshek": {},
    "rshk": {},
}
SHAPE = (1, 6, 5)


def graph_module():
    return importlib.import_module("convinv.kernels.cuda_graph")


def layer(dtype, hermitian):
    """A kernel with a large tap, so that few iterations do, and its padding."""
    rng = np.random.default_rng(1)
    if hermitian:
        kernel = np.array([[[[0, 0.3, 0], [0.5, 1.8, 0.5], [0, 0.3, 0]]]])
    else:
        kernel = 0.3 * rng.standard_normal((2, 1, 3, 3))
        kernel[0, 0, 1, 1] += 1
    if np.dtype(dtype).kind == "c" and not hermitian:
        kernel = kernel + 0.3j * rng.standard_normal(kernel.shape)
    return kernel.astype(dtype)


def operators(cupy, dtype, hermitian=False):
    """The same layer for the host and for the device."""
    kernel = layer(dtype, hermitian)
    return [
        convinv.ConvLinearOperator(k, SHAPE, padding=1)
        for k in (kernel, cupy.asarray(kernel))
    ]


def data(op, batch, seed=2):
    """Right-hand sides; the second takes few steps, as it has few components."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, *op.input_shape)).astype(op.dtype)
    b = op.forward(x)
    if batch > 1:
        basis = np.linalg.svd(op.todense())[2].conj()
        b[1] = (op @ basis[:12].sum(0)).reshape(op.output_shape)
    return b


def solve(op, b, method, **options):
    options = {**METHODS.get(method, {}), **options}
    return quietly(op, b, method, **options)


def replayed(cupy, *args, **options):
    """A solve, and how many graphs were launched in it."""
    kind, launches = graph_module().Graph, []
    launch = kind.__call__

    def counted(graph, state):
        launches.append(graph)
        return launch(graph, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "__call__", counted)
        result = solve(*args, **options)
    return result, len(launches)


def one_by_one(monkeypatch, cupy, *args, **options):
    """The same without graphs."""
    with monkeypatch.context() as patch:
        patch.setattr(_iterate, "SMALL", 0)
        result, launches = replayed(cupy, *args, **options)
    assert launches == 0
    return result


def assert_same(result, other):
    """To the last bit."""
    np.testing.assert_array_equal(result.x.get(), other.x.get())
    np.testing.assert_array_equal(result.history, other.history)
    assert result.nit == other.nit == len(result.history)
    assert (result.status, result.message) == (other.status, other.message)
    for key in {"nit", "status", "success"} & set(other.extra):
        assert np.array_equal(result.extra[key], other.extra[key]), key


CASES = [(m, *case) for m in METHODS for case in (("float64", 3), ("complex64", 1))]
CASES += [("cgls", "float64", 1), ("lsmr", "complex64", 3)]


@pytest.mark.parametrize(("method", "dtype", "batch"), CASES)
def test_equals_iterations_one_by_one(cupy, monkeypatch, method, dtype, batch):
    host, device = operators(cupy, dtype, method == "cg")
    b = data(host, batch)
    options = {"rtol": 1e-8 if dtype == "float64" else 1e-4, "maxiter": 29}
    given = device, cupy.asarray(b), method
    result, launches = replayed(cupy, *given, **options)
    assert launches == (result.nit - 8) // 8 > 0
    assert_same(result, one_by_one(monkeypatch, cupy, *given, **options))
    expected = solve(host, b, method, **options)
    # looked at every 8th iteration, and rounding may move the last one
    assert abs(result.nit - expected.nit) <= 9
    n = min(result.nit, expected.nit)
    close = {"float64": 1e-6, "complex64": 1e-2}[dtype] * np.abs(expected.x).max()
    np.testing.assert_allclose(result.x.get(), expected.x, atol=close)
    if dtype == "float64":
        np.testing.assert_allclose(
            result.history[:n], expected.history[:n], rtol=1e-4, atol=1e-9
        )


def test_items_end_at_different_times(cupy):
    host, device = operators(cupy, "float64")
    b = data(host, 3)
    result, launches = replayed(cupy, device, cupy.asarray(b), "cgls", rtol=1e-10)
    assert result.success and launches
    first, early, last = result.extra["nit"]
    expected = solve(host, b, "cgls", rtol=1e-10)
    assert early < first and early < last and 8 < early  # in a graph, not at its end
    np.testing.assert_allclose(result.extra["nit"], expected.extra["nit"], atol=1)
    history = result.history[:, 1]
    assert np.all(history[early - 1 :] == history[early - 1])
    assert np.all(history[: early - 1] > history[early - 1])


@pytest.mark.parametrize("maxiter", [8, 15, 16, 23, 29])
def test_iterations_left(cupy, monkeypatch, maxiter):
    """The first eight are made one by one, and what is no full eight at the end."""
    host, device = operators(cupy, "float64")
    given = device, cupy.asarray(data(host, 1)), "lsqr"
    options = {"rtol": 0, "maxiter": maxiter}
    result, launches = replayed(cupy, *given, **options)
    assert launches == maxiter // 8 - 1
    assert result.nit == maxiter
    assert_same(result, one_by_one(monkeypatch, cupy, *given, **options))


@pytest.mark.parametrize("method", ["cgls", "gradient", "lsmr", "lsqr", "rshek"])
def test_damp_and_start(cupy, monkeypatch, method):
    host, device = operators(cupy, "float64")
    b = data(host, 2)
    x0 = np.random.default_rng(5).standard_normal((2, *SHAPE))
    options = {"rtol": 0, "maxiter": 27, "damp": 0.3}
    given = device, cupy.asarray(b), method
    start = {"x0": cupy.asarray(x0)}
    result, launches = replayed(cupy, *given, **options, **start)
    assert launches == 2
    assert_same(result, one_by_one(monkeypatch, cupy, *given, **options, **start))
    expected = solve(host, b, method, x0=x0, **options)
    np.testing.assert_allclose(result.x.get(), expected.x, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"step": "residual"}, {"step": "fixed"}, {"momentum": 0.0}]
)
def test_options(cupy, monkeypatch, options):
    method = {"residual": "rshk", "fixed": "gradient"}.get(options.get("step"), "adbk")
    host, device = operators(cupy, "float64")
    given = device, cupy.asarray(data(host, 2)), method
    options = {**options, "rtol": 0, "maxiter": 18, "rng": 0}
    result, launches = replayed(cupy, *given, **options)
    assert launches == 1
    assert_same(result, one_by_one(monkeypatch, cupy, *given, **options))


@pytest.mark.parametrize("method", ["rshk", "adbk"])
def test_looks_of_the_stagnation_test(cupy, monkeypatch, method):
    """Iterations in which the host decides something are made one by one."""
    monkeypatch.setattr(_stagnation, "PATIENCE", 21)
    host, device = operators(cupy, "float64")
    b = data(host, 2)
    b[0] += np.random.default_rng(6).standard_normal(host.output_shape)
    given = device, cupy.asarray(b), method
    options = {"rtol": 1e-8, "maxiter": 90, "momentum": 0.0}
    if method == "rshk":
        del options["momentum"]
    result, launches = replayed(cupy, *given, **options)
    assert 0 < launches <= (result.nit - 8) // 8 - 1
    assert convinv.Status.STALLED in result.extra["status"]
    assert_same(result, one_by_one(monkeypatch, cupy, *given, **options))


def test_restarts(cupy, monkeypatch):
    """In single precision a solve starts again from the residual."""
    host, device = operators(cupy, "float32")
    given = device, cupy.asarray(data(host, 2)), "cgls"
    options = {"rtol": 1e-6, "maxiter": 60}
    result, launches = replayed(cupy, *given, **options)
    assert launches
    assert_same(result, one_by_one(monkeypatch, cupy, *given, **options))


def test_progress_counts_all(cupy, monkeypatch):
    import contextlib

    counted = []

    @contextlib.contextmanager
    def bar(progress, name, total):
        yield counted.append

    monkeypatch.setattr("convinv._solve.task.progress_bar", bar)
    host, device = operators(cupy, "float64")
    b = cupy.asarray(data(host, 1))
    _, launches = replayed(cupy, device, b, "cgls", rtol=0, maxiter=27)
    assert launches == 2
    assert counted == [*range(1, 9), 16, 24, 25, 26, 27]


class TestNotCaptured:
    @pytest.fixture
    def launches(self, cupy):
        """The launches in a solve, of 24 iterations unless other options say so."""
        host, device = operators(cupy, "float64", hermitian=True)
        b = cupy.asarray(data(host, 2))

        def count(method="cgls", op=device, **options):
            options = {"rtol": 0, "maxiter": 24, **options}
            result, launches = replayed(cupy, op, b, method, **options)
            assert result.nit == options["maxiter"]
            return launches

        assert count() == 2
        return count

    def test_large(self, launches, monkeypatch):
        numbers = 2 * int(np.prod(SHAPE))  # two items, as many rows as columns
        monkeypatch.setattr(_iterate, "SMALL", numbers)
        assert launches() == 2
        monkeypatch.setattr(_iterate, "SMALL", numbers - 1)
        assert launches() == 0

    def test_callback(self, launches):
        seen = []
        assert launches(callback=lambda state: seen.append(state.nit)) == 0
        assert seen == list(range(1, 25))

    def test_preconditioner(self, launches):
        assert launches(preconditioner="jacobi") == 0

    def test_other_operators(self, launches, cupy):
        _, device = operators(cupy, "float64", hermitian=True)
        assert launches(op=2 * (device + device)) == 0

    def test_adam(self, launches):
        assert launches("gradient", step="adam") == 0

    @pytest.mark.parametrize("method", ["gauss-seidel", "kaczmarz", "rek", "rk"])
    def test_sweeps(self, launches, method):
        """Their host draws rows, or gives the order of a sweep."""
        assert launches(method, rng=0) == 0


class Refusing:
    """A stream that fails in one part of a capture."""

    def __init__(self, stream, part):
        self.stream, self.part = stream, part

    def begin_capture(self):
        if self.part == "begin_capture":
            raise RuntimeError("not supported by this driver")
        self.stream.begin_capture()

    def end_capture(self):
        graph = self.stream.end_capture()
        if self.part == "end_capture":
            raise RuntimeError("not supported by this driver")
        return graph


class TestFailure:
    """A capture that fails leaves everything as it was, and says so."""

    def check(self, cupy, monkeypatch, method, match):
        host, device = operators(cupy, "float64")
        b = cupy.asarray(data(host, 2))
        options = {"rtol": 0, "maxiter": 26}
        with pytest.warns(RuntimeWarning, match=match) as caught:
            result, launches = replayed(cupy, device, b, method, **options)
        assert len(caught) == 1 and launches == 0  # it is not tried again
        assert not cupy.cuda.get_current_stream().is_capturing()
        assert_same(result, one_by_one(monkeypatch, cupy, device, b, method, **options))

    @pytest.mark.parametrize("part", ["begin_capture", "end_capture"])
    def test_driver(self, cupy, monkeypatch, part):
        capture = graph_module()._capture

        def refused(stream, work):
            return capture(Refusing(stream, part), work)

        monkeypatch.setattr(graph_module(), "_capture", refused)
        self.check(
            cupy, monkeypatch, "cgls", "captured .* RuntimeError: not supported by this"
        )

    @pytest.mark.parametrize("method", ["lsmr", "rshk"])
    def test_wait(self, cupy, monkeypatch, method):
        from convinv import kernels

        vectors = kernels.load("vectors", cupy)
        for name in ("axpy", "three_term"):
            function = getattr(vectors, name)

            def waiting(*args, function=function):
                result = function(*args)
                result[0].get()
                return result

            monkeypatch.setattr(vectors, name, waiting)
        self.check(cupy, monkeypatch, method, "the current stream is capturing")

    def test_host_numbers(self, cupy, monkeypatch):
        @dataclasses.dataclass
        class Counting(_stagnation.StagnationTest):
            share: float = 1.0

            def __call__(self, residual):
                super().__call__(residual)
                self.share *= 0.5

        monkeypatch.setattr(_surrogate, "StagnationTest", Counting)
        self.check(cupy, monkeypatch, "adbk", "TypeError: an iteration turned 0.0039")
