"""Whole solves on device arrays: on the host by the CuPy stand-in, and on a GPU."""

import importlib
import types

import numpy as np
import pytest

import convinv
from convinv.precondition import PRECONDITIONERS
from convinv.solvers import _iterate
from support.memory_cases import estimate_of
from support.quiet import quietly
from support.waits import counted, waits

METHODS = {m.name: m for m in convinv.methods() if m.objective == "least-squares"}
OPTIONS = {
    "gmres": {"normal": True, "restart": 12},
    "gbk": {"inner_rtol": 0.01},
    "gauss-seidel": {"order": "multicolor"},
    "kaczmarz": {"order": "multicolor", "symmetric": True},
    "rek": {"rng": 0},
    "rk": {"rng": 0},
}
# methods of many cheap iterations, each of which takes long on the host
FEW = {
    "gbk": 6,
    **dict.fromkeys(("adbk", "fdbk", "rshek", "rshk"), 24),
    **dict.fromkeys(("gauss-seidel", "kaczmarz", "rek", "rk"), 12),
}


def layer(dtype, c_in=2, c_out=8):
    rng = np.random.default_rng(3)
    kernel = rng.standard_normal((c_out, c_in, 3, 3))
    if np.dtype(dtype).kind == "c":
        kernel = kernel + 1j * rng.standard_normal(kernel.shape)
    return kernel.astype(dtype)


def both(cupy, method, dtype, **options):
    """The same solve on host and device: results, and waits for the device."""
    options = {**OPTIONS.get(method, {}), **options}
    kernel, shape = layer(dtype), (2, 9, 8)
    if METHODS[method].hermitian:  # a symmetric, dominant kernel
        kernel = np.zeros((2, 2, 3, 3), dtype)
        kernel[:, :, 1, 1] = [[3, 0.5], [0.5, 3]]
        kernel[[0, 1], [0, 1], 0, 1] = kernel[[0, 1], [0, 1], 2, 1] = 0.3
        options["padding"] = 1
    layout = {"padding": options.pop("padding", 0)}
    if method == "spectral":
        layout = {"padding": "same", "boundary": "periodic"}
    host = convinv.ConvLinearOperator(kernel, shape, **layout)
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, *shape)).astype(host.dtype)
    b = host.forward(x)
    device = convinv.ConvLinearOperator(cupy.asarray(kernel), shape, **layout)
    expected = quietly(host, b, method, **options)
    before = waits(cupy)
    result = quietly(device, cupy.asarray(b), method, **options)
    return expected, result, waits(cupy) - before


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_device_equals_host(cupy, method, dtype):
    rtol = 1e-9 if dtype == "float64" else 1e-4
    maxiter = FEW.get(method, 400)
    expected, result, _ = both(cupy, method, dtype, rtol=rtol, maxiter=maxiter)
    assert isinstance(result.x, cupy.ndarray)
    assert result.x.dtype == expected.x.dtype
    assert result.success == expected.success
    # the device looks every 8th iteration, and rounding may move the last one
    assert abs(result.nit - expected.nit) <= 9 + expected.nit // 3
    close = 1e-6 if dtype == "float64" else 2e-2
    np.testing.assert_allclose(
        result.x.get(), expected.x, atol=close * np.abs(expected.x).max()
    )


@pytest.mark.parametrize("preconditioner", PRECONDITIONERS)
@pytest.mark.parametrize("method", [m for m in METHODS if METHODS[m].preconditioner])
def test_preconditioners(cupy, method, preconditioner):
    options = {"rtol": 1e-9, "maxiter": 200, "preconditioner": preconditioner}
    expected, result, _ = both(cupy, method, "float64", **options)
    assert result.success and expected.success
    np.testing.assert_allclose(result.x.get(), expected.x, atol=1e-6)


# all but those that end after a few sweeps
ITERATIVE = [
    name
    for name, method in METHODS.items()
    if method.rate not in ("exact", "blocks") or method.needs_rows
]


@pytest.mark.parametrize("method", sorted(ITERATIVE))
def test_iterations_do_not_wait_for_the_device(cupy, method):
    """Sixteen more iterations may cost two more looks at the stopping test."""
    if not counted(cupy):
        pytest.skip("nobody counts the waits for this device")
    taken = []
    for maxiter in (16, 32):
        _, result, syncs = both(cupy, method, "float64", rtol=0, maxiter=maxiter)
        assert result.nit == maxiter
        taken.append(syncs)
    # and one look per restart, and in every 8 inner iterations
    allowed = {"gmres": 4, "gbk": 2 + 16 * 2}.get(method, 2)
    assert taken[1] - taken[0] <= allowed


