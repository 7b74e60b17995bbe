"""Arrangements of rows in blocks, and the blocks' matrices and steps."""

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings, strategies as st

from convinv import ConvLinearOperator, gallery
from convinv._linalg import sparse_pseudoinverse
from convinv.operators._foreign import as_operator
from convinv.strips import arrangement, plot_arrangement, strip_plan
from convinv.strips._arrangement import row_lists
from convinv.strips._row_blocks import RowBlocks, RowReader
from support import oracles
from support.arrays import random
from support.layers import matrix
from support.strip_layers import KINDS, LAYERS, layer, strip_rows


class TestArrangement:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", LAYERS)
    def test_partitions(self, name, kind):
        op, h_b = layer(name)
        h_b = strip_plan(op, h_b).h_b
        blocks = arrangement(op, kind, h_b=h_b, rng=0)
        strips = op.shape[0] // op.output_shape[0] // h_b
        assert len(blocks) == strips
        np.testing.assert_array_equal(
            np.sort(np.concatenate(blocks)), np.arange(op.shape[0])
        )
        again = arrangement(op, kind, strips=strips, rng=0)
        for one, other in zip(blocks, again):
            np.testing.assert_array_equal(one, other)

    def test_formulas(self):
        """m = 40 rows, 4 channels of r = 10 outputs, blocks of h_b = 5."""
        op = ConvLinearOperator(np.ones((4, 1, 3)), (1, 12))
        want = {
            "strip": lambda i: i % 10 // 5,
            "interleaved": lambda i: i % 2,
            "standard": lambda i: i // 20,
        }
        for kind, owner in want.items():
            for block, rows in enumerate(arrangement(op, kind, h_b=5)):
                expected = [i for i in range(40) if owner(i) == block]
                assert rows.tolist() == expected, kind
        one, two = arrangement(op, "randomized", h_b=5, rng=1)
        assert len(one) == len(two) == 20 and sorted(one) != list(one)
        other = arrangement(op, "randomized", h_b=5, rng=2)[0]
        assert one.tolist() != other.tolist()

    def test_strips_hold_every_group(self):
        op, h_b = layer("groups")
        parts = strip_rows(op, h_b)
        for block, rows in enumerate(arrangement(op, "strip", h_b=h_b)):
            want = np.concatenate(parts[2 * block : 2 * block + 2])
            np.testing.assert_array_equal(rows, want)

    def test_defaults(self):
        op = ConvLinearOperator(np.zeros((8, 1, 3, 3)), (1, 28, 28))
        for kind in KINDS:
            blocks = arrangement(op, kind)
            assert len(blocks) == 13 and {len(b) for b in blocks} == {416}
        assert len(arrangement(np.zeros((41, 20)), "standard")) == 3
        blocks = arrangement(sparse.eye_array(2000), "interleaved")
        assert len(blocks) == 4 and max(map(len, blocks)) <= 512
        sizes = [len(b) for b in arrangement(np.zeros((11, 9)), "standard", strips=3)]
        assert sizes == [4, 4, 3]

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({"kind": "rows"}, ValueError, "kind must be one of 'strip', 'interl"),
            ({"kind": "strip", "h_b": 7}, ValueError, "h_b must be one of 1, 2"),
            ({"kind": "strip", "strips": 7}, ValueError, "strips must be one of 1, 2"),
            ({"kind": "standard", "strips": 0}, ValueError, "strips must be between"),
            ({"kind": "standard", "strips": 999}, ValueError, "strips must be between"),
            ({"kind": "standard", "strips": 2.0}, TypeError, "strips must be an int"),
            ({"kind": "strip", "strips": 2, "h_b": 2}, ValueError, "not both"),
            ({"kind": "strip", "op": np.eye(4)}, TypeError, "only a ConvLinearOp"),
            ({"kind": "standard", "op": np.eye(4), "h_b": 2}, ValueError, "h_b is for"),
            ({"kind": "standard", "op": 3}, TypeError, "op must be"),
        ],
    )
    def test_errors(self, arguments, error, words):
        op, _ = layer("flip")
        with pytest.raises(error, match=words):
            arrangement(**{"op": op, **arguments})

    @pytest.mark.parametrize(
        ("kind", "error", "words"),
        [
            ([[0, 1], [1, 1]], ValueError, "block 1 names a row twice"),
            ([[0, 10]], ValueError, r"rows must be in 0 ... 9, .* 0 ... 10"),
            ([[-1, 3]], ValueError, "rows must be in"),
            ([[0.5, 1.0]], TypeError, "kind must be one of"),
            ([[[0], [1]]], TypeError, "kind must be one of"),
            ([], TypeError, "kind must be one of"),
            (3, TypeError, "kind must be one of"),
            ([0, 1], TypeError, "kind must be one of"),
        ],
    )
    def test_row_lists(self, kind, error, words):
        with pytest.raises(error, match=words):
            row_lists(as_operator(np.eye(10)), kind)
        with pytest.raises(ValueError, match="h_b is for"):
            row_lists(as_operator(np.eye(10)), [[0]], h_b=1)


