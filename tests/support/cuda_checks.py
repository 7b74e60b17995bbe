"""CUDA kernels against the oracles, on device arrays."""

import numpy as np

from convinv._core.boundaries import BOUNDARIES
from convinv._core.geometry import make_geometry
from convinv.kernels import launcher

from . import oracles
from .arrays import random
from .circulants import circulant_parts

# kernel shape, input shape, then what differs from an undilated "valid" layer
LAYERS = {
    "plain": ((3, 2, 3, 3), (2, 9, 11), {}),
    "one tap": ((1, 1, 1), (1, 1), {}),
    "one sample": ((2, 3, 1, 1), (3, 1, 1), {}),
    "1-D": ((2, 3, 4), (3, 301), {"padding": [(1, 2)]}),
    "1-D stride": ((3, 1, 5), (1, 50), {"stride": (3,), "padding": [(2, 2)]}),
    "3-D": ((2, 2, 2, 3, 2), (2, 4, 5, 6), {"padding": [(0, 1), (1, 1), (1, 0)]}),
    "3-D stride": (
        (1, 2, 2, 1, 3),
        (2, 5, 6, 7),
        {"stride": (2, 1, 3), "dilation": (1, 2, 2), "boundary": "periodic"},
    ),
    "nine channels": ((9, 5, 3, 3), (5, 6, 7), {"padding": [(1, 1)] * 2}),
    "twelve channels": ((12, 2, 1, 3), (2, 3, 40), {}),
    "groups": ((6, 2, 3, 3), (4, 7, 8), {"groups": 2, "padding": [(1, 1)] * 2}),
    "depthwise": ((5, 1, 3, 3), (5, 8, 5), {"groups": 5, "boundary": "reflect"}),
    "stride leaves a rest": ((2, 2, 3, 2), (2, 10, 12), {"stride": (2, 5)}),
    "stride skips samples": ((2, 1, 1, 2), (1, 9, 10), {"stride": (3, 4)}),
    "dilation": ((2, 2, 3, 3), (2, 9, 10), {"dilation": (2, 3)}),
    "dilation and stride": (
        (2, 2, 3, 4),
        (2, 15, 17),
        {"dilation": (4, 2), "stride": (6, 3), "padding": [(3, 1), (0, 2)]},
    ),
    "common factors": (
        (1, 2, 4, 3),
        (2, 19, 21),
        {"dilation": (4, 6), "stride": (2, 4), "padding": [(1, 0), (2, 3)]},
    ),
    "padding beyond the taps": ((2, 1, 2, 2), (1, 4, 5), {"padding": [(5, 3), (0, 7)]}),
    "output is all padding": (
        (1, 1, 2, 2),
        (1, 1, 1),
        {"padding": [(4, 4)] * 2, "stride": (3, 3)},
    ),
    "odd sizes over blocks": ((2, 1, 2, 3), (1, 19, 67), {"padding": [(1, 0), (2, 1)]}),
    **{
        f"{boundary} {name}": (
            shape,
            size,
            {"boundary": boundary, "padding": padding, **more},
        )
        for boundary in BOUNDARIES
        for name, shape, size, padding, more in [
            ("asymmetric", (2, 2, 3, 3), (2, 6, 7), [(0, 2), (3, 1)], {}),
            ("wide", (1, 1, 4, 2), (1, 3, 2), [(7, 8), (5, 3)], {"stride": (2, 1)}),
            ("one", (1, 2, 2, 3), (2, 1, 5), [(2, 3), (1, 1)], {"dilation": (2, 1)}),
        ]
    },
}

# kernels with faults that must be noticed
FAULTY = """
extern "C" __global__ void outside(float* y, int n) { y[n] = 1.f; }
extern "C" __global__ void beyond(const float* x, float* y, int n) { *y = x[n]; }
extern "C" __global__ void divergent(float* y) {
  if (threadIdx.x < 7) __syncthreads();
  y[threadIdx.x] = 1.f;
}
"""


def tolerance(dtype):
    return 300 * np.finfo(dtype).eps


def assert_close(got, want, dtype):
    """Equal up to a few hundred roundings of the largest value."""
    got, scale = got.get(), np.max(np.abs(want), initial=1)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance(dtype) * scale)


def layer(name):
    """``(kernel shape, input shape, geometry, arguments of the oracle)``."""
    shape, size, given = LAYERS[name]
    ndim = len(size) - 1
    plain = {
        "stride": (1,) * ndim,
        "padding": [(0, 0)] * ndim,
        "dilation": (1,) * ndim,
        "groups": 1,
        "boundary": "zero",
    }
    given = {**plain, **given}
    return shape, size, make_geometry(shape, size, **given), given


