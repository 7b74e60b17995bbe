"""The CPU kernels against slow oracles."""

import os
import subprocess
import sys
import types

import numba
import numpy as np
import pytest

from convinv._core import threads
from convinv._core.geometry import make_geometry
from convinv.kernels import load
from convinv.kernels.circulant import cpu as circulant_cpu
from convinv.kernels.correlate import cpu as correlate_cpu
from convinv.kernels.vectors import cpu as vectors_cpu, cpu_project
from convinv.kernels.windows import cpu as windows_cpu
from convinv.solvers import _rotations
from support import oracles
from support.arrays import every_dtype, random
from support.circulants import circulant_parts

LENGTH = vectors_cpu.LENGTH


def assert_close(got, expected, dtype, terms=1):
    """Equal to a few rounding errors of `dtype`."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    eps = np.finfo(dtype).eps
    scale = np.max(np.abs(expected), initial=0)
    assert np.max(np.abs(got - expected), initial=0) <= 4 * eps * terms * (scale + 1)


# the arguments of every function: vectors, also in double precision (w), coefficients
CALLS = {
    "sumsq": "v",
    "extent": "v",
    "dot": "vv",
    "axpy": "cvv",
    "axpby": "cvcv",
    "subtract": "vw",
    "step": "cvvvc",
    "three_term": "vcvcvvc",
}


def arguments(name, batch, n, dtype, coefficients="float64"):
    """Random arguments of a vector function, and copies for the oracle."""
    made = []
    for i, kind in enumerate(CALLS[name]):
        wide = np.result_type(dtype, "float64")
        shape, kind_of = {
            "v": ((batch, n), dtype),
            "w": ((batch, n), wide),
            "c": (batch, coefficients),
        }[kind]
        made.append(random(shape, kind_of, i))
    return made


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


class TestVectors:
    @pytest.mark.parametrize(
        ("batch", "n"),
        [
            (1, 1),
            (3, 1),
            (1, 7),
            (2, LENGTH - 1),
            (1, LENGTH),
            (3, LENGTH + 1),
            (1, 5 * LENGTH + 123),
            (70, 3),
            (2, 0),
        ],
    )
    @pytest.mark.parametrize("name", CALLS)
    @every_dtype
    def test_equals_oracle(self, name, dtype, batch, n):
        given = arguments(name, batch, n, dtype)
        kept = [a.copy() for a in given]
        expected = as_tuple(getattr(oracles, f"vectors_{name}")(*kept))
        results = as_tuple(getattr(vectors_cpu, name)(*given))
        assert len(results) == len(expected)
        for got, want in zip(results, expected):
            sums = got.ndim == 1
            wide = {"f": "float64", "c": "complex128"}[np.dtype(dtype).kind]
            of_sums = wide if name == "dot" else "float64"
            of_vectors = wide if name == "subtract" else dtype
            assert got.dtype == (of_sums if sums else of_vectors)
            exact = name in ("sumsq", "extent")
            size = np.finfo(dtype).eps * n if sums and not exact else 0
            assert_close(got, want, dtype if size else got.dtype, np.sqrt(n) + 4)

    @pytest.mark.parametrize("name", ["axpy", "axpby", "step", "three_term"])
    @every_dtype
    def test_complex_coefficients_and_updates_in_place(self, name, dtype):
        kind = "complex128" if "complex" in dtype else "float64"
        given = arguments(name, 2, 100, dtype, kind)
        kept = [a.copy() for a in given]
        expected = as_tuple(getattr(oracles, f"vectors_{name}")(*kept))
        results = as_tuple(getattr(vectors_cpu, name)(*given))
        own = {id(a) for a in given}
        for got, want in zip(results, expected):
            if got.ndim == 2:
                assert id(got) in own, "updates must work in place"
            assert_close(got, want, dtype, 20 if got.ndim == 2 else 300)
        # what is not updated is left alone
        updated = {id(got) for got in results}
        for before, after in zip(kept, given):
            if id(after) not in updated:
                np.testing.assert_array_equal(after, before)

    def test_sums_are_in_double_precision(self):
        x = np.full((1, 4_000_000), 0.1, "float32")
        expected = 4e6 * float(np.float32(0.1)) ** 2
        assert vectors_cpu.sumsq(x)[0] == pytest.approx(expected, rel=1e-12)
        assert vectors_cpu.dot(x, x)[0] == pytest.approx(expected, rel=1e-12)
        _, sums = vectors_cpu.axpy(np.zeros(1), x, x.copy())
        assert sums[0] == pytest.approx(expected, rel=1e-12)

    def test_sums_do_not_overflow_in_single_precision(self):
        x = np.full((1, 10), 1e30, "float32")
        assert vectors_cpu.sumsq(x)[0] == pytest.approx(1e61, rel=1e-6)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    @every_dtype
    def test_non_finite_numbers_survive(self, dtype, bad):
        """Compiler flags must not make them vanish."""
        x = random((2, 50), dtype)
        x[1, 17] = bad
        sums = vectors_cpu.sumsq(x)
        assert np.isfinite(sums[0]) and not np.isfinite(sums[1])
        x[1, 30] = np.inf
        largest, _ = vectors_cpu.extent(x)
        assert np.isfinite(largest[0]) and not np.isfinite(largest[1])
        assert np.isnan(largest[1]) == np.isnan(bad)
        x[1, 30] = 0
        _, sums = vectors_cpu.axpy(np.ones(2), x, random((2, 50), dtype, 1))
        assert np.isfinite(sums[0]) and not np.isfinite(sums[1])

    @every_dtype
    def test_zero_coefficients_of_frozen_items(self, dtype):
        given = arguments("step", 2, 100, dtype)
        given[0][1] = 0
        x = given[2].copy()
        vectors_cpu.step(*given)
        np.testing.assert_array_equal(given[2][1], x[1])
        assert not np.array_equal(given[2][0], x[0])


def arnoldi(apply, basis, dtype):
    """Fill a basis that has its first vectors.

    Returns ``basis^H basis - I``, and of every step the count, w and what was found.
    """
    length, batch = basis.shape[0], basis.shape[1]
    gram = np.zeros((batch, length, length), np.result_type(dtype, "float64"))
    given = []
    for count in range(1, length):
        w = apply(basis[count - 1]).astype(dtype)
        kept = w.copy()
        found = vectors_cpu.project(basis, count, gram, w)
        assert found[0] is w, "w must be updated in place"
        given.append((count, kept, found))
        norm = np.sqrt(found[3])[:, None]
        basis[count] = np.where(norm > 0, w / np.where(norm > 0, norm, 1), 0)
    wide = np.moveaxis(basis, 1, 0).astype(gram.dtype)
    return wide.conj() @ np.swapaxes(wide, 1, 2) - np.eye(length), given


def first_vector(length, batch, n, dtype):
    basis = np.zeros((length, batch, n), dtype)
    basis[0] = random((batch, n), dtype)
    basis[0] /= np.linalg.norm(basis[0], axis=1)[:, None]
    return basis


class TestProject:
    CHUNK = cpu_project.CHUNK

    @pytest.mark.parametrize(
        ("length", "batch", "n"),
        [(2, 1, 1), (6, 3, 7), (10, 2, CHUNK // 2 + 1), (9, 1, CHUNK),
         (14, 2, 3 * CHUNK + 11), (8, 1, 600_000)],
    )  # fmt: skip
    @every_dtype
    def test_equals_oracle(self, dtype, length, batch, n):
        """Also where sweeps are shared out, as of the largest."""
        diagonal = np.linspace(0.5, 1, n)
        basis = first_vector(length, batch, n, dtype)
        loss, given = arnoldi(lambda v: diagonal * v, basis, dtype)
        eps, wide = np.finfo(dtype).eps, np.result_type(dtype, "float64")
        for count, w, (rest, h, before, after) in given[-2:]:
            expected = oracles.vectors_project(basis, count, None, w)
            assert (h.dtype, before.dtype, after.dtype) == (wide, "float64", "float64")
            assert rest.dtype == dtype and h.shape == (batch, count)
            assert_close(rest, expected[0], dtype, 20)
            assert_close(h, expected[1], dtype, 20)
            np.testing.assert_allclose(before, expected[2], rtol=1e-12)
            assert_close(after, expected[3], dtype, 20)
            np.testing.assert_allclose(after, oracles.vectors_sumsq(rest), rtol=1e-12)
        if n > 7:  # smaller spaces are exhausted: what is left is rounding
            assert np.max(np.abs(loss)) < 100 * eps

    @every_dtype
    def test_sharing_changes_no_bit(self, dtype, monkeypatch):
        diagonal = np.linspace([0.8, 0], 1, 5000, axis=1)  # two passes, one pass
        results = []
        for work in (1e12, 0):
            monkeypatch.setattr(cpu_project, "SHARED_WORK", work)
            basis = first_vector(12, 2, 5000, dtype)
            _, given = arnoldi(lambda v: diagonal * v, basis, dtype)
            shrunk = np.concatenate([found[3] / found[2] for *_, found in given])
            assert min(shrunk) < cpu_project.SHORTER < max(shrunk)
            results.append((basis, given[-1][2][1]))
        for one, other in zip(*results):
            np.testing.assert_array_equal(one, other)

    @every_dtype
    def test_orthogonal_to_rounding_where_the_operator_is_singular(self, dtype):
        """Passes without corrections lose several digits here."""
        diagonal = 10.0 ** -np.linspace(0, 20, 2000)
        basis = first_vector(61, 1, 2000, dtype)
        loss, _ = arnoldi(lambda v: diagonal * v, basis, dtype)
        assert np.max(np.abs(loss)) < 100 * np.finfo(dtype).eps

    @every_dtype
    def test_orthogonal_to_rounding_where_little_is_left(self, dtype):
        """One pass loses half of the digits here."""
        little = np.sqrt(np.finfo(dtype).eps)
        basis = first_vector(9, 2, 1500, dtype)
        loss, _ = arnoldi(
            lambda v: v + little * random(v.shape, dtype, 3) * np.abs(v), basis, dtype
        )
        assert np.max(np.abs(loss)) < 100 * np.finfo(dtype).eps

    @every_dtype
    def test_what_lies_in_the_span_leaves_rounding(self, dtype):
        basis = first_vector(3, 2, 1000, dtype)
        basis[0, 1] = 0  # an item that has ended
        loss, given = arnoldi(lambda v: v, basis, dtype)
        _, _, (_, h, before, after) = given[0]
        np.testing.assert_allclose(h[:, 0], [1, 0], atol=10 * np.finfo(dtype).eps)
        assert np.all(after <= (10 * np.finfo(dtype).eps) ** 2 * before)
        assert not basis[:, 1].any()

    @every_dtype
    def test_non_finite_numbers_stay_in_their_item(self, dtype):
        basis = first_vector(2, 2, 700, dtype)
        w = random((2, 700), dtype, 5)
        w[1, 600] = np.nan
        gram = np.zeros((2, 2, 2), np.result_type(dtype, "float64"))
        w, h, before, after = vectors_cpu.project(basis, 1, gram, w)
        for array in (w, h, before, after):
            assert np.isfinite(array[0]).all() and not np.isfinite(array[1]).any()


class TestRotations:
    @pytest.mark.parametrize("form", [_rotations._Compiled, _rotations._Arrays])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_least_squares(self, form, dtype):
        """An item that ends after two steps keeps the solution of these."""
        batch, steps = 3, 6
        problem = types.SimpleNamespace(
            xp=np, batch=batch, place={}, is_complex=dtype == "complex128"
        )
        small, norm = form(problem, steps, 1e-15), np.array([1.0, 2.0, 3.0])
        for seed in (0, 10):  # storage is used again
            columns = random((batch, steps, steps), dtype, seed)
            left = np.abs(random((batch, steps), "float64", seed + 1)) + 0.1
            small.start(norm)
            for j in range(steps):
                active = np.array([True, j < 2, True])
                h, after = columns[:, : j + 1, j].copy(), left[:, j] ** 2
                before = oracles.vectors_sumsq(h) + after
                factor, broken = small.append(h, before, after, active)
                np.testing.assert_allclose(factor, np.where(active, 1 / left[:, j], 0))
                assert not broken.any()
                for item in range(batch):
                    size = j + 1 if active[item] else 2
                    H = np.zeros((size + 1, size), dtype)
                    H[:-1] = np.triu(columns[item, :size, :size])
                    H[np.arange(1, size + 1), np.arange(size)] = left[item, :size]
                    right = norm[item] * np.eye(size + 1)[0]
                    y, rest = np.linalg.lstsq(H, right, rcond=None)[:2]
                    padded = np.pad(y, (0, j + 1 - size))
                    np.testing.assert_allclose(small.solve(j + 1)[item], padded)
                    if active[item]:
                        found = small.residual(j + 1)[item]
                        assert found == pytest.approx(float(rest[0]) ** 0.5)

    @pytest.mark.parametrize("form", [_rotations._Compiled, _rotations._Arrays])
    def test_breakdown(self, form):
        """Items without anything left, neither length nor a pivot, are broken."""
        problem = types.SimpleNamespace(xp=np, batch=3, place={}, is_complex=False)
        small = form(problem, 2, 1e-15)
        small.start(np.ones(3))
        h = np.array([[2.0], [1e-20], [2.0]])
        before, after = np.array([4.0, 1, 5]), np.array([1e-32, 1e-32, 1])
        factor, broken = small.append(h, before, after, np.ones(3, bool))
        np.testing.assert_array_equal(factor, [0, 0, 1])
        np.testing.assert_array_equal(broken, [False, True, False])
        np.testing.assert_allclose(small.solve(1)[:, 0], [0.5, 0, 0.4])


THREADS = """
import hashlib, numpy as np
import test_kernels as t
from convinv._core import threads