class TestPicture:
    def test_owners(self):
        plt = pytest.importorskip("matplotlib.pyplot")
        plt.switch_backend("agg")
        op = ConvLinearOperator(np.ones((2, 1, 3)), (1, 6))
        ax = plot_arrangement(op, "strip", h_b=2)
        image = ax.images[0].get_array()
        np.testing.assert_array_equal(image, [[0, 0, 1, 1], [0, 0, 1, 1]])
        assert ax.get_title() == "strip" and ax.get_xlabel() == "output"
        same = plot_arrangement(op, [[1, 6], [0, 4]], ax=plt.subplots()[1])
        image = same.images[0].get_array()
        assert image[0, 1] == image[1, 2] == 0 and image[0, 0] == image[1, 0] == 1
        assert np.ma.getmaskarray(image).sum() == 4
        ax = plot_arrangement(np.eye(4), "standard", strips=2)
        np.testing.assert_array_equal(ax.images[0].get_array(), [[0, 0, 1, 1]])
        plt.close("all")


class TestRows:
    @pytest.mark.parametrize("name", LAYERS)
    def test_rows_of_a_convolution(self, name):
        op, _ = layer(name, complex)
        A, rng = matrix(op), np.random.default_rng(0)
        read = RowReader(op)
        for count in (1, 5, len(A)):
            rows = rng.permutation(len(A))[:count]
            block, columns = read(rows)
            np.testing.assert_allclose(
                block.toarray(), A[np.ix_(rows, columns)], rtol=0, atol=1e-14
            )
            assert not np.delete(A[rows], columns, axis=1).any()
            assert np.abs(block).sum(axis=0).min() > 0

    @pytest.mark.parametrize("form", [np.asarray, sparse.coo_array, sparse.csc_matrix])
    def test_rows_of_a_matrix(self, form):
        A = random((7, 5), "f") * (random((7, 5), "f", 1) > 0)
        A[:, 2] = 0
        matrix, columns = RowReader(as_operator(form(A)))(np.array([4, 1]))
        matrix = matrix.toarray() if sparse.issparse(matrix) else matrix
        assert matrix.dtype == float and 2 not in columns
        np.testing.assert_array_equal(matrix, A[np.ix_([4, 1], columns)])

    def test_zero_taps_take_no_columns(self):
        op = ConvLinearOperator(np.array([[[1.0, 0.0, 2.0]]]), (1, 5))
        _, columns = RowReader(op)(np.array([0]))
        assert columns.tolist() == [0, 2]