def run_layer(cupy, correlate, name, dtype, batch):
    """Forward, adjoint and both sums of squares against the oracle."""
    shape, size, geometry, given = layer(name)
    kernel = random(shape, dtype)
    x = random((batch, *size), dtype, 1)
    y = random((batch, *geometry.output_shape), dtype, 2)
    stored = (*shape[:2], *geometry.kernel)
    plan = correlate.prepare(cupy.asarray(kernel.reshape(stored)), geometry)
    for product, a, want, ends in [
        (
            correlate.forward,
            x,
            oracles.correlate_forward(kernel, x, **given),
            ((geometry.c_in, *geometry.input), (geometry.c_out, *geometry.output)),
        ),
        (
            correlate.adjoint,
            y,
            oracles.correlate_adjoint(kernel, y, size, **given),
            ((geometry.c_out, *geometry.output), (geometry.c_in, *geometry.input)),
        ),
    ]:
        array = cupy.asarray(a.reshape(batch, *ends[0]))
        got, sums = product(plan, array, sumsq=True)
        assert got.dtype == dtype and sums.dtype == "float64"
        assert_close(got, want.reshape(batch, *ends[1]), dtype)
        squares = oracles.vectors_sumsq(got.get().reshape(batch, -1))
        np.testing.assert_allclose(sums.get(), squares, rtol=1e-13)
        again, none = product(plan, array)
        assert none is None
        np.testing.assert_array_equal(again.get(), got.get())


def vector_calls(dtype, batch, n):
    """``(name, arguments, which of them are updated)`` of every function."""
    v = [random((batch, n), dtype, seed) for seed in range(5)]
    c = [random(batch, "float64", 10 + seed) for seed in range(3)]
    return [
        ("sumsq", (v[0],), ()),
        ("extent", (v[0],), ()),
        ("dot", (v[0], v[1]), ()),
        ("axpy", (c[0], v[0], v[1]), (2,)),
        ("axpby", (c[0], v[0], c[1], v[1]), (3,)),
        ("subtract", (v[0], v[1].astype(launcher.wide(dtype))), (1,)),
        ("step", (c[0], v[0], v[1], v[2], c[1]), (2, 1)),
        ("three_term", (v[0], c[0], v[1], c[1], v[2], v[3], c[2]), (0, 2, 4)),
        ("scale", (c[0], v[0]), (1,)),
    ]


def check_vectors(module, upload, download, in_place, dtype, batch, n):
    for name, args, updated in vector_calls(dtype, batch, n):
        want = getattr(oracles, f"vectors_{name}")(*args)
        given = [upload(a) for a in args]
        got = getattr(module, name)(*given)
        if not isinstance(got, tuple):
            got, want = (got,), (want,)
        for a, b in zip(got, want, strict=True):
            a, summed = download(a), b.ndim == 1
            scale = np.max(np.abs(b), initial=1) if summed else 1
            # sums of float32 values are as good as those values
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance(dtype) * scale)
            wide = "complex128" if b.dtype.kind == "c" else "float64"
            assert a.dtype == (wide if summed or name == "subtract" else dtype)
        for i, (a, b) in enumerate(zip(args, given)):
            if in_place and i in updated:
                assert b is got[updated.index(i)]
            else:
                np.testing.assert_array_equal(download(b), a)


def check_project(module, upload, download, in_place, dtype, batch, n, count=5):
    rng = np.random.default_rng(0)
    wide = launcher.wide(dtype)
    basis = np.zeros((count + 1, batch, n), dtype)
    for item in range(batch):
        columns = random((n, count), wide, item)
        basis[:count, item] = np.linalg.qr(columns)[0].T
    basis[count] = rng.standard_normal((batch, n))  # not to be used
    w = random((batch, n), dtype, 7)
    gram = upload(np.zeros((batch, count + 1, count + 1), wide))
    given = upload(w)
    got = module.project(upload(basis), count, gram, given)
    assert (got[0] is given) == in_place
    for a, b, of in zip(
        got,
        oracles.vectors_project(basis, count, None, w),
        (dtype, wide, "float64", "float64"),
        strict=True,
    ):
        a = download(a)
        assert a.dtype == of and a.shape == b.shape
        scale = np.max(np.abs(b), initial=1)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance(dtype) * scale)
    y = random((batch, count), wide, 8)
    combined = download(module.combine(upload(basis), upload(y)))
    assert combined.dtype == dtype
    want = oracles.vectors_combine(basis, y)
    np.testing.assert_allclose(combined, want, rtol=0, atol=tolerance(dtype))
    products = np.einsum("kbn,bn->bk", basis[:count].conj(), download(got[0]))
    assert np.max(np.abs(products), initial=0) < 100 * np.finfo(dtype).eps


