"""Row and column actions against dense loops."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sparse

from convinv._core import geometry
from convinv.kernels.rows import cpu as rows_cpu
from convinv.solvers._colours import input_colours, output_colours
from support import oracles
from support.arrays import DTYPES, every_dtype, random
from support.paths import PACKAGE, ROOT

# kernel shape, input shape, and what differs from a plain layer
LAYERS = {
    "plain": ((3, 2, 3, 3), (2, 6, 7), {}),
    "one tap": ((1, 1, 1), (1, 1), {}),
    "1-D": ((2, 3, 4), (3, 15), {"padding": [(1, 2)]}),
    "3-D": ((2, 2, 2, 3, 2), (2, 3, 4, 5), {"padding": [(0, 1), (1, 1), (1, 0)]}),
    "groups": ((6, 2, 3, 3), (4, 5, 6), {"groups": 2, "padding": [(1, 1)] * 2}),
    "stride": ((3, 2, 3, 2), (2, 9, 10), {"stride": (2, 5)}),
    "dilation": (
        (2, 2, 3, 3),
        (2, 9, 8),
        {"dilation": (2, 3), "padding": [(2, 1)] * 2},
    ),
    "long rows": ((2, 5, 3, 3), (5, 4, 5), {}),
    **{
        f"{boundary} {name}": (shape, size, {"boundary": boundary, **more})
        for boundary in ("periodic", "reflect", "symmetric", "replicate", "zero")
        for name, shape, size, more in [
            ("asymmetric", (2, 2, 3, 3), (2, 5, 6), {"padding": [(0, 2), (3, 1)]}),
            ("wide", (1, 1, 4, 2), (1, 3, 2), {"padding": [(7, 8), (5, 3)]}),
            (
                "apart",
                (2, 1, 2, 3),
                (1, 5, 7),
                {"padding": [(2, 3), (4, 1)], "dilation": (2, 1), "stride": (1, 2)},
            ),
        ]
    },
}
layers = pytest.mark.parametrize("name", LAYERS)


def layer(name, dtype):
    """(geometry, kernel as it is stored, dense matrix)."""
    shape, size, given = LAYERS[name]
    ndim = len(size) - 1
    given = {
        "stride": (1,) * ndim,
        "padding": [(0, 0)] * ndim,
        "dilation": (1,) * ndim,
        "groups": 1,
        "boundary": "zero",
        **given,
    }
    g = geometry.make_geometry(shape, size, **given)
    kernel = random(shape, dtype)
    identity = np.eye(np.prod(size)).reshape(-1, *size)
    columns = oracles.correlate_forward(kernel, identity, **given)
    A = columns.reshape(len(identity), -1).T
    return g, kernel.reshape(*shape[:2], *g.kernel), A


def reciprocal(A, axis, dtype, damp):
    squares = np.sum(np.abs(A) ** 2, axis=axis) + damp**2
    scale = 1.2 / np.where(squares > 0, squares, 1)
    scale[1::5] = 0  # are left out
    return scale.astype(np.empty(0, dtype).real.dtype)


def check(got, want, dtype):
    bound = 300 * np.finfo(dtype).eps
    for a, b in zip(got, want, strict=True):
        if b is not None:
            close = bound * np.max(np.abs(b), initial=1)
            np.testing.assert_allclose(a, b, rtol=0, atol=close)


def check_rows(name, dtype, damp, batch=3, module=rows_cpu, put=np.asarray):
    """The three kinds of order, both ways, on an item more than are active."""
    g, kernel, A = layer(name, dtype)
    m, n = A.shape
    plan = module.prepare(put(kernel), g)
    rng = np.random.default_rng(1)
    active = np.arange(batch) != 1
    scale = reciprocal(A, 1, dtype, damp)
    pixels, starts = output_colours(g)
    drawn = rng.integers(m, size=2 * m)
    for reverse in (False, True):
        x, b = random((batch, n), dtype, 2), random((batch, m), dtype, 3)
        z = random((batch, m), dtype, 4) if damp else None
        want = oracles.rows_row_sweep(A, x, b, z, scale, damp, active, drawn, reverse)
        given = [put(x.copy()), put(b), None if z is None else put(z.copy())]
        rest = [put(scale), damp, put(active)]
        module.row_sweep(plan, *given, *rest, put(drawn), reverse)
        check(map(back, given[::2]), want, dtype)
        want = oracles.rows_pixel_sweep(
            A, x, b, z, scale, damp, active, pixels, np.prod(g.output), reverse
        )
        given = [put(x.copy()), put(b), None if z is None else put(z.copy())]
        module.pixel_sweep(plan, *given, *rest, put(pixels), starts, reverse)
        check(map(back, given[::2]), want, dtype)


def check_columns(name, dtype, damp, batch=3, module=rows_cpu, put=np.asarray):
    g, kernel, A = layer(name, dtype)
    m, n = A.shape
    plan = module.prepare(put(kernel), g)
    rng = np.random.default_rng(1)
    active = np.arange(batch) != 1
    scale = reciprocal(A, 0, dtype, damp)
    samples, starts = input_colours(g)
    drawn = rng.integers(n, size=2 * n)
    for reverse in (False, True):
        x, r = random((batch, n), dtype, 2), random((batch, m), dtype, 3)
        origin = random((batch, n), dtype, 4) if damp else None
        rest = [scale, damp, active]
        want = oracles.rows_column_sweep(A, x, r, origin, *rest, drawn, reverse)
        start = None if origin is None else put(origin)
        given = [put(x.copy()), put(r.copy()), start, put(scale), damp, put(active)]
        module.column_sweep(plan, *given, put(drawn), reverse)
        check(map(back, given[:2]), want, dtype)
        want = oracles.rows_sample_sweep(
            A, x, r, origin, *rest, samples, np.prod(g.input), reverse
        )
        given = [put(x.copy()), put(r.copy()), start, put(scale), damp, put(active)]
        module.sample_sweep(plan, *given, put(samples), starts, reverse)
        check(map(back, given[:2]), want, dtype)


def back(array):
    return array.get() if hasattr(array, "get") else array


@layers
@pytest.mark.parametrize(
    ("dtype", "damp"), [*zip(DTYPES, (0.0, 0.7, 0.7, 0.0), strict=True)]
)
class TestLayers:
    def test_rows(self, name, dtype, damp):
        check_rows(name, dtype, damp)

    def test_columns(self, name, dtype, damp):
        check_columns(name, dtype, damp)


@every_dtype
@pytest.mark.parametrize("damp", [0.0, 0.7])
@pytest.mark.parametrize("reverse", [False, True])
def test_matrices(dtype, damp, reverse):
    A = random((14, 9), dtype) * (np.random.default_rng(5).random((14, 9)) < 0.4)
    A[3] = A[:, 2] = 0
    plan = rows_cpu.prepare(sparse.csr_array(A), None)
    active = np.array([True, False, True])
    rng = np.random.default_rng(6)
    x, b, z = (random((3, k), dtype, k) for k in (9, 14, 14))
    z, origin = (z, x + 1) if damp else (None, None)
    rest = reciprocal(A, 1, dtype, damp), damp, active, rng.integers(14, size=40)
    want = oracles.rows_row_sweep(A, x, b, z, *rest, reverse)
    given = x.copy(), b, None if z is None else z.copy()
    rows_cpu.row_sweep(plan, *given, *rest, reverse)
    check(given[::2], want, dtype)
    rest = reciprocal(A, 0, dtype, damp), damp, active, rng.integers(9, size=40)
    want = oracles.rows_column_sweep(A, x, b, origin, *rest, reverse)
    given = x.copy(), b.copy()
    rows_cpu.column_sweep(plan, *given, origin, *rest, reverse)
    check(given, want, dtype)


@pytest.mark.parametrize("of", ["outputs", "inputs"])
@layers
def test_colours(name, of):
    """Every pixel once, and those of a colour share nothing."""
    g, _, A = layer(name, "float64")
    ones = np.abs(layer_of_ones(name)) > 0
    pixels, starts = (output_colours if of == "outputs" else input_colours)(g)
    if of == "inputs":
        ones = ones.T
    count = np.prod(g.output if of == "outputs" else g.input)
    np.testing.assert_array_equal(np.sort(pixels), np.arange(count))
    seen = ones.reshape(-1, count, ones.shape[1]).any(0)
    for first, last in zip(starts, starts[1:], strict=False):
        assert first < last
        assert seen[pixels[first:last]].sum(0).max() <= 1


def layer_of_ones(name):
    _, size, _ = LAYERS[name]
    g, kernel, _ = layer(name, "float64")
    identity = np.eye(np.prod(size)).reshape(-1, *size)
    options = {key: getattr(g, key)[3 - g.ndim :] for key in ("stride", "dilation")}
    padding = list(zip(g.before, g.after))[3 - g.ndim :]
    ones = np.ones((*kernel.shape[:2], *g.kernel[3 - g.ndim :]))
    columns = oracles.correlate_forward(
        ones, identity, **options, padding=padding, groups=g.groups, boundary=g.boundary
    )
    return columns.reshape(len(identity), -1).T


def test_few_colours_where_nothing_folds():
    for size, span, stride, expected in ((20, 3, 1, 3), (20, 3, 2, 2), (20, 2, 2, 1)):
        g = geometry.make_geometry(
            (1, 1, span), (1, size), stride=stride, padding=0, dilation=1, groups=1,
            boundary="zero",
        )  # fmt: skip
        assert len(output_colours(g)[1]) - 1 == expected


THREADS = """
import hashlib, numpy as np
import test_rows_kernel as t
from convinv._core import threads
from convinv.kernels.rows import cpu as rows_cpu

