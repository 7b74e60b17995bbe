"""Row and column actions on the CPU against dense loops."""

import numpy as np
import pytest
import scipy.sparse as sparse

from convinv._core import geometry
from convinv.kernels.rows import cpu as rows_cpu
from convinv.solvers._colors import input_colors, output_colors
from support import oracles
from support.arrays import DTYPES, every_dtype, random
from support.processes import FOLDERS, run
from support.row_checks import (
    LAYERS,
    check,
    check_columns,
    check_rows,
    layer,
    reciprocal,
)

layers = pytest.mark.parametrize("name", LAYERS)


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
def test_colors(name, of):
    """Every pixel once, and those of a color share nothing."""
    g, _, A = layer(name, "float64")
    ones = np.abs(layer_of_ones(name)) > 0
    pixels, starts = (output_colors if of == "outputs" else input_colors)(g)
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


def test_few_colors_where_nothing_folds():
    for size, span, stride, expected in ((20, 3, 1, 3), (20, 3, 2, 2), (20, 2, 2, 1)):
        g = geometry.make_geometry(
            (1, 1, span), (1, size), stride=stride, padding=0, dilation=1, groups=1,
            boundary="zero",
        )  # fmt: skip
        assert len(output_colors(g)[1]) - 1 == expected


THREADS = """
import hashlib
import numpy as np
from convinv._core import geometry, threads
from convinv.kernels.rows import cpu as rows_cpu
from convinv.solvers._colors import input_colors, output_colors
from support.arrays import random

print(threads.thread_count())
g = geometry.make_geometry((8, 3, 3, 3), (3, 90, 91), stride=1, padding=1, dilation=1,
                            groups=1, boundary="reflect")
plan = rows_cpu.prepare(random((8, 3, 1, 3, 3), "float32"), g)
m, n = 8 * 90 * 91, 3 * 90 * 91
digest = hashlib.sha256()
for batch in (1, 4):
    x, b = random((batch, n), "float32", 1), random((batch, m), "float32", 2)
    on = np.ones(batch, bool)
    scale = np.full(m, 0.01, "float32")
    rows_cpu.pixel_sweep(plan, x, b, None, scale, 0.0, on, *output_colors(g))
    rows_cpu.sample_sweep(plan, x, b, None, scale[:n], 0.0, on, *input_colors(g))
    digest.update(x)
    digest.update(b)
print(digest.hexdigest())
"""


def test_same_bits_with_any_number_of_threads():
    outputs = []
    for threads in ("1", "2", "3"):
        done = run(THREADS, NUMBA_NUM_THREADS=threads, PYTHONPATH=FOLDERS)
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
    rows_cpu.pixel_sweep(plan, x, b, None, scale, 0.0, active, *output_colors(g))
    assert not np.isfinite(x[0]).any() and np.isfinite(x[1]).all()