CAPTURED = sorted(m for m in METHODS if METHODS[m].storage.captured)


@pytest.fixture
def graphs(cupy, monkeypatch):
    """The bytes of the state of every graph that is made, and how often it runs."""
    module = importlib.import_module("convinv.kernels.cuda_graph")
    found = types.SimpleNamespace(states=[], launches=0)
    make, launch = module.Graph.__init__, module.Graph.__call__

    def made(graph, work, state):
        make(graph, work, state)
        found.states.append(sum(array.nbytes for array in graph.state))

    def launched(graph, state):
        found.launches += 1
        return launch(graph, state)

    monkeypatch.setattr(module.Graph, "__init__", made)
    monkeypatch.setattr(module.Graph, "__call__", launched)
    return found


@pytest.mark.parametrize("method", CAPTURED)
def test_graphs_change_nothing(cupy, graphs, monkeypatch, method):
    options = {"rtol": 0, "maxiter": 29}
    _, replayed, _ = both(cupy, method, "float64", **options)
    # of eight iterations, after eight others; of a cycle, after another
    launches = 29 // OPTIONS.get(method, {}).get("restart", 8) - 1
    assert graphs.launches == launches > 0
    monkeypatch.setattr(_iterate, "SMALL", 0)
    _, single, _ = both(cupy, method, "float64", **options)
    assert graphs.launches == launches
    np.testing.assert_array_equal(replayed.x.get(), single.x.get())
    np.testing.assert_array_equal(replayed.history, single.history)


@pytest.mark.parametrize("method", CAPTURED)
def test_graphs_hold_what_is_said(cupy, graphs, method):
    """Their state, and twice its bytes for what an iteration makes."""
    both(cupy, method, "float64", rtol=0, maxiter=24)
    (state,) = graphs.states
    op = convinv.ConvLinearOperator(cupy.asarray(layer("float64")), (2, 9, 8))
    if METHODS[method].hermitian:
        op = convinv.ConvLinearOperator(cupy.ones((2, 2, 3, 3)), (2, 9, 8), padding=1)
    b = cupy.zeros((2, *op.output_shape))
    said = estimate_of(op, b, method)
    own = said.bytes(2) - items_without_graphs(said, 2)
    records = 2**12  # bytes of coefficients and norms
    assert _iterate.COPIES * (state - records) <= own <= 3 * _iterate.COPIES * state


def items_without_graphs(estimate, items):
    """The bytes that an estimate would have if nothing were captured."""
    estimate.captured = 0
    return estimate.bytes(items)


@pytest.mark.parametrize("method", sorted(set(ITERATIVE) - set(CAPTURED)))
def test_other_methods_make_no_graphs(cupy, graphs, method):
    both(cupy, method, "float64", rtol=0, maxiter=16)
    assert not graphs.states


def test_host_arrays_are_refused(cupy):
    op = convinv.ConvLinearOperator(cupy.asarray(layer("float64")), (2, 9, 8))
    with pytest.raises(TypeError, match="b must be a .*cupy array"):
        convinv.solve(op, np.ones(op.output_shape))
    with pytest.raises(TypeError, match="x must be a .*cupy array"):
        op.matvec(np.ones(op.shape[1]))


def test_algebra_passes_device_arrays(cupy):
    kernel = layer("complex64")
    host = convinv.ConvLinearOperator(kernel, (2, 9, 8))
    device = convinv.ConvLinearOperator(cupy.asarray(kernel), (2, 9, 8))
    rng = np.random.default_rng(0)
    x = rng.standard_normal(host.shape[1]).astype("complex64")
    for make in (
        lambda op: op,
        lambda op: op.H @ op,
        lambda op: op.T @ (2j * op),
        lambda op: (op + op) / 3 - op,
        lambda op: (op.H @ op) ** 2,
    ):
        want, got = make(host) @ x, make(device) @ cupy.asarray(x)
        np.testing.assert_allclose(got.get(), want, atol=1e-4 * np.abs(want).max())