print(threads.thread_count())
digest = hashlib.sha256()
for name in t.CALLS:
    for result in t.as_tuple(getattr(t.vectors_cpu, name)(
            *t.arguments(name, 3, 20 * t.LENGTH + 77, "float32"))):
        digest.update(np.ascontiguousarray(result))
for result in t.correlate_results(65, 66, "float64"):
    digest.update(np.ascontiguousarray(result))
print(digest.hexdigest())
"""


def correlate_results(height, width, dtype):
    g = make_geometry(
        (8, 4, 3, 3),
        (4, height, width),
        stride=1,
        padding=1,
        dilation=1,
        groups=1,
        boundary="reflect",
    )
    plan = correlate_cpu.prepare(random((8, 4, 1, 3, 3), dtype), g)
    y, norms = correlate_cpu.forward(plan, random((3, 4, *g.input), dtype), True)
    x, others = correlate_cpu.adjoint(plan, y, True)
    return y, norms, x, others


class TestThreads:
    def test_same_bits_with_any_number(self):
        outputs = []
        for count in ("1", "2", "3"):
            path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
            done = subprocess.run(
                [sys.executable, "-c", THREADS],
                capture_output=True,
                text=True,
                env={**os.environ, "NUMBA_NUM_THREADS": count, "PYTHONPATH": path},
                timeout=100,
            )
            assert done.returncode == 0, done.stderr
            used, digest = done.stdout.split()
            assert used == count
            outputs.append(digest)
        assert len(set(outputs)) == 1

    def test_every_task_runs_once(self):
        for tasks in (0, 1, 2, 3, 7, 100):
            for work in (1.0, 1e7, 1e9, 1e11):
                seen = np.zeros(tasks, int)

                def kernel(first, last, step, seen=seen):
                    seen[first:last] += step

                threads.parallel_for(kernel, tasks, work, 1)
                assert np.all(seen == 1)

    def test_long_work_comes_back_to_python_often(self):
        pieces = []
        threads.parallel_for(
            lambda first, last: pieces.append(last - first), 1000, 1e10
        )
        assert sum(pieces) == 1000 and len(pieces) >= 100

    def test_errors_of_a_thread_come_out(self):
        def kernel(first, last):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            threads.parallel_for(kernel, 100, 1e9)
        done = []
        threads.parallel_for(lambda first, last: done.append(last - first), 100, 1e9)
        assert sum(done) == 100

    def test_numbas_thread_setting_is_heard(self):
        if numba.config.NUMBA_NUM_THREADS < 2:
            pytest.skip("one thread only")
        before = numba.get_num_threads()
        try:
            numba.set_num_threads(1)
            assert threads.thread_count() == 1
        finally:
            numba.set_num_threads(before)

    def test_no_full_fastmath(self):
        kernels = circulant_cpu, vectors_cpu, correlate_cpu, windows_cpu
        for module in (*kernels, circulant_cpu.tiles):
            for thing in vars(module).values():
                flags = getattr(thing, "targetoptions", {}).get("fastmath", False)
                assert flags in (False, True) or set(flags) <= {"reassoc", "contract"}
                assert flags is not True


LAYERS = {
    "2-D": ((5, 2, 3, 3), (2, 7, 37), {"padding": 1}),
    "1-D": ((3, 2, 4), (2, 150), {"padding": ((2, 5),), "boundary": "periodic"}),
    "3-D": ((2, 1, 2, 2, 3), (1, 4, 5, 6), {"stride": (1, 2, 3), "padding": 2}),
    "groups": ((6, 2, 3, 2), (4, 8, 9), {"groups": 2, "dilation": 2}),
    "one sample": ((9, 3, 1), (3, 1), {}),
}
DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "boundary": "zero"}


class TestCorrelate:
    @staticmethod
    def products(layer, dtype, batch=2):
        """(function, plan, argument, the oracle's product) of both directions."""
        shape, input_shape, options = LAYERS[layer]
        g = make_geometry(shape, input_shape, **{**DEFAULTS, **options})
        kernel = random((*shape[:2], *g.kernel), dtype)
        x = random((batch, g.c_in, *g.input), dtype, 1)
        y = random((batch, g.c_out, *g.output), dtype, 2)
        spelt = {
            "stride": g.stride,
            "padding": list(zip(g.before, g.after)),
            "dilation": g.dilation,
            "groups": g.groups,
            "boundary": g.boundary,
        }
        plan = correlate_cpu.prepare(kernel, g)
        size = (g.c_in, *g.input)
        return (
            (
                correlate_cpu.forward,
                plan,
                x,
                oracles.correlate_forward(kernel, x, **spelt),
            ),
            (
                correlate_cpu.adjoint,
                plan,
                y,
                oracles.correlate_adjoint(kernel, y, size, **spelt),
            ),
        )

    @pytest.mark.parametrize("layer", LAYERS)
    @every_dtype
    def test_equals_oracle(self, layer, dtype):
        for product, plan, array, expected in self.products(layer, dtype):
            before = array.copy()
            got, none = product(plan, array)
            assert none is None and got.dtype == dtype
            assert_close(got, expected, dtype, 50)
            np.testing.assert_array_equal(array, before)

    @pytest.mark.parametrize("layer", LAYERS)
    @every_dtype
    def test_norms(self, layer, dtype):
        for product, plan, array, expected in self.products(layer, dtype):
            plain, _ = product(plan, array)
            got, sums = product(plan, array, sumsq=True)
            np.testing.assert_array_equal(got, plain)
            assert sums.shape == (2,) and sums.dtype == "float64"
            own = oracles.vectors_sumsq(got.reshape(2, -1))
            np.testing.assert_allclose(sums, own, rtol=1e-12)

    @pytest.mark.parametrize("layer", LAYERS)
    @every_dtype
    def test_out_is_overwritten(self, layer, dtype):
        """Whatever it held before, and nothing beside it."""
        for product, plan, array, _ in self.products(layer, dtype):
            expected, _ = product(plan, array)
            around = np.full(expected.size + 200, np.nan, dtype)
            out = around[100:-100].reshape(expected.shape)
            got, _ = product(plan, array, out=out)
            assert got is out or np.shares_memory(got, out)
            np.testing.assert_array_equal(got, expected)
            assert np.all(np.isnan(around[:100])) and np.all(np.isnan(around[-100:]))

    @pytest.mark.parametrize("layer", LAYERS)
    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    def test_zero_taps_are_skipped(self, layer, dtype):
        shape, input_shape, options = LAYERS[layer]
        g = make_geometry(shape, input_shape, **{**DEFAULTS, **options})
        kernel = random((*shape[:2], *g.kernel), dtype)
        left = np.random.default_rng(3).random(g.kernel) < 0.3
        kernel[..., ~left] = 0
        kernel[0, 0][left] = 0  # zero in one channel only
        spelt = {
            "stride": g.stride,
            "padding": list(zip(g.before, g.after)),
            "dilation": g.dilation,
            "groups": g.groups,
            "boundary": g.boundary,
        }
        x = random((2, g.c_in, *g.input), dtype, 1)
        y = random((2, g.c_out, *g.output), dtype, 2)
        plan = correlate_cpu.prepare(kernel, g)
        got, _ = correlate_cpu.forward(plan, x)
        want = oracles.correlate_forward(kernel, x, **spelt)
        assert_close(got, want, dtype, 50)
        got, _ = correlate_cpu.adjoint(plan, y)
        want = oracles.correlate_adjoint(kernel, y, (g.c_in, *g.input), **spelt)
        assert_close(got, want, dtype, 50)
        full = correlate_cpu.prepare(random(kernel.shape, dtype, 4), g)
        if not left.all():
            assert len(plan.adjoint_taps.offsets) < len(full.adjoint_taps.offsets)

    @pytest.mark.parametrize("layer", LAYERS)
    def test_batches_are_independent(self, layer):
        for product, plan, array, _ in self.products(layer, "float32", batch=3):
            together, _ = product(plan, array)
            for i in range(3):
                alone, _ = product(plan, array[i : i + 1])
                np.testing.assert_array_equal(alone[0], together[i])
            array[1] = np.nan
            again, _ = product(plan, array)
            np.testing.assert_array_equal(again[[0, 2]], together[[0, 2]])
            assert np.all(np.isnan(again[1]) | (together[1] == 0))

    def test_empty_batch(self):
        for product, plan, array, _ in self.products("2-D", "float64"):
            got, sums = product(plan, array[:0], sumsq=True)
            assert got.shape[0] == 0 and sums.shape == (0,)


class TestWindows:
    @staticmethod
    def tables(sizes, windows, seed):
        """Tables of random windows; -1 here and there, and a sample never twice."""
        rng = np.random.default_rng(seed)
        tables = []
        for size, (count, length) in zip(sizes, windows):
            rows = [rng.permutation(size)[:length] for _ in range(count)]
            table = np.array(rows, np.int64).reshape(count, -1)
            table[rng.random(table.shape) < 0.2] = -1
            if seed % 2:  # runs of neighbours take another path
                start = rng.integers(0, size - table.shape[1] + 1, count)
                table = start[:, None] + np.arange(table.shape[1])
            tables.append(np.ascontiguousarray(table, np.int64))
        return tuple(tables)

    @staticmethod
    def covers(tables, sizes):
        from convinv.strips._plan import cover

        return tuple(cover(table, n) for table, n in zip(tables, sizes))

    @pytest.mark.parametrize("seed", range(6))
    @every_dtype
    def test_equals_oracle(self, dtype, seed):
        sizes = (1 + seed % 3, 5, 9)
        tables = self.tables(sizes, ((1, 1), (2, 3), (3, 4)), seed)
        shape = (2, 3, *sizes)
        grid = random(shape, dtype)
        which = np.array([5, 0, 2, 5])
        got = windows_cpu.gather(grid, tables, which)
        np.testing.assert_array_equal(got, oracles.windows_gather(grid, tables, which))
        values = random((6, *got.shape[1:]), dtype, 1)
        for mode in ("overwrite", "average"):
            got = windows_cpu.combine(
                values, tables, self.covers(tables, sizes), shape, mode
            )
            expected = oracles.windows_combine(values, tables, shape, mode)
            assert got.dtype == dtype
            assert_close(got, expected, dtype, 4)
        expected = oracles.windows_scatter(values[4], tables, 4, grid)
        assert windows_cpu.scatter(values[4], tables, 4, grid) is None
        np.testing.assert_array_equal(grid, expected)

    def test_refused(self):
        grid = np.zeros((1, 1, 2, 2, 2))
        tables = tuple(np.zeros((2, 1), np.int64) for _ in range(3))
        for window in (-1, 8):
            with pytest.raises(ValueError, match="no window"):
                windows_cpu.scatter(np.zeros((1, 1)), tables, window, grid)
        with pytest.raises(ValueError, match="mode must be"):
            windows_cpu.combine(np.zeros((8, 1, 1)), tables, (), grid.shape, "mean")


TORI = {
    "1-D": (1, 1, 600),
    "1-D odd": (1, 1, 9),
    "2-D": (1, 12, 40),
    "2-D odd": (1, 6, 7),
    "odd rows": (1, 7, 6),
    "3-D": (4, 3, 8),
    "two samples": (1, 1, 2),
    "one sample": (1, 1, 1),
    "last axis of one": (5, 2, 1),
}


def random_blocks(groups, p, q, torus, dtype):
    """Blocks at all frequencies; for real data they need not be those of a real map."""
    last = torus[2] if np.dtype(dtype).kind == "c" else torus[2] // 2 + 1
    return random((groups, p, q, *torus[:2], last), "complex128", 9)


class TestCirculant:
    @staticmethod
    def check(torus, dtype, shape, size=None, grid=None):
        batch, groups, p, q = shape
        blocks = random_blocks(groups, p, q, torus, dtype)
        plan = circulant_cpu.prepare(blocks, torus, dtype)
        v = random((batch, groups, q, *(size or torus)), dtype)
        before = v.copy()
        got = circulant_cpu.apply(plan, v, grid)
        expected = oracles.circulant_apply(blocks, torus, v, grid or v.shape[3:])
        assert got.dtype == dtype and got.flags.c_contiguous and got.flags.writeable
        assert not np.may_share_memory(got, v)
        assert_close(got, expected, dtype, 50)
        np.testing.assert_array_equal(v, before)

    @pytest.mark.parametrize("torus", TORI)
    @pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 2, 3, 3), (2, 1, 2, 3)])
    @every_dtype
    def test_equals_oracle(self, dtype, torus, shape):
        self.check(TORI[torus], dtype, shape)

    @pytest.mark.parametrize("torus", TORI)
    @every_dtype
    def test_extends_and_crops(self, dtype, torus):
        torus = TORI[torus]
        size = tuple(max(n - 2, 1) for n in torus)
        grid = tuple(max(n - 1, 1) for n in torus)
        for p in (2, 1):
            self.check(torus, dtype, (2, 1, p, 2), size)
            self.check(torus, dtype, (2, 1, p, 2), size, grid)
            self.check(torus, dtype, (2, 1, p, 2), torus, size)
            self.check(torus, dtype, (2, 1, p, 2), size, torus)

    @pytest.mark.parametrize("q", [1, 2, 3, 4, 5, 6, 7, 8, 13])
    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    def test_thick_blocks(self, dtype, q):
        self.check((1, 6, 8), dtype, (2, 1, 5, q))

    @pytest.mark.parametrize("size", [(1, 6, 8), (1, 4, 7)])
    @pytest.mark.parametrize("piece", [2**8, 2**12, 2**20])
    @pytest.mark.parametrize("whole", [2**8, 2**12])
    @every_dtype
    def test_pieces(self, monkeypatch, dtype, piece, whole, size):
        """However the items and the threads are shared out."""
        monkeypatch.setattr(circulant_cpu, "PIECE", piece)
        monkeypatch.setattr(circulant_cpu, "WHOLE", whole)
        monkeypatch.setattr(circulant_cpu, "SMALL", whole)
        monkeypatch.setattr(threads, "SERIAL_WORK", 1)
        for torus in ((1, 6, 8), (1, 6, 9)):
            self.check(torus, dtype, (13, 1, 2, 2), size)
            self.check(torus, dtype, (13, 1, 2, 3), size)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_rows_moved_apart(self, monkeypatch, dtype):
        """As is done with long columns of rows that meet in the caches."""
        monkeypatch.setattr(circulant_cpu, "PAGE", 32)
        monkeypatch.setattr(circulant_cpu, "MANY", 4)
        for torus in ((1, 6, 8), (3, 5, 16)):
            for shape in ((2, 1, 2, 2), (2, 2, 1, 3)):
                self.check(torus, dtype, shape)
                self.check(torus, dtype, shape, grid=(1, 5, 7))
        blocks = random_blocks(1, 1, 1, torus, dtype)
        assert circulant_cpu.prepare(blocks, torus, dtype).padding > 0

    @pytest.mark.parametrize("torus", ["2-D", "3-D", "2-D odd", "1-D"])
    @every_dtype
    def test_tiles(self, monkeypatch, dtype, torus):
        monkeypatch.setattr(threads, "SERIAL_WORK", 1)
        torus = TORI[torus]
        halo = tuple((n - 1) // 3 for n in torus)
        core = tuple(n - 2 * h for n, h in zip(torus, halo))
        for p, q in ((2, 2), (1, 3)):
            blocks = random_blocks(2, p, q, torus, dtype)
            plan = circulant_cpu.prepare(blocks, torus, dtype)
            for size in (tuple(2 * n + 1 for n in torus), torus, (1, 1, 1)):
                v = random((3, 2, q, *size), dtype)
                want = oracles.circulant_apply_tiles(blocks, torus, v, core, halo)
                for piece in (2**8, 2**20):  # the oracle takes the time
                    monkeypatch.setattr(circulant_cpu, "PIECE", piece)
                    got = circulant_cpu.apply_tiles(plan, v, core, halo)
                    assert got.dtype == dtype and got.flags.c_contiguous
                    assert_close(got, want, dtype, 50)

    @pytest.mark.parametrize("torus", ["2-D", "3-D", "2-D odd", "1-D"])
    @every_dtype
    def test_parts(self, monkeypatch, dtype, torus):
        """Phases, rows, strided arrays; what nobody writes stays as it is."""
        torus = TORI[torus]
        blocks = random_blocks(2, 4, 6, torus, dtype)
        plan = circulant_cpu.prepare(blocks, torus, dtype)
        v, out, parts = circulant_parts(torus, dtype)
        want = oracles.circulant_apply_parts(blocks, torus, v, out, parts)
        for piece, work in ((2**8, 1), (2**20, 1e9)):
            monkeypatch.setattr(circulant_cpu, "PIECE", piece)
            monkeypatch.setattr(threads, "SERIAL_WORK", work)
            wide = np.full((*out.shape[:-1], 2 * out.shape[-1]), 7, dtype)
            got = wide[..., ::2]
            got[...] = out
            given = np.asfortranarray(v)
            assert circulant_cpu.apply_parts(plan, given, got, parts) is None
            assert_close(got, want, dtype, 50)
            assert np.all(wide[..., 1::2] == 7)

    def test_refused_tiles(self):
        torus = (1, 6, 8)
        blocks = random_blocks(1, 2, 3, torus, "float32")
        plan = circulant_cpu.prepare(blocks, torus, "float32")
        v = np.zeros((2, 1, 3, 1, 20, 20), "float32")
        tiles = circulant_cpu.apply_tiles
        assert tiles(plan, v[:0], (1, 4, 4), (0, 1, 2)).shape == (0, 1, 2, 1, 20, 20)
        with pytest.raises(ValueError, match="v must have shape"):
            tiles(plan, v, (1, 5, 4), (0, 1, 2))
        with pytest.raises(ValueError, match="v must have shape"):
            tiles(plan, v[0], (1, 4, 4), (0, 1, 2))
        for core, halo in (
            ((1, 4), (0, 1, 2)),
            ((1, 0, 4), (0, 1, 2)),
            ((1, 4, 4), (0, 1, -1)),
        ):
            with pytest.raises(ValueError, match="core and halo must be three ints"):
                tiles(plan, v, core, halo)

    def test_items_are_independent(self):
        torus = (1, 6, 8)
        blocks = random_blocks(1, 2, 2, torus, "float32")
        plan = circulant_cpu.prepare(blocks, torus, "float32")
        v = random((5, 1, 2, *torus), "float32")
        before = circulant_cpu.apply(plan, v)
        v[2] = np.nan
        after = circulant_cpu.apply(plan, v)
        others = [0, 1, 3, 4]
        assert_close(after[others], before[others], "float32", 10)
        assert np.all(np.isnan(after[2]))

    @every_dtype
    def test_plan(self, dtype):
        torus = (1, 6, 8)
        blocks = random_blocks(3, 2, 4, torus, dtype)
        before = blocks.copy()
        plan = circulant_cpu.prepare(blocks, list(torus), dtype)
        np.testing.assert_array_equal(blocks, before)
        assert plan.torus == torus and plan.dtype == dtype and plan.groups == 3
        assert plan.shape == (2, 4)
        assert plan.nbytes >= blocks.size * 2 * np.finfo(dtype).bits // 8
        got = circulant_cpu.apply(plan, np.zeros((0, 3, 4, *torus), dtype))
        assert got.shape == (0, 3, 2, *torus)

    def test_refused(self):
        torus = (1, 6, 8)
        blocks = random_blocks(1, 2, 3, torus, "float32")
        prepare, apply = circulant_cpu.prepare, circulant_cpu.apply
        with pytest.raises(TypeError, match="dtype must be float32"):
            prepare(blocks, torus, "int64")
        with pytest.raises(TypeError, match="blocks must be a NumPy array"):
            prepare(blocks.tolist(), torus, "float32")
        with pytest.raises(TypeError, match="blocks must have dtype complex128"):
            prepare(blocks.real, torus, "float32")
        with pytest.raises(ValueError, match="torus must be three"):
            prepare(blocks, torus[1:], "float32")
        with pytest.raises(ValueError, match="blocks must have shape"):
            prepare(blocks, torus, "complex64")
        plan = prepare(blocks, torus, "float32")
        v = np.zeros((2, 1, 3, *torus), "float32")
        with pytest.raises(TypeError, match="v must have dtype float32"):
            apply(plan, v.astype(float))
        for wrong in (v[:, :, :2], v[0], np.zeros((2, 1, 3, 1, 7, 8), "float32")):
            with pytest.raises(ValueError, match="v must have shape"):
                apply(plan, wrong)
        for wrong in ((1, 6), (1, 6, 9), (1, 0, 8)):
            with pytest.raises(ValueError, match="grid must be three ints"):
                apply(plan, v, wrong)


def test_load():
    assert load("vectors", np) is vectors_cpu
    assert load("correlate", np) is correlate_cpu