def window_tables(n, size, step):
    """Windows of `size` samples, one every `step` from -1 on."""
    first = np.arange(-1, n, step)
    table = first[:, None] + np.arange(size)
    return np.where((table >= 0) & (table < n), table, -1)


def axis_cover(table, n):
    """``(start, window, position)``: which windows hold each sample, and where."""
    window, position = np.nonzero(table >= 0)
    sample = table[window, position]
    order = np.lexsort((window, sample))
    start = np.searchsorted(sample[order], np.arange(n + 1))
    return start, window[order], position[order]


WINDOWS = {
    "overlap": ((2, 3, 5, 6, 7), (3, 4, 3), (2, 2, 2)),
    "gaps": ((1, 2, 7, 9, 40), (1, 2, 3), (2, 3, 5)),
    "apart": ((2, 1, 1, 12, 13), (3, 4, 5), (3, 4, 5)),
    "one window": ((1, 1, 1, 1, 3), (2, 3, 6), (2, 3, 6)),
    "wide": ((1, 2, 1, 20, 70), (2, 9, 40), (5, 7, 30)),
}


def check_windows(cupy, windows, name, dtype):
    shape, sizes, steps = WINDOWS[name]
    tables = [window_tables(*a) for a in zip(shape[2:], sizes, steps)]
    covers = [axis_cover(t, n) for t, n in zip(tables, shape[2:])]
    device = [cupy.asarray(t) for t in tables]
    count = np.prod([len(t) for t in tables])
    grid = random(shape, dtype)
    which = np.random.default_rng(0).permutation(count)[: count // 2 + 1]
    got = windows.gather(cupy.asarray(grid), device, cupy.asarray(which))
    want = oracles.windows_gather(grid, tables, which)
    np.testing.assert_array_equal(got.get(), want)

    values = random((count, shape[0], shape[1] * np.prod(sizes)), dtype, 1)
    for mode in "overwrite", "average":
        got = windows.combine(
            cupy.asarray(values),
            device,
            [tuple(cupy.asarray(a) for a in cover) for cover in covers],
            shape,
            mode,
        )
        assert got.dtype == dtype
        assert_close(got, oracles.windows_combine(values, tables, shape, mode), dtype)

    target = cupy.asarray(grid)
    for window in {0, int(count) // 2, int(count) - 1}:
        part = cupy.asarray(values[window])
        assert windows.scatter(part, device, window, target) is None
        grid = oracles.windows_scatter(values[window], tables, window, grid)
        np.testing.assert_array_equal(target.get(), grid)


# torus, grids of v and of the result, then groups, p, q
CIRCULANTS = {
    "1-D": ((1, 1, 30), (1, 1, 27), (1, 1, 29), (2, 1, 1)),
    "2-D": ((1, 6, 8), (1, 6, 8), (1, 6, 8), (1, 3, 3)),
    "3-D odd": ((3, 4, 5), (2, 3, 4), (3, 1, 5), (2, 5, 2)),
    "over blocks": ((1, 20, 40), (1, 19, 40), (1, 20, 39), (1, 2, 1)),
    "one sample": ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 4, 9)),
    "last axis of one": ((2, 3, 1), (2, 2, 1), (1, 3, 1), (1, 2, 2)),
}


def check_circulant(cupy, circulant, name, dtype):
    torus, size, grid, shape = CIRCULANTS[name]
    last = torus[2] if np.dtype(dtype).kind == "c" else torus[2] // 2 + 1
    blocks = random((*shape, *torus[:2], last), "complex128")
    plan = circulant.prepare(blocks, torus, dtype)
    assert plan.torus == torus and plan.dtype == dtype
    assert plan.nbytes == blocks.size * plan.blocks.itemsize
    v = random((3, shape[0], shape[2], *size), dtype, 1)
    given = cupy.asarray(v)
    for wanted in (grid, None):
        got = circulant.apply(plan, given, wanted)
        assert got.dtype == dtype and got.flags.c_contiguous
        want = oracles.circulant_apply(blocks, torus, v, wanted or size)
        assert_close(got, want, dtype)
    core, halo = [(n + 1) // 2 for n in torus], [n // 4 for n in torus]
    got = circulant.apply_tiles(plan, given, core, halo)
    want = oracles.circulant_apply_tiles(blocks, torus, v, core, halo)
    assert_close(got, want, dtype)
    np.testing.assert_array_equal(given.get(), v)
    blocks = random((2, 4, 6, *torus[:2], last), "complex128")
    plan = circulant.prepare(blocks, torus, dtype)
    v, out, parts = circulant_parts(torus, dtype)
    want = oracles.circulant_apply_parts(blocks, torus, v, out, parts)
    out = cupy.asarray(out)
    assert circulant.apply_parts(plan, cupy.asarray(v), out, parts) is None
    assert_close(out, want, dtype)