class TestBlocks:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ["valid tall", "valid wide", "zero", "groups"])
    @pytest.mark.parametrize("damp", [0.0, 0.7])
    def test_steps(self, name, kind, damp):
        """Against pseudoinverses of whole blocks, with damp of ``[A, damp I]``."""
        op, h_b = layer(name, complex)
        A, m, n = matrix(op), *op.shape
        rows = arrangement(op, kind, h_b=h_b, rng=0)
        b = random((2, m), complex, 1)
        x, rest = random((2, n), complex, 2) * (damp == 0), b.copy()
        whole = np.hstack([A, damp * np.eye(m)])
        want = np.hstack([x, np.zeros((2, m))])
        blocks = RowBlocks(op, rows, damp=damp)
        for block in [0, len(rows) - 1, 1, 0]:
            T = whole[rows[block]]
            residual = b[:, rows[block]] - want @ T.T
            want = want + residual @ oracles.pinv(T).T
            blocks.step(x, rest, block)
            np.testing.assert_allclose(x, want[:, :n], atol=1e-10)
            if damp:
                np.testing.assert_allclose(rest, b - damp * want[:, n:], atol=1e-10)
        if not damp:
            np.testing.assert_array_equal(rest, b)

    def test_strips_share(self):
        op, h_b = layer("valid tall")
        blocks = RowBlocks(op, arrangement(op, "strip", h_b=h_b))
        assert len(set(blocks.labels)) == len(blocks.inverses) == 1 < len(blocks)
        op, h_b = layer("zero")
        blocks = RowBlocks(op, arrangement(op, "strip", h_b=h_b))
        assert len(blocks.inverses) == strip_plan(op, h_b).classes == 3
        blocks = RowBlocks(op, arrangement(op, "randomized", h_b=h_b, rng=0))
        assert len(blocks.inverses) == len(blocks)

    def test_ranks(self):
        A = np.array([[1.0, 1, 0, 0], [2, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]])
        lists = [np.arange(2), np.arange(1, 4), np.array([3])]
        blocks = RowBlocks(as_operator(A), lists)
        assert blocks.ranks == [1, 2, 0]
        assert len(RowBlocks(as_operator(A), [np.array([], int)])) == 1

    def test_memory(self):
        op, h_b = layer("valid wide")
        rows = arrangement(op, "randomized", h_b=h_b, rng=0)
        need = RowBlocks(op, rows).nbytes
        sizes = [(len(r), np.count_nonzero(matrix(op)[r].any(axis=0))) for r in rows]
        assert need == sum(2 * 8 * a * c for a, c in sizes)
        assert RowBlocks(op, rows, dtype="float32", memory=need / 2).nbytes == need / 2
        words = f"8 different .* need {need / 2**20:.0f} MiB, more than the memory"
        with pytest.raises(ValueError, match=words):
            RowBlocks(op, rows, memory=need - 1)

    def test_normalize(self):
        """Only blocks with more rows than their rank see it."""
        rng = np.random.default_rng(0)
        A = rng.standard_normal((9, 4)) * rng.uniform(0.1, 10, (9, 1))
        A[5] = 0
        b = rng.standard_normal((1, 9))
        for rows, same in ((np.arange(3), True), (np.arange(9), False)):
            op, got = as_operator(A), []
            for normalize in (False, True):
                x = np.zeros((1, 4))
                RowBlocks(op, [rows], normalize=normalize).step(x, b, 0)
                got.append(x)
            assert np.allclose(*got) == same
            norms = np.linalg.norm(A[rows], axis=1)
            scale = 1 / np.where(norms > 0, norms, 1)
            want = oracles.pinv(A[rows] * scale[:, None]) @ (b[0, rows] * scale)
            np.testing.assert_allclose(got[1][0], want)

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=25, deadline=None)
    def test_a_step_is_a_projection(self, seed):
        rng = np.random.default_rng(seed)
        m, n = rng.integers(1, 9, 2)
        A = rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.6)
        rows = rng.permutation(m)[: rng.integers(1, m + 1)]
        blocks = RowBlocks(as_operator(A), [rows])
        solution, x = rng.standard_normal((2, 1, n))
        b = solution @ A.T
        new = x.copy()
        blocks.step(new, b, 0)
        np.testing.assert_allclose(new @ A[rows].T, b[:, rows], atol=1e-7)
        assert abs(np.vdot(new - solution, new - x)) <= 1e-7 * (1 + np.vdot(x, x))
        twice = new.copy()
        blocks.step(twice, b, 0)
        np.testing.assert_allclose(twice, new, atol=1e-7)


