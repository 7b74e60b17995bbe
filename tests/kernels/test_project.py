"""Gram-Schmidt on the CPU: orthogonal to rounding."""

import numpy as np
import pytest

from convinv.kernels.vectors import cpu as vectors_cpu, cpu_project
from support import oracles
from support.arrays import every_dtype, random
from support.vector_calls import assert_close


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


class TestCombine:
    @every_dtype
    @pytest.mark.parametrize("count", [1, 4])
    def test_equals_oracle(self, dtype, count):
        basis = random((5, 3, 1000), dtype)
        y = random((3, count), np.result_type(dtype, "float64"), 1)
        got = vectors_cpu.combine(basis, y)
        assert got.dtype == dtype
        assert_close(got, oracles.vectors_combine(basis, y), dtype, count)


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
