"""What sweeps over blocks of rows do, against dense projectors."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings, strategies as st
from scipy.sparse.linalg import LinearOperator

from convinv import ConvergenceWarning, ConvLinearOperator
from convinv.strips import arrangement, arrangement_table, sweep_analysis
from support import oracles
from support.arrays import random
from support.layers import matrix
from support.strip_layers import KINDS, block_kaczmarz, layer


def projector(block):
    return oracles.pinv(block) @ block


def sweep_matrix(A, blocks):
    K = np.eye(A.shape[1])
    for rows in blocks:
        K = (np.eye(A.shape[1]) - projector(A[rows])) @ K
    return K


def distance_matrix(A, blocks):
    return np.eye(A.shape[1]) - sum(projector(A[rows]) for rows in blocks)


def row_space_radius(A, K):
    """The spectral radius of K within the row space of A."""
    _, s, vh = np.linalg.svd(A)
    basis = vh[: np.count_nonzero(s > 1e-10 * s[0])]
    return np.abs(np.linalg.eigvals(basis @ K @ basis.conj().T)).max(initial=0)


def random_system(seed):
    """A small matrix of any rank and blocks that hold all of its rows."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(2, 10, 2)
    rank = rng.integers(1, min(m, n) + 1)
    A = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    blocks = np.array_split(rng.permutation(m), rng.integers(1, min(m, 4) + 1))
    return A, blocks, rng


class TestExact:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ["valid tall", "valid wide", "deficient"])
    @pytest.mark.parametrize("dtype", [float, complex])
    def test_equal_dense_projectors(self, name, kind, dtype):
        op, h_b = layer(name, dtype)
        A = matrix(op)
        found = sweep_analysis(op, kind, h_b=h_b, rng=5)
        blocks = arrangement(op, kind, h_b=h_b, rng=5)
        K = sweep_matrix(A, blocks)
        np.testing.assert_allclose(found.sweep_matrix, K, atol=1e-10)
        assert found.idempotency.value == pytest.approx(
            np.linalg.norm(K - K @ K), abs=1e-9
        )
        D = np.linalg.norm(K - distance_matrix(A, blocks)) ** 2
        assert found.distance.value == pytest.approx(D, rel=1e-9, abs=1e-9)
        rank = np.linalg.matrix_rank(A)
        assert found.rank == rank
        radius = found.spectral_radius.value
        assert radius == pytest.approx(row_space_radius(A, K), abs=1e-6)
        ranks = tuple(int(np.linalg.matrix_rank(A[rows])) for rows in blocks)
        assert (found.ranks, found.strips, found.shape) == (ranks, len(blocks), A.shape)
        assert found.arrangement == kind and found.exact
        errors = found.idempotency.error, found.distance.error
        assert errors == (0, 0) and found.spectral_radius.error == 0

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_theory(self, seed):
        A, blocks, rng = random_system(seed)
        form = (np.asarray, sparse.csr_array)[seed % 2]
        found = sweep_analysis(form(A), blocks)
        K = sweep_matrix(A, blocks)
        np.testing.assert_allclose(found.sweep_matrix, K, atol=1e-7)
        assert np.linalg.norm(found.sweep_matrix, 2) <= 1 + 1e-9
        assert found.spectral_radius.value <= 1  # products of projectors don't diverge
        if found.I_d is not None:
            assert found.I_d <= 1 + 1e-9  # hence the paper's condition can't be met
        b = rng.standard_normal(len(A))
        limit = found.fixed_point(b)
        close = {"atol": 1e-6 * (1 + np.abs(limit).max())}
        if found.spectral_radius.value < 1 - 1e-4:
            np.testing.assert_allclose(
                block_kaczmarz(A, b, blocks, limit), limit, **close
            )
            own = np.linalg.pinv(A, rcond=1e-8) @ (A @ limit)
            np.testing.assert_allclose(own, limit, **close)  # it is in the row space
            x = rng.standard_normal(A.shape[1])
            close = {"atol": 1e-6 * (1 + np.abs(x).max())}
            x_ls = np.linalg.pinv(A, rcond=1e-8) @ (A @ x)
            np.testing.assert_allclose(found.fixed_point(A @ x), x_ls, **close)

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=40, deadline=None)
    def test_two_blocks(self, seed):
        """The indicators and D of the paper, from principal angles."""
        rng = np.random.default_rng(seed)
        n = rng.integers(2, 9)
        A = rng.standard_normal((rng.integers(2, n + 1), n))
        cut = rng.integers(1, len(A))
        found = sweep_analysis(A, [np.arange(cut), np.arange(cut, len(A))])
        one, two = (
            np.linalg.svd(part, full_matrices=False)[2] for part in (A[:cut], A[cut:])
        )
        cosines = np.linalg.svd(two @ one.T, compute_uv=False)
        gram = two @ one.T @ one @ two.T
        off = np.abs(gram - np.diag(np.diag(gram))).sum(axis=1)
        assert found.I_c == pytest.approx(np.max(np.diag(gram) + off), abs=1e-9)
        assert found.I_d == pytest.approx(np.min(np.diag(gram) - off), abs=1e-9)
        values = np.linalg.eigvalsh(gram)
        assert found.I_d <= values[0] + 1e-9 and values[-1] <= found.I_c + 1e-9
        assert found.distance.value == pytest.approx(np.sum(cosines**2), abs=1e-9)
        radius = found.spectral_radius.value
        assert radius == pytest.approx(cosines.max() ** 2, abs=1e-6)
        if found.I_c < 1 or found.distance.value < 1:
            assert radius < 1

    def test_orthogonal_blocks(self):
        """One sweep is all, and D is 0."""
        Q = np.linalg.qr(random((6, 6), float))[0]
        found = sweep_analysis(Q[:5], [[0, 1], [2], [3, 4]])
        assert found.idempotency.value < 1e-14 and found.distance.value < 1e-14
        assert found.spectral_radius.value < 1e-14 and found.rank == 5
        assert found.I_c < 1e-14 and abs(found.I_d) < 1e-14

    def test_indicators_of_more_blocks_are_those_of_the_worst_pair(self):
        A = random((9, 7), float)
        blocks = [[0, 1], [2, 3, 4], [5, 6, 7, 8]]
        found = sweep_analysis(A, blocks)
        numbers = ((0, 1), (0, 2), (1, 2))
        pairs = [sweep_analysis(A, [blocks[i], blocks[j]]) for i, j in numbers]
        assert found.I_c == pytest.approx(max(pair.I_c for pair in pairs))
        assert found.I_d == pytest.approx(max(pair.I_d for pair in pairs))
        one = sweep_analysis(A, [np.arange(9)])
        assert one.I_c is None and one.I_d is None

    def test_strips_of_the_paper(self):
        """28 x 28, 8 filters: a sweep is exact though strips are not orthogonal."""
        kernel = np.random.default_rng(0).standard_normal((8, 1, 3, 3))
        op = ConvLinearOperator(kernel, (1, 28, 28))
        found = sweep_analysis(op)
        assert (found.strips, set(found.ranks), found.rank) == (13, {112}, 784)
        assert found.idempotency.value < 1e-12 and found.spectral_radius.value < 1e-12
        assert found.distance.value == pytest.approx(12 * 2 * 28)

    def test_empty_and_zero(self):
        found = sweep_analysis(np.zeros((3, 2)), [[0], [1, 2]])
        assert found.rank == 0 and found.spectral_radius.value == 0
        np.testing.assert_array_equal(found.sweep_matrix, np.eye(2))
        np.testing.assert_array_equal(found.fixed_point(np.ones(3)), np.zeros(2))


