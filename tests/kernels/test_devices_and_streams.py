"""Operators on several devices and streams, and the memory that solves leave."""

import os

import numpy as np
import pytest

import convinv
from convinv import kernels
from support import drygpu
from support.factors import random_factor
from support.quiet import quietly

pytestmark = pytest.mark.gpu

# kernel, input, options: products by tiles, by gathers and by transforms
LAYERS = {
    "tiles": ((4, 1, 3, 3), (1, 12, 12), {"padding": 1}),
    "gathers": ((4, 1, 3, 3), (1, 13, 12), {"stride": 3, "padding": 1}),
    "transforms": ((2, 1, 25, 25), (1, 40, 40), {}),
}
METHODS = ["cgls", "direct", "kaczmarz", "schwarz", "strip"]

every_layer = pytest.mark.parametrize("name", LAYERS)


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy")


def host_layer(name):
    shape, size, options = LAYERS[name]
    kernel = np.random.default_rng(0).standard_normal(shape)
    return convinv.ConvLinearOperator(kernel, size, **options)


def on_device(cupy, host):
    """The layer made on the current device and stream."""
    return convinv.ConvLinearOperator(
        cupy.asarray(host.kernel), host.input_shape, **host.options
    )


class TestAnotherDevice:
    """What was made on device 0 says so when device 1 is current."""

    @pytest.fixture(autouse=True)
    def two(self, cupy):
        if cupy.cuda.runtime.getDeviceCount() < 2:
            pytest.skip("one device only")

    def refused(self, name="the operator"):
        return pytest.raises(
            ValueError, match=f"{name} is on device 0, but device 1 is current"
        )

    @every_layer
    def test_products(self, cupy, name):
        op = on_device(cupy, host_layer(name))
        op.adjoint(op.forward(cupy.ones(op.input_shape)))
        with cupy.cuda.Device(1):
            with self.refused():
                op.forward(cupy.ones(op.input_shape))
            with self.refused():
                op.adjoint(cupy.ones(op.output_shape))

    @pytest.mark.parametrize("method", METHODS)
    def test_solves(self, cupy, method):
        op = on_device(cupy, host_layer("tiles"))
        quietly(op, cupy.ones(op.output_shape), method, maxiter=2)
        with cupy.cuda.Device(1), self.refused():
            quietly(op, cupy.ones(op.output_shape), method, maxiter=2)

    def test_data(self, cupy):
        op, b = on_device(cupy, host_layer("tiles")), cupy.ones((4, 12, 12))
        with cupy.cuda.Device(1):
            op_there = on_device(cupy, host_layer("tiles"))
            with self.refused("b"):
                convinv.solve(op_there, b)
            result = convinv.solve(op_there, cupy.ones(b.shape))
            assert result.x.device.id == 1
        np.testing.assert_array_equal(convinv.solve(op, b).x.get(), result.x.get())

    def test_plans_of_kernels(self, cupy):
        circulant = kernels.load("circulant", cupy)
        plan = circulant.prepare(np.ones((1, 1, 1, 1, 4, 3), complex), (1, 4, 4), float)
        op, rows = on_device(cupy, host_layer("tiles")), kernels.load("rows", cupy)
        table = rows.prepare(op.kernel.reshape(4, 1, 1, 3, 3), op.geometry)
        with cupy.cuda.Device(1):
            with self.refused("the plan"):
                circulant.apply(plan, cupy.ones((1, 1, 1, 1, 4, 4)))
            x, b, scale = cupy.ones((1, 144)), cupy.ones((1, 576)), cupy.ones(576)
            active, order = cupy.ones(1, dtype=bool), cupy.arange(576)
            with self.refused("the plan"):
                rows.row_sweep(table, x, b, None, scale, 0.0, active, order)

    @pytest.mark.parametrize("shape", [(1, 4, 3, 1), (1, 260, 3, 1)])
    def test_plans_of_sweeps(self, cupy, shape):
        sweeps = kernels.load("sweeps", cupy)
        plan = sweeps.prepare(*random_factor(shape, "float64"))
        with cupy.cuda.Device(1), self.refused("the plan"):
            sweeps.solve([plan], 1, cupy.ones(plan.size))


class TestAnotherStream:
    """What is kept may be used next on a stream that waits for no other."""

    @pytest.fixture
    def streams(self, cupy):
        return [cupy.cuda.Stream(non_blocking=True) for _ in range(2)]

    @every_layer
    def test_products(self, cupy, streams, name):
        host = host_layer(name)
        x = np.random.default_rng(1).standard_normal((2, *host.input_shape))
        y = np.random.default_rng(2).standard_normal((2, *host.output_shape))
        with streams[0]:
            op = on_device(cupy, host)
            op.forward(cupy.asarray(x)), op.adjoint(cupy.asarray(y))
        with streams[1]:
            forward = op.forward(cupy.asarray(x)).get()
            adjoint = op.adjoint(cupy.asarray(y)).get()
        np.testing.assert_allclose(forward, host.forward(x), atol=1e-10)
        np.testing.assert_allclose(adjoint, host.adjoint(y), atol=1e-10)

    @pytest.mark.parametrize("method", METHODS)
    def test_solves(self, cupy, streams, method):
        host = host_layer("tiles")
        b = np.random.default_rng(3).standard_normal((2, *host.output_shape))
        with streams[0]:
            op = on_device(cupy, host)
            quietly(op, cupy.asarray(b), method, maxiter=9)
        with streams[1]:
            x = quietly(op, cupy.asarray(b), method, maxiter=9).x.get()
        expected = quietly(host, b, method, maxiter=9).x
        np.testing.assert_allclose(x, expected, atol=1e-10)

    def test_preconditioners(self, cupy, streams):
        """An application does not wait for the device when it ends, as solves do."""
        host = host_layer("tiles")
        v = np.random.default_rng(4).standard_normal((1, *host.input_shape))
        with streams[0]:
            M = convinv.precondition.Schwarz(on_device(cupy, host))
            M.apply(cupy.asarray(v))
        with streams[1]:
            applied = M.apply(cupy.asarray(v)).get()
        expected = convinv.precondition.Schwarz(host).apply(v)
        np.testing.assert_allclose(applied, expected, atol=1e-10)

    def test_memory_for_sums(self, cupy):
        """It is kept for the last streams only."""
        from convinv.kernels import cuda_scratch

        vectors, x = kernels.load("vectors", cupy), cupy.ones((2, 5))
        cupy.cuda.get_current_stream().synchronize()
        for _ in range(cuda_scratch.STREAMS + 3):
            with cupy.cuda.Stream(non_blocking=True):
                assert vectors.sumsq(x).get().tolist() == [5, 5]
        assert len(cuda_scratch._KEPT) <= cuda_scratch.STREAMS


@pytest.mark.parametrize("method", ["cgls", "lsmr"])
def test_captured_solves_leave_no_memory(cupy, method):
    """The pools of graphs are used again: a pool that is dropped keeps its memory."""
    if not drygpu.installed() and "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("the memory of a real device is that of all processes")
    op = on_device(cupy, host_layer("tiles"))
    b = cupy.ones((3, *op.output_shape))

    def left():
        if drygpu.installed():
            with drygpu.counts() as done:
                quietly(op, b, method, rtol=0, maxiter=32)
            assert done.graph_launches == 3
        else:
            quietly(op, b, method, rtol=0, maxiter=32)
        cupy.get_default_memory_pool().free_all_blocks()
        return cupy.cuda.runtime.memGetInfo()[0]

    first = left()
    assert [left() for _ in range(5)] == [first] * 5
