"""Sweeps of tiles on the arrays of a device."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._core.result import Status
from convinv._tiles import ArrayDriver, TilePlan, iterate, read
from convinv.operators import StackedOperator
from support.arrays import random

MEMORY = "2MB"

# kernel's shape, image, options of the layer, size of a tile, weight of differences
CASES = {
    "valid": ((4, 2, 3, 3), (2, 23, 26), {}, 12, 0),
    "zero padding": ((4, 2, 3, 3), (2, 22, 24), {"padding": 1}, 12, 0),
    "periodic": (
        (3, 1, 3, 3),
        (1, 24, 32),
        {"padding": "same", "boundary": "periodic"},
        12,
        0,
    ),
    "reflect": (
        (3, 1, 3, 3),
        (1, 24, 26),
        {"padding": "same", "boundary": "reflect"},
        12,
        0,
    ),
    "stride": ((9, 2, 3, 3), (2, 25, 25), {"stride": 2, "padding": 1}, 12, 0),
    "one axis": ((3, 1, 5), (1, 90), {"padding": 2}, 30, 0),
    "penalty": ((1, 1, 5, 5), (1, 24, 26), {"padding": 2}, 13, 0.3),
}


def operators(cupy, name, dtype, scale=1):
    """The problem of a case, or a larger one, on the host and on the device."""
    shape, size, options, _, weight = CASES[name]
    size = (size[0], *(scale * n for n in size[1:]))
    kernel = 0.2 * random(shape, dtype)
    middle = tuple(n // 2 for n in shape[2:])
    for c in range(min(shape[:2])):
        kernel[(c, c, *middle)] += 2

    def made(put):
        layer = ConvLinearOperator(put(kernel), size, **options)
        if not weight:
            return layer
        down = np.array([-1.0, 1.0], dtype).reshape(1, 1, 2, 1)
        across = down.reshape(1, 1, 1, 2)
        penalties = [ConvLinearOperator(put(weight * d), size) for d in (down, across)]
        return StackedOperator([layer, *penalties])

    return made(lambda a: a), made(cupy.asarray)


def data(op, dtype):
    """Data of the layer alone: those of a penalty are zero."""
    layer = op if op.layer is not None else op.convolutions[0]
    return random((2, *layer.output_shape), dtype, 1)


def solution(op, b, damp):
    """The least-squares solution by dense matrices."""
    A = np.vstack([part.tosparse().toarray() for part in op.convolutions])
    rhs = np.zeros((len(A), len(b)), A.dtype)
    rhs[: b[0].size] = b.reshape(len(b), -1).T
    normal = A.conj().T @ A + damp**2 * np.eye(A.shape[1])
    return np.linalg.solve(normal, A.conj().T @ rhs).T.reshape(-1, *op.input_shape)


@pytest.mark.parametrize("krylov", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_equal_the_dense_solution(cupy, name, krylov):
    host, device = operators(cupy, name, "float64")
    b = data(host, "float64")
    plan = TilePlan(
        device, 0.1, dtype="float64", batch=2, tile=CASES[name][3], halo=8, rtol=1e-10
    )
    assert len(plan.tiles) > 1
    plan.krylov = krylov
    found = iterate(plan, ArrayDriver(), cupy.asarray(b), rtol=1e-9, maxiter=60)
    assert found.krylov == krylov
    assert found.status is Status.CONVERGED and found.good.all()
    assert isinstance(found.x, cupy.ndarray)
    want = solution(host, b, 0.1)
    close = 1e-7 * np.abs(want).max()
    np.testing.assert_allclose(found.x.get(), want, rtol=0, atol=close)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("name", ["valid", "periodic"])
def test_single_precision_is_that_of_the_host(cupy, name, dtype):
    found = []
    for op, put in zip(
        operators(cupy, name, dtype), (lambda a: a, cupy.asarray), strict=True
    ):
        plan = TilePlan(op, dtype=dtype, batch=2, tile=12, halo=6, rtol=1e-4)
        b = put(data(op, dtype))
        found.append(iterate(plan, ArrayDriver(), b, rtol=1e-4, maxiter=40))
    host, device = found
    assert host.status is device.status is Status.CONVERGED
    assert len(host.history) == len(device.history)
    assert device.x.dtype == dtype
    close = 1e-3 * np.abs(host.x).max()
    np.testing.assert_allclose(device.x.get(), host.x, rtol=0, atol=close)
    for name, value in device.norms._asdict().items():
        assert isinstance(value, np.ndarray) and value.dtype == np.float64, name


def test_sweeps_go_to_an_array_of_the_caller(cupy):
    host, device = operators(cupy, "zero padding", "float64")
    b = cupy.asarray(data(host, "float64"))
    plan = TilePlan(device, dtype="float64", batch=2, tile=12, halo=6, rtol=1e-8)
    out = cupy.zeros((2, *host.input_shape))
    driver = ArrayDriver(out)
    found = iterate(plan, driver, b, rtol=1e-8, maxiter=40)
    assert driver.finish(plan, found.x) is out
    want = solution(host, b.get(), 0.0)
    close = 1e-6 * np.abs(want).max()
    np.testing.assert_allclose(out.get(), want, rtol=0, atol=close)


def test_read_joins_runs_of_a_ring(cupy):
    x = cupy.asarray(random((2, 1, 6, 7), "float64"))
    runs = ((slice(4, 6), slice(0, 3)), (slice(6, 7), slice(0, 7), slice(0, 1)))
    found = read(x, runs)
    assert isinstance(found, cupy.ndarray)
    want = np.take(np.take(x.get(), [4, 5, 0, 1, 2], 2), [6, *range(7), 0], 3)
    np.testing.assert_array_equal(found.get(), want)


@pytest.mark.parametrize("given", [False, True], ids=["own", "out"])
@pytest.mark.parametrize("name", ["zero padding", "periodic"])
def test_solve_cuts_an_image_of_the_device(cupy, name, given):
    """Where `max_memory` is less than one image takes."""
    host, device = operators(cupy, name, "float64", scale=6)
    b = data(host, "float64")[0]
    out = cupy.zeros(host.input_shape) if given else None
    found = solve(device, cupy.asarray(b), max_memory=MEMORY, out=out)
    assert found.method == "tiles" and found.success
    assert np.prod(found.extra["tiles"]) > 1
    assert (found.x is out) == given and isinstance(found.x, cupy.ndarray)
    want = solve(host, b, "cgls", rtol=1e-12).x
    close = 1e-5 * np.abs(want).max()
    np.testing.assert_allclose(found.x.get(), want, rtol=0, atol=close)