class TestWideBlocks:
    """Blocks that stay sparse."""

    @pytest.mark.parametrize("dtype", [float, complex])
    @pytest.mark.parametrize("damp", [0.0, 0.7])
    def test_steps(self, dtype, damp, monkeypatch):
        monkeypatch.setattr(sparse_pseudoinverse, "LARGE", 0)
        monkeypatch.setattr(sparse_pseudoinverse, "SAVED", 1)
        op, h_b = layer("valid wide", dtype)
        A, m, n = matrix(op), *op.shape
        rows = arrangement(op, "randomized", h_b=h_b, rng=0)
        b, x = random((2, m), dtype, 1), random((2, n), dtype, 2) * (damp == 0)
        want, rest = np.hstack([x, np.zeros((2, m))]), b.copy()
        whole = np.hstack([A, damp * np.eye(m)])
        blocks = RowBlocks(op, rows, damp=damp)
        assert blocks.used == ("normal",) and sparse.issparse(blocks.matrices[0])
        for block in [0, len(rows) - 1, 1, 0]:
            T = whole[rows[block]]
            want = want + (b[:, rows[block]] - want @ T.T) @ oracles.pinv(T).T
            blocks.step(x, rest, block)
            np.testing.assert_allclose(x, want[:, :n], atol=1e-10)
            if damp:
                np.testing.assert_allclose(rest, b - damp * want[:, n:], atol=1e-10)

    def test_large_blocks(self):
        """They need a fraction of the memory, and do the same."""
        op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 40, 40))
        rows = arrangement(op, "randomized", strips=26, rng=0)[:3]
        slim, full = (RowBlocks(op, rows, factorization=f) for f in ("qr", "svd"))
        assert (slim.used, full.used) == (("normal",), ("svd",))
        assert slim.nbytes < full.nbytes / 4 and slim.ranks == full.ranks
        kept = [A.nnz for A in slim.matrices]
        arrays = sum(8 * len(r) ** 2 + 2 * 8 * k for r, k in zip(rows, kept))
        assert arrays < slim.nbytes < 1.1 * arrays  # and the indices
        x, b = random((2, op.shape[1]), float), random((2, op.shape[0]), float)
        close = {"rtol": 0, "atol": 1e-11}
        np.testing.assert_allclose(slim.projections(x), full.projections(x), **close)
        np.testing.assert_allclose(
            slim.sweep(x.copy(), b), full.sweep(x.copy(), b), **close
        )
        for one, other in zip(slim.bases(), full.bases()):
            np.testing.assert_allclose(one.T @ one, other.T @ other, **close)
        single = RowBlocks(op, rows, dtype="float32")
        assert single.nbytes == slim.nbytes / 2
        got = single.sweep(x.astype("f"), b.astype("f"))
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, slim.sweep(x.copy(), b), atol=1e-4)
        with pytest.raises(ValueError, match="3 different .* more than the memory"):
            RowBlocks(op, rows, memory=slim.nbytes - 1)

    @pytest.mark.parametrize("size", [0.0, 1e-5])
    def test_dependent_rows(self, size):
        """A block whose rows are dependent, or nearly so, is made dense."""
        A = sparse.random_array((301, 4000), density=0.005, format="csr", rng=0)
        nearly = A[:1] + size * A[300:]
        op = as_operator(sparse.vstack([A[:300], nearly], format="csr"))
        rows = [np.arange(301)]
        blocks = RowBlocks(op, rows)
        assert RowBlocks(op, [rows[0][:-1]]).used == ("normal",)
        assert blocks.used == (("qr",) if size else ("svd",))
        assert blocks.ranks == [301 if size else 300]
        assert isinstance(blocks.matrices[0], np.ndarray)
        solution = random((1, 4000), float)
        b, x = solution @ op.matrix.toarray().T, np.zeros((1, 4000))
        blocks.step(x, b, 0)
        np.testing.assert_allclose(x @ op.matrix.toarray().T, b, atol=1e-9)
        with pytest.raises(ValueError, match="the 1 different .* more than the memory"):
            RowBlocks(op, rows, memory=blocks.nbytes - 1)

    def test_rcond(self):
        """Blocks whose condition number the user will not have are made dense."""
        A = sparse.random_array((300, 4000), density=0.005, format="csr", rng=0)
        op, rows = as_operator(A), [np.arange(300)]
        assert RowBlocks(op, rows).used == ("normal",)
        assert RowBlocks(op, rows, rcond=0.9).ranks[0] < 300
