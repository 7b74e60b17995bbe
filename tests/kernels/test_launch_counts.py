"""How often the host calls a device, in an iteration and for an exact inverse.

The limits are what was counted last: lower them when code gets better.
``pytest -m gpu --drygpu -k launch_counts -rP`` prints the counts.
"""

import numpy as np
import pytest

import convinv
from support import drygpu
from support.quiet import quietly

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not drygpu.installed(), reason="counts need --drygpu"),
]

# Per iteration: calls (launches, and calls of libraries), waits of the host and calls
# of cudaMalloc; per iteration in a graph: its nodes.
ITERATIONS = {
    ("cg", False): {"calls": 7, "waits": 0, "allocations": 0, "nodes": 9},
    ("cgls", False): {"calls": 7, "waits": 0, "allocations": 0, "nodes": 9},
    ("lsqr", False): {"calls": 8, "waits": 0, "allocations": 0, "nodes": 11},
    ("lsmr", False): {"calls": 8, "waits": 0, "allocations": 0, "nodes": 12},
    ("cgls", True): {"calls": 11, "waits": 0, "allocations": 0, "nodes": 13},
    ("lsmr", True): {"calls": 14, "waits": 0, "allocations": 0, "nodes": 19},
    ("gmres", False): {"calls": 10, "waits": 0, "allocations": 0},
}
# Per solve by an exact inverse that is there already, its check included: by method,
# size of the square image and batch.
INVERSES = {
    ("direct", 64, 1): {"calls": 20, "waits": 10, "allocations": 0},
    ("schwarz", 256, 1): {"calls": 62, "waits": 10, "allocations": 0},
    ("schwarz", 256, 3): {"calls": 57, "waits": 10, "allocations": 0},
    ("direct", 256, 1): {"calls": 530, "waits": 10, "allocations": 0},
}
SLOW = {("direct", 256, 1)}  # to set up


def check(name, counted, limits):
    print(f"{name}: {counted}")
    over = {key: n for key, n in counted.items() if n > limits[key]}
    assert not over, f"{name} takes {over}, more than the limits {limits}"


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy")


def layer(cupy, method):
    """A layer of 3 to 8 channels, or a square and Hermitian one, and data."""
    rng = np.random.default_rng(0)
    if method in ("cg", "gmres"):
        kernel = np.array([[[[0, 0.3, 0], [0.3, 1.8, 0.3], [0, 0.3, 0]]]])
    else:
        kernel = rng.standard_normal((8, 3, 3, 3))
    op = convinv.ConvLinearOperator(
        cupy.asarray(kernel), (kernel.shape[1], 16, 16), padding=1
    )
    return op, cupy.asarray(rng.standard_normal((3, *op.output_shape)))


@pytest.mark.parametrize("method, damped", ITERATIONS)
def test_an_iteration(cupy, method, damped):
    op, b = layer(cupy, method)
    limits = ITERATIONS[method, damped]
    damp = 0.1 if damped else 0.0

    def run(maxiter):
        with drygpu.counts() as done:
            quietly(op, b, method, damp=damp, rtol=0, rtol_normal=0, maxiter=maxiter)
        return done

    run(32)  # compiles, and fills the pools
    few, more, many = (run(maxiter) for maxiter in (4, 6, 32))
    counted = {
        key: (getattr(more, key) - getattr(few, key)) / 2
        for key in ("calls", "waits", "allocations")
    }
    if "nodes" in limits:
        assert many.graph_launches == 3  # of eight iterations each
        counted["nodes"] = many.graph_nodes / 24
    check(f"{method}{', damped' * damped}", counted, limits)


def test_cycles_of_gmres(cupy):
    """The first is as it comes, the second is captured, the others are that graph."""
    op, b = layer(cupy, "gmres")
    with drygpu.counts() as done:
        quietly(op, b, "gmres", restart=4, rtol=0, maxiter=32)
    assert done.graph_launches == 7


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=pytest.mark.slow if c in SLOW else ()) for c in INVERSES],
    ids=lambda case: "-".join(map(str, case)),
)
def test_an_exact_inverse(cupy, case):
    method, size, batch = case
    rng = np.random.default_rng(0)
    kernel = cupy.asarray(rng.standard_normal((8, 3, 3, 3)))
    op = convinv.ConvLinearOperator(kernel, (3, size, size), padding=1)
    x = cupy.asarray(rng.standard_normal((batch, 3, size, size)))
    b = op.forward(x)
    for _ in range(3):  # the pools are full after two
        with drygpu.counts() as done:
            result = convinv.solve(op, b, method)
    assert result.success and float(abs(result.x - x).max()) < 1e-4
    keys = ("calls", "waits", "allocations")
    check(case, {key: getattr(done, key) for key in keys}, INVERSES[case])
