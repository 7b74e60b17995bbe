"""Solves that find no memory say what would help, on the host and on a device."""

import pickle
import sys
import tracemalloc
import types

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

import convinv
from convinv import ConvLinearOperator, solve
from convinv._core.declarations import Products
from convinv._solve import memory_errors
from convinv._solve.memory_errors import explained
from convinv.solvers._registry import solver
from support.memory_cases import OutOfMemoryError, data, estimate_of, layer


class Full(LinearOperator):
    """An operator whose products find no memory, all or those of a whole batch."""

    def __init__(self, error, items=0):
        self.error, self.items, self.held = error, items, []
        super().__init__("float64", (30, 20))

    def _rmatmat(self, Y):
        if Y.any() and Y.shape[1] > self.items:
            raise self.error
        return np.eye(20, 30) @ Y

    def _matmat(self, X):
        return np.eye(30, 20) @ X


def numpy_error():
    try:
        np.empty(2**59)
    except MemoryError as error:
        return error


class TestNoMemory:
    b = np.random.default_rng(0).standard_normal((8, 30))

    def test_numpy(self):
        original = numpy_error()
        with pytest.raises(type(original), match="8 right-hand sides.*max_memory") as e:
            solve(Full(original), self.b, "cgls")
        assert isinstance(e.value, MemoryError) and e.value.__cause__ is original
        copy = pickle.loads(pickle.dumps(e.value))
        assert type(copy) is MemoryError and str(copy) == str(e.value)

    def test_its_advice_helps(self):
        op = Full(MemoryError(), items=5)
        with pytest.raises(MemoryError, match="max_memory='") as caught:
            solve(op, self.b, "cgls")
        advice = str(caught.value).split("max_memory='")[1].split("'")[0]
        found = solve(op, self.b, "cgls", max_memory=advice)
        assert found.success and found.extra["slices"] > 1

    def test_one_right_hand_side(self):
        with pytest.raises(MemoryError, match="one right-hand side.*precision") as e:
            solve(Full(MemoryError()), self.b[0], "cgls")
        assert "max_memory" not in str(e.value)

    def test_in_the_choice_of_damp(self, monkeypatch):
        def choose(*_):
            raise MemoryError("none")

        op = layer()
        monkeypatch.setattr(convinv._regularize.damp_rule.Rule, "choose", choose)
        with pytest.raises(MemoryError, match="2 right-hand sides"):
            solve(op, data(op, 2), damp="gcv")

    def test_arrays_of_the_failed_solve_are_freed(self):
        """The frames that are kept with the error hold none."""

        def work():
            large = np.zeros(2**20)
            raise MemoryError(large.size)

        op = layer()
        tracemalloc.start()
        try:
            with pytest.raises(MemoryError) as caught:
                work()
            before = tracemalloc.get_traced_memory()[0]
            explained(caught.value, estimate_of(op, data(op), "cgls"))
            assert before - tracemalloc.get_traced_memory()[0] > 2**22
        finally:
            tracemalloc.stop()

    def test_methods_that_do_not_declare_anything(self):
        with pytest.raises(TypeError, match="storage"):
            solver("silent", products=Products())


class TestDevice:
    """What the message says of a device; its library is a stand-in of three names."""

    @pytest.fixture
    def estimate(self, monkeypatch):
        op = layer()
        found = estimate_of(op, data(op, 10), "cgls")
        pool = types.SimpleNamespace(free_bytes=lambda: 1000)
        library = types.SimpleNamespace(
            ndarray=type("ndarray", (), {}), get_default_memory_pool=lambda: pool
        )
        monkeypatch.setitem(sys.modules, "cupy", library)
        found.layout.xp = library

        def free(count):
            device = types.SimpleNamespace(mem_info=(count - 1000, 10**9))
            found.layout.b = types.SimpleNamespace(device=device)

        found.free = free
        return found

    def explained(self, estimate):
        original = OutOfMemoryError(10, 20)
        error = explained(original, estimate)
        assert isinstance(error, OutOfMemoryError)
        return str(error)

    def test_a_batch_of_which_some_fit(self, estimate):
        estimate.free(int(estimate.sliced(4) / 0.9) + 1)
        text = self.explained(estimate)
        assert "10 right-hand sides" in text and "are free" in text
        assert text.endswith("slices of at most 4")

    def test_not_even_one(self, estimate):
        estimate.free(2000)
        text = self.explained(estimate)
        assert "2 kB are free" in text and "one alone needs" in text
        assert "max_memory" not in text


class TestOnADevice:
    """Slices and errors of solves on device arrays."""

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_slices(self, cupy, sliced, dtype):
        host = layer(size=7, dtype=dtype)
        b = data(host, 3).astype(dtype)
        device = ConvLinearOperator(cupy.asarray(host.kernel), host.input_shape)
        sliced(2)
        found = solve(device, cupy.asarray(b), "cgls", rtol=1e-5, max_memory=1)
        assert isinstance(found.x, cupy.ndarray) and found.extra["slices"] == 2
        expected = solve(host, b, "cgls", rtol=1e-5)
        np.testing.assert_allclose(found.x.get(), expected.x, atol=1e-3)

    def test_no_memory(self, cupy, monkeypatch):
        host = layer(size=7)
        b = cupy.asarray(data(host, 3))
        device = ConvLinearOperator(cupy.asarray(host.kernel), host.input_shape)
        estimate = estimate_of(device, b, "cgls")
        free = int(estimate.sliced(2) / 0.9) + 1
        monkeypatch.setattr(memory_errors, "_free", lambda layout: free)

        def fail(*_, **options):
            raise OutOfMemoryError(10, 20)

        monkeypatch.setattr(convinv._solve.task.Run, "solve", fail)
        with pytest.raises(OutOfMemoryError, match="are free; max_memory") as caught:
            solve(device, b, "cgls")
        assert isinstance(caught.value.__cause__, OutOfMemoryError)
        assert str(caught.value).endswith("at most 2")
