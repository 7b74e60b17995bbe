"""One case of every function of every kernel, for all its forms, from the oracles.

``CASES[kernel](dtype)`` yields ``Case(function, run, wanted)``: ``run(module, put)``
calls the function of a form of the kernel, with arrays of its library made by ``put``,
and returns what it computed, as a tuple; ``wanted`` is what the oracle computes.
"""

from typing import Any, NamedTuple

import numpy as np

from convinv._core.geometry import make_geometry
from convinv.kernels import launcher

from . import cuda_checks, factor_oracles, factors, oracles, row_checks
from .arrays import random
from .circulants import circulant_parts


class Case(NamedTuple):
    function: str
    run: Any
    wanted: tuple


def correlate(dtype):
    shape, size = (4, 2, 3, 2), (4, 7, 8)
    options = {"groups": 2, "stride": (2, 1), "dilation": (1, 2)}
    options |= {"padding": [(1, 0), (2, 3)], "boundary": "reflect"}
    g = make_geometry(shape, size, **options)
    kernel = random(shape, dtype)
    x, y = random((3, *size), dtype, 1), random((3, *g.output_shape), dtype, 2)

    def run(function, array, taken, given):
        def call(module, put):
            plan = module.prepare(put(kernel.reshape(*shape[:2], *g.kernel)), g)
            array_ = put(array.reshape(3, *taken))
            result, sums = getattr(module, function)(plan, array_, sumsq=True)
            return result.reshape(3, *given), sums

        return call

    inner, outer = (g.c_in, *g.input), (g.c_out, *g.output)
    want = oracles.correlate_forward(kernel, x, **options)
    yield Case("forward", run("forward", x, inner, want.shape[1:]), with_sums(want))
    want = oracles.correlate_adjoint(kernel, y, size, **options)
    yield Case("adjoint", run("adjoint", y, outer, want.shape[1:]), with_sums(want))


def with_sums(want):
    return want, oracles.vectors_sumsq(want.reshape(len(want), -1))


def vectors(dtype):
    calls = cuda_checks.vector_calls(dtype, 3, 45)
    gram = np.zeros((3, 3, 3), launcher.wide(dtype))
    basis = np.zeros((3, 3, 45), dtype)
    basis[0] = random((3, 45), dtype, 5)
    basis[0] /= np.linalg.norm(basis[0], axis=1)[:, None]
    calls.append(("project", (basis, 1, gram, random((3, 45), dtype, 6)), ()))
    combined = random((5, 3, 45), dtype), random((3, 4), launcher.wide(dtype), 7)
    calls.append(("combine", combined, ()))
    for function, arguments, _ in calls:

        def run(module, put, function=function, arguments=arguments):
            return as_tuple(getattr(module, function)(*map(put, arguments)))

        want = getattr(oracles, f"vectors_{function}")(*arguments)
        yield Case(function, run, as_tuple(want))


def poisson(dtype):
    """Real data only; means u stay positive, as in a solve."""
    if np.dtype(dtype).kind == "c":
        return
    shape = (3, 9001)  # more than a task

    def some(seed, rows=3):
        return abs(random((rows, shape[1]), dtype, seed)) + 0.5

    u, counts, x, old = some(1), some(2), some(3), random(shape, dtype, 4)
    v, g, d = 0.2 * random(shape, dtype, 5), random(shape, dtype, 6), np.empty_like(x)
    counts[:, ::7] = 0
    x[:, ::5] = 0
    t, a, least = np.array([0.3, 1.0, 0.0]), np.array([1.0, 7.5, 0.0]), np.full(3, 0.1)
    s, inverse, level = some(7), some(8), np.array([0.0, 1.2, 2.0])
    v = np.maximum(v, -0.4).astype(dtype)
    calls = [
        ("quotient", (u, some(9), counts, np.empty_like(u))),
        ("quotient", (u, some(9, 1), counts, np.empty_like(u))),
        ("advance", (t, v, u, counts, np.empty_like(u))),
        ("slopes", (t, u, v, counts)),
        ("direction", (a, x, g, inverse, least, d)),
        ("direction", (a, x, g, inverse[:1], least, d)),
        ("gradient", (old, s, x, inverse, level)),
        ("gradient", (old, s[:1], x, inverse[:1], level)),
        ("curvature", (v, g, old, x, inverse, least)),
        ("curvature", (v, g, old, x, inverse[:1], least)),
    ]
    for function, arguments in calls:

        def run(module, put, function=function, arguments=arguments):
            return as_tuple(getattr(module, function)(*map(put, arguments)))

        want = getattr(oracles, f"poisson_{function}")(*arguments)
        yield Case(function, run, as_tuple(want))


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def windows(dtype):
    shape, sizes, steps = cuda_checks.WINDOWS["overlap"]
    tables = [cuda_checks.window_tables(*a) for a in zip(shape[2:], sizes, steps)]
    covers = [cuda_checks.axis_cover(t, n) for t, n in zip(tables, shape[2:])]
    count = int(np.prod([len(t) for t in tables]))
    grid, which = random(shape, dtype), np.arange(count)[::-2].copy()
    values = random((count, shape[0], shape[1] * np.prod(sizes)), dtype, 1)

    def gather(module, put):
        return (module.gather(put(grid), [*map(put, tables)], put(which)),)

    def scatter(module, put):
        target = put(grid)
        module.scatter(put(values[2]), [*map(put, tables)], 2, target)
        return (target,)

    def combine(mode):
        def run(module, put):
            held = [tuple(map(put, cover)) for cover in covers]
            device = [*map(put, tables)]
            return (module.combine(put(values), device, held, shape, mode),)

        return run

    yield Case("gather", gather, (oracles.windows_gather(grid, tables, which),))
    want = oracles.windows_scatter(values[2], tables, 2, grid)
    yield Case("scatter", scatter, (want,))
    for mode in ("overwrite", "average"):
        want = oracles.windows_combine(values, tables, shape, mode)
        yield Case("combine", combine(mode), (want,))


