"""The vector functions on the CPU against slow oracles."""

import numpy as np
import pytest

from convinv.kernels.vectors import cpu as vectors_cpu
from support import oracles
from support.arrays import every_dtype, random
from support.vector_calls import CALLS, arguments, as_tuple, assert_close

LENGTH = vectors_cpu.LENGTH


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

    @pytest.mark.parametrize("name", ["axpy", "axpby", "step", "three_term", "scale"])
    @every_dtype
    def test_updates_in_place(self, name, dtype):
        given = arguments(name, 2, 100, dtype)
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
