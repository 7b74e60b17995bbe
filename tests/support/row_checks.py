"""Row and column actions against dense loops, on any arrays."""

import numpy as np

from convinv._core import geometry
from convinv.kernels.rows import cpu as rows_cpu
from convinv.solvers._colors import input_colors, output_colors

from . import oracles
from .arrays import BOUNDARIES, random

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
        for boundary in BOUNDARIES
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
    pixels, starts = output_colors(g)
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
    samples, starts = input_colors(g)
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