class TestEstimates:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", [float, complex])
    def test_within_their_errors(self, kind, dtype):
        op, h_b = layer("valid wide", dtype)
        options = {"h_b": h_b, "rng": 3}
        exact = sweep_analysis(op, kind, **options)
        guess = sweep_analysis(op, kind, exact=False, samples=400, **options)
        for name in ("idempotency", "distance"):
            one, other = getattr(exact, name), getattr(guess, name)
            assert 0 < other.error < 0.1 * other.value
            assert abs(one.value - other.value) < 4 * other.error
        assert guess.ranks == exact.ranks and not guess.exact
        close = pytest.approx(exact.spectral_radius.value, rel=0.02)
        assert guess.spectral_radius.value == close
        assert math.isnan(guess.spectral_radius.error)
        assert guess.rank is guess.I_c is guess.sweep_matrix is None

    def test_standard_errors(self):
        """They are what the estimates of many seeds scatter by."""
        op, h_b = layer("valid wide")
        found = [
            sweep_analysis(op, h_b=h_b, exact=False, samples=20, rng=seed)
            for seed in range(60)
        ]
        for name in ("idempotency", "distance"):
            values = [getattr(one, name).value for one in found]
            errors = [getattr(one, name).error for one in found]
            assert 0.7 < np.std(values) / np.mean(errors) < 1.4

    def test_null_space_does_not_count(self):
        """Whether sweeps end at once or take long, and A has a null space."""
        op, h_b = layer("deficient")
        A = matrix(op)
        assert np.linalg.matrix_rank(A) < A.shape[1]
        exact = sweep_analysis(op, h_b=h_b)
        guess = sweep_analysis(op, h_b=h_b, exact=False, rng=0)
        radius = exact.spectral_radius.value
        assert 0 < radius < 1
        assert guess.spectral_radius.value == pytest.approx(radius, rel=0.1)
        tall, h_b = layer("valid tall")
        guess = sweep_analysis(tall, h_b=h_b, exact=False, rng=0)
        assert guess.spectral_radius.value < 1e-10 and guess.idempotency.value < 1e-10

    def test_default_by_size(self):
        op = ConvLinearOperator(random((2, 1, 1), float), (1, 3002))
        found = sweep_analysis(op, h_b=79, rng=0)
        assert not found.exact and found.strips == 38
        assert found.distance.value < 1e-20