print(threads.thread_count())
g = t.geometry.make_geometry((8, 3, 3, 3), (3, 90, 91), stride=1, padding=1, dilation=1,
                            groups=1, boundary="reflect")
plan = rows_cpu.prepare(t.random((8, 3, 1, 3, 3), "float32"), g)
m, n = 8 * 90 * 91, 3 * 90 * 91
digest = hashlib.sha256()
for batch in (1, 4):
    x, b = t.random((batch, n), "float32", 1), t.random((batch, m), "float32", 2)
    on = np.ones(batch, bool)
    scale = np.full(m, 0.01, "float32")
    rows_cpu.pixel_sweep(plan, x, b, None, scale, 0.0, on, *t.output_colours(g))
    rows_cpu.sample_sweep(plan, x, b, None, scale[:n], 0.0, on, *t.input_colours(g))
    digest.update(x)
    digest.update(b)
print(digest.hexdigest())
"""


def test_same_bits_with_any_number_of_threads():
    outputs = []
    for threads in ("1", "2", "3"):
        environment = {**os.environ, "NUMBA_NUM_THREADS": threads}
        folders = os.path.dirname(__file__), str(ROOT / "tests"), str(PACKAGE.parent)
        environment["PYTHONPATH"] = os.pathsep.join(folders)
        done = subprocess.run(
            [sys.executable, "-c", THREADS],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        count, digest = done.stdout.split()
        assert count == threads
        outputs.append(digest)
    assert outputs[0] == outputs[1] == outputs[2]


def test_non_finite_items_stay_alone():
    g, kernel, A = layer("plain", "float64")
    plan = rows_cpu.prepare(kernel, g)
    x, b = random((2, A.shape[1]), "float64"), random((2, A.shape[0]), "float64")
    b[0] = np.inf
    scale, active = np.full(A.shape[0], 0.1), np.ones(2, bool)
    rows_cpu.pixel_sweep(plan, x, b, None, scale, 0.0, active, *output_colours(g))
    assert not np.isfinite(x[0]).any() and np.isfinite(x[1]).all()