def circulant(dtype):
    torus, size, grid, shape = cuda_checks.CIRCULANTS["3-D odd"]
    last = torus[2] if np.dtype(dtype).kind == "c" else torus[2] // 2 + 1
    blocks = random((*shape, *torus[:2], last), "complex128")
    v = random((3, shape[0], shape[2], *size), dtype, 1)
    core, halo = [(n + 1) // 2 for n in torus], [n // 4 for n in torus]
    more = random((2, 4, 6, *torus[:2], last), "complex128")
    u, out, parts = circulant_parts(torus, dtype)

    def apply(module, put):
        return (module.apply(module.prepare(blocks, torus, dtype), put(v), grid),)

    def apply_tiles(module, put):
        plan = module.prepare(blocks, torus, dtype)
        return (module.apply_tiles(plan, put(v), core, halo),)

    def apply_parts(module, put):
        target = put(out)
        module.apply_parts(module.prepare(more, torus, dtype), put(u), target, parts)
        return (target,)

    want = oracles.circulant_apply(blocks, torus, v, grid)
    yield Case("apply", apply, (want,))
    want = oracles.circulant_apply_tiles(blocks, torus, v, core, halo)
    yield Case("apply_tiles", apply_tiles, (want,))
    want = oracles.circulant_apply_parts(more, torus, u, out, parts)
    yield Case("apply_parts", apply_parts, (want,))


def differences(dtype):
    def one(size, axes, box, free, isotropic):
        fields = (len(axes), *size)
        x, z, u = (
            random(size, dtype),
            random(fields, dtype, 1),
            random(fields, dtype, 2),
        )
        if not free:  # fields of differences that are 0
            z, u = (oracles.counted(axes, box, size[1:]) * field for field in (z, u))
        options = axes, box, free, 0.7, 1.6, isotropic

        def shrink(module, put):
            given = put(x), put(z), put(u)
            return module.shrink(*given, *options), *given[1:]

        def divergence(module, put):
            return (module.divergence(put(z), put(u), axes),)

        want = oracles.differences_shrink(x, z, u, *options)
        yield Case("shrink", shrink, want)
        want = oracles.differences_divergence(z, u, axes)
        yield Case("divergence", divergence, (want,))

    whole, part = ((0, 3), (0, 4), (0, 5)), ((1, 3), (0, 3), (1, 5))
    for isotropic in (True, False):
        yield from one((2, 3, 4, 5), (0, 1, 2), part, True, isotropic)
        yield from one((2, 3, 4, 5), (1, 2), whole, False, isotropic)
    yield from one((1, 1, 1, 300), (2,), ((0, 1), (0, 1), (0, 300)), False, True)
    yield from one((1, 1, 1, 1), (0, 2), ((0, 1),) * 3, True, True)


def rows(dtype):
    def checked(function, check):
        """The checks of rows and columns compare for themselves."""

        def run(module, put):
            check("groups", dtype, 0.5, module=module, put=put)
            return ()

        return Case(function, run, ())

    for function in ("row_sweep", "pixel_sweep"):
        yield checked(function, row_checks.check_rows)
    for function in ("column_sweep", "sample_sweep"):
        yield checked(function, row_checks.check_columns)


def givens(dtype):
    """Three columns; the matrices are in double precision whatever the data are in."""
    small, steps, batch = launcher.wide(dtype), 3, 2
    columns = random((batch, steps, steps), small) + 3 * np.eye(steps)
    left, norm = np.abs(random((batch, steps), "float64", 1)) + 0.1, np.array([1.0, 2])

    def appended(module, put):
        right = np.zeros((batch, steps + 1), small)
        right[:, 0] = 1
        square, flat = np.zeros((batch, steps, steps), small), np.zeros((batch, steps))
        kept = (*map(put, (square, flat.astype(small), flat, right)),)
        for j in range(steps):
            h = np.ascontiguousarray(columns[:, : j + 1, j])
            before = oracles.vectors_sumsq(h) + left[:, j] ** 2
            given = put(h), put(before), put(left[:, j] ** 2)
            found = module.append(*given, 1e-15, put(np.ones(batch, bool)), *kept)
        return found, kept

    def append(module, put):
        (factor, _, relative), _ = appended(module, put)
        return factor, relative

    def substitute(module, put):
        triangle, _, _, right = appended(module, put)[1]
        return (module.substitute(triangle, right, put(norm), steps),)

    yield Case("append", append, factor_oracles.givens_append(columns, left))
    solutions = factor_oracles.givens_substitute(columns, left, norm)
    yield Case("substitute", substitute, (solutions,))


def sweeps(dtype):
    shapes = [factors.SHAPES[name] for name in ("tridiagonal", "wide")]
    given = [factors.random_factor(shape, dtype) for shape in shapes]
    z = factors.values(shapes, 3, dtype)

    def solve(module, put):
        plans, target = [module.prepare(*one) for one in given], put(z)
        module.solve(plans, 3, target)
        return (target,)

    yield Case("solve", solve, (factors.solved(shapes, given, 3, z),))


CASES = {
    "circulant": circulant,
    "correlate": correlate,
    "differences": differences,
    "givens": givens,
    "poisson": poisson,
    "rows": rows,
    "sweeps": sweeps,
    "vectors": vectors,
    "windows": windows,
}