class TestFixedPoint:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("exact", [True, False])
    def test_limit_of_sweeps(self, kind, exact):
        op, h_b = layer("deficient", complex)
        A, b = matrix(op), random((2, *op.output_shape), complex, 1)
        blocks = arrangement(op, kind, h_b=h_b, rng=5)
        found = sweep_analysis(op, kind, h_b=h_b, rng=5, exact=exact)
        limit = found.fixed_point(b)
        assert limit.shape == (2, *op.input_shape)
        inverse = oracles.pinv(A)
        for got, item in zip(limit, b):
            # on the span of the rows, which sweeps stay in: rounding elsewhere stays
            K = sweep_matrix(A, blocks) @ inverse @ A
            x = block_kaczmarz(A, item.ravel(), blocks, np.zeros(A.shape[1]))
            for _ in range(30):  # twice as many sweeps each time
                x, K = x + K @ x, K @ K
            np.testing.assert_allclose(got.ravel(), x, atol=1e-6)
            best = inverse @ item.ravel()
            assert np.linalg.norm(x - best) > 1e-2 * np.linalg.norm(best)

    def test_shapes(self):
        op, h_b = layer("valid tall")
        found = sweep_analysis(op, h_b=h_b)
        b = random(op.output_shape, float)
        shaped = found.fixed_point(b)
        flat = found.fixed_point(b.ravel())
        assert shaped.shape == op.input_shape and flat.shape == (op.shape[1],)
        np.testing.assert_array_equal(shaped.ravel(), flat)
        several = found.fixed_point(np.stack([b.ravel()] * 3))
        assert several.shape == (3, op.shape[1])
        with pytest.raises(ValueError, match=r"b must have shape \(..., 6, 8, 6\)"):
            found.fixed_point(b[:, :-1])
        with pytest.raises(ValueError, match="b must have shape"):
            found.fixed_point(1.0)

    def test_gmres_that_does_not_arrive(self):
        A = np.array([[1.0, 0], [1, 1e-9]])
        found = sweep_analysis(A, [[0], [1]], exact=False)
        with pytest.warns(ConvergenceWarning, match="did not reach the fixed point"):
            found.fixed_point(np.array([1.0, 2.0]))


class TestReports:
    def test_table(self):
        op, h_b = layer("valid tall")
        table = arrangement_table(op, h_b=h_b, rng=5)
        assert tuple(table.analyzes) == KINDS
        alone = sweep_analysis(op, "randomized", h_b=h_b, rng=5)
        assert table["randomized"].distance == alone.distance
        lines = repr(table).splitlines()
        assert len(lines) == 5 and all(k in line for k, line in zip(KINDS, lines[1:]))
        assert f"{alone.distance.value:.3g}" in lines[4]
        few = arrangement_table(matrix(op), KINDS[1:3], strips=2, exact=False, rng=0)
        assert tuple(few.analyzes) == KINDS[1:3] and "+-" in repr(few)

    def test_prints(self):
        op, h_b = layer("valid tall")
        words = repr(sweep_analysis(op, h_b=h_b))
        assert words.startswith("Sweep over 2 blocks (strip) of 288 x 160 (exact)")
        assert "row space of dimension 160" in words and "I_c, I_d" in words
        assert "all pairs" not in words
        words = repr(sweep_analysis(op, h_b=12))
        assert "the largest of all pairs" in words
        words = repr(sweep_analysis(op, h_b=h_b, exact=False, rng=0))
        assert "(estimates)" in words and "+-" in words and "about" in words
        assert "as given" in repr(sweep_analysis(np.eye(3), [[0], [1, 2]]))

    def test_it_is_frozen(self):
        found = sweep_analysis(np.eye(3), [[0], [1, 2]])
        with pytest.raises(dataclasses.FrozenInstanceError):
            found.exact = False
        assert float(found.distance) == found.distance.value

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({"blocks": "rows"}, ValueError, "blocks must be one of"),
            ({"blocks": [[0, 0]]}, ValueError, "block 0 names a row twice"),
            ({"blocks": [[0]], "strips": 1}, ValueError, "strips is for"),
            ({"samples": 1}, ValueError, "samples must be at least 2"),
            ({"samples": 2.5}, TypeError, "samples must be an integer"),
            ({"h_b": 5}, ValueError, "h_b must be one of"),
            ({"memory": 10}, ValueError, "more than the memory"),
            ({"op": np.eye(4)}, TypeError, "only a ConvLinearOperator"),
            ({"op": None}, TypeError, "op must be"),
        ],
    )
    def test_errors(self, arguments, error, words):
        op, _ = layer("valid tall")
        with pytest.raises(error, match=words):
            sweep_analysis(**{"op": op, **arguments})

    def test_operators_without_rows(self):
        op = LinearOperator((4, 4), lambda v: v, lambda v: v, dtype=float)
        with pytest.raises(TypeError, match="op must be a ConvLinearOperator or a sp"):
            sweep_analysis(op, "standard")
