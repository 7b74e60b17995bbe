"""Plans of strips, their matrices, pseudoinverses and kernels."""

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv.kernels.windows import cpu as windows_cpu
from convinv.strips import pseudoinverse, strip_plan
from convinv.strips._plan import cover
from convinv.strips._sweeps import inverse_gram
from support import oracles
from support.arrays import random
from support.strip_layers import LAYERS, layer, strip_rows


class TestPlan:
    # section 4: image, channels, filters -> h_b, strips, window, matrix
    TABLE = [
        (28, 1, 8, 52, 13, (2, 26), (416, 112)),
        (28, 1, 16, 52, 13, (2, 26), (832, 112)),
        (64, 3, 8, 124, 31, (2, 62), (992, 768)),
        (64, 3, 16, 124, 31, (2, 62), (1984, 768)),
        (256, 3, 8, 508, 127, (2, 254), (4064, 3072)),
        (256, 3, 16, 508, 127, (2, 254), (8128, 3072)),
    ]

    @pytest.mark.parametrize("size, c_in, c_out, h_b, strips, window, shape", TABLE)
    def test_table_of_the_paper(self, size, c_in, c_out, h_b, strips, window, shape):
        op = ConvLinearOperator(np.zeros((c_out, c_in, 3, 3)), (c_in, size, size))
        plan = strip_plan(op)
        assert (plan.h_b, plan.strips, plan.window, plan.shape) == (
            h_b,
            strips,
            window,
            shape,
        )
        assert plan.classes == 1 and plan.class_sizes == (strips,)

    def test_admissible(self):
        admissible = {
            28: (1, 2, 13, 26, 52, 338, 676),
            64: (1, 2, 31, 62, 124, 1922, 3844),
            256: (1, 2, 127, 254, 508, 32258, 64516),
        }
        for size, values in admissible.items():
            op = ConvLinearOperator(np.zeros((8, 1, 3, 3)), (1, size, size))
            assert strip_plan(op).admissible == values
            for h_b in values:
                plan = strip_plan(op, h_b)
                assert plan.h_b == h_b == np.prod(plan.window)
                assert plan.strips * h_b == (size - 2) ** 2

    def test_ties_go_to_the_smaller(self):
        op = ConvLinearOperator(np.zeros((4, 1, 1)), (1, 6))  # 1.5, between 1 and 2
        assert strip_plan(op).h_b == 1
        op = ConvLinearOperator(np.zeros((5, 1, 1)), (1, 10))
        assert strip_plan(op).h_b == 2

    def test_default_of_a_single_filter_stays_small(self):
        op = ConvLinearOperator(np.zeros((1, 1, 3, 3)), (1, 512, 512))
        assert strip_plan(op).shape[0] * strip_plan(op).shape[1] <= 2**25

    @pytest.mark.parametrize("window", [None, "odd", "all"])
    @pytest.mark.parametrize("name", LAYERS)
    def test_matrices_are_those_of_the_operator(self, name, window):
        op, h_b = layer(name, complex)
        A = op.tosparse().toarray()
        if window:
            output = op.output_shape[1:]
            window = tuple(n // 2 + 1 if window == "odd" else n for n in output)
            h_b = None
        plan = strip_plan(op, h_b, window=window)
        seen = np.zeros(len(A), int)
        for strip, label in enumerate(plan.labels):
            for group in range(plan.groups):
                rows, columns = plan.rows(strip, group), plan.columns(strip, group)
                matrix = plan.matrix(op, label, group)
                np.testing.assert_allclose(
                    matrix, A[np.ix_(rows, columns)], rtol=0, atol=1e-14
                )
                assert not np.delete(A[rows], columns, axis=1).any()
                assert matrix.shape[0] == plan.shape[0]
                assert matrix.shape[1] <= plan.shape[1]
                seen[rows] += 1
        assert seen.min() == 1
        assert seen.max() == 1 or window is not None
        assert sum(plan.class_sizes) == plan.strips == np.prod(plan.counts)

    def test_strips_of_the_paper(self):
        op, _ = layer("valid tall")
        plan = strip_plan(op, 12)
        for strip, rows in enumerate(strip_rows(op, 12)):
            np.testing.assert_array_equal(plan.rows(strip), rows)

    def test_borders_make_classes(self):
        kernel = np.ones((4, 1, 3, 3))
        counts = {"zero": 9, "periodic": 1, "reflect": 9}
        for boundary, count in counts.items():
            op = ConvLinearOperator(kernel, (1, 16, 16), padding=1, boundary=boundary)
            assert strip_plan(op, window=(4, 4)).classes == count
        assert strip_plan(ConvLinearOperator(kernel, (1, 16, 16)), 28).classes == 1

    def test_errors(self):
        op, _ = layer("valid tall")
        with pytest.raises(ValueError, match="h_b must be one of 1, 2, 3, 6, 12"):
            strip_plan(op, 5)
        with pytest.raises(TypeError, match="h_b must be an integer"):
            strip_plan(op, 2.0)
        with pytest.raises(ValueError, match="between 1 and the output's"):
            strip_plan(op, window=(9, 1))
        with pytest.raises(ValueError, match="must have 2 entries"):
            strip_plan(op, window=(2,))
        with pytest.raises(TypeError, match="window must be"):
            strip_plan(op, window=3)
        with pytest.raises(ValueError, match="not both"):
            strip_plan(op, 6, window=(1, 1))
        with pytest.raises(TypeError, match="ConvLinearOperator"):
            strip_plan(np.eye(3))


class TestPseudoinverse:
    @pytest.mark.parametrize("factorization", ["qr", "svd", "normal"])
    @pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
    @pytest.mark.parametrize("scale", [1.0, 1e-200, 1e150])
    def test_equals_dense(self, shape, factorization, scale):
        A = random(shape, complex)
        found = pseudoinverse(A * scale, factorization)
        np.testing.assert_allclose(found.P * scale, oracles.pinv(A), atol=1e-12)
        assert found[1:] == (min(shape), factorization)
        damped = pseudoinverse(A * scale, factorization, damp=0.3 * scale)
        gram = A.conj().T @ A + 0.09 * np.eye(shape[1])
        want = np.linalg.solve(gram, A.conj().T)
        np.testing.assert_allclose(damped.P * scale, want, atol=1e-12)

    @pytest.mark.parametrize("factorization", ["qr", "svd", "normal"])
    @pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
    def test_deficient_goes_to_svd(self, shape, factorization):
        A = random(shape, float)
        A[1], A[:, 1] = A[0], A[:, 0]
        found = pseudoinverse(A, factorization)
        assert found[1:] == (np.linalg.matrix_rank(A), "svd")
        np.testing.assert_allclose(found.P, oracles.pinv(A), atol=1e-12)

    def test_cutoff(self):
        A = np.diag([1.0, 1e-3, 1e-6])
        assert pseudoinverse(A).rank == 3
        for factorization in "qr", "svd", "normal":
            found = pseudoinverse(A, factorization, rcond=1e-4)
            np.testing.assert_allclose(found.P, np.diag([1, 1e3, 0]), atol=1e-9)
        assert not pseudoinverse(np.zeros((3, 2))).P.any()
        with pytest.raises(ValueError, match="factorization must be one of"):
            pseudoinverse(A, "lu")

    def test_inverse_gram_of_unreached_unknowns(self):
        A = random((6, 4), complex)
        A[:, 2] = 0
        want = oracles.pinv(A.conj().T @ A)
        np.testing.assert_allclose(inverse_gram(A, 0.0), want, atol=1e-12)
        A[:, 3] = A[:, 1]
        want = oracles.pinv(A.conj().T @ A)
        np.testing.assert_allclose(inverse_gram(A, 0.0), want, atol=1e-10)


class TestKernels:
    # grid, windows per axis as (first samples, length)
    CASES = [
        ((2, 3, 5, 6, 7), [(3, 3), (4, 4), (3, 3)]),
        ((1, 2, 1, 9, 40), [(1, 1), (2, 3), (9, 12)]),
        ((3, 1, 1, 1, 5), [(1, 1), (1, 1), (1, 5)]),
    ]

    @pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
    @pytest.mark.parametrize("shape, axes", CASES)
    def test_equal_oracle(self, shape, axes, dtype):
        rng = np.random.default_rng(0)
        tables = []
        for size, (count, length) in zip(shape[2:], axes):
            rows = [rng.permutation(size + length)[:length] for _ in range(count)]
            rows[0] = np.arange(length)  # one run among the scattered ones
            table = np.array(rows)
            tables.append(np.where(table < size, table, -1))
        tables = tuple(tables)
        covers = [cover(t, n) for t, n in zip(tables, shape[2:])]
        strips = int(np.prod([count for count, _ in axes]))
        grid, which = random(shape, dtype), rng.permutation(strips)[: strips // 2 + 1]
        got = windows_cpu.gather(grid, tables, which)
        np.testing.assert_array_equal(got, oracles.windows_gather(grid, tables, which))
        elements = shape[1] * int(np.prod([length for _, length in axes]))
        values = random((strips, shape[0], elements), dtype, 1)
        for mode in "overwrite", "average":
            got = windows_cpu.combine(values, tables, covers, shape, mode)
            want = oracles.windows_combine(values, tables, shape, mode)
            assert got.dtype == grid.dtype
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
        for window in {0, strips - 1}:
            target = grid.copy()
            assert windows_cpu.scatter(values[window], tables, window, target) is None
            want = oracles.windows_scatter(values[window], tables, window, grid)
            np.testing.assert_array_equal(target, want)

    def test_refusals(self):
        tables = tuple(np.zeros((1, 1), np.int64) for _ in range(3))
        with pytest.raises(ValueError, match="mode must be"):
            windows_cpu.combine(np.zeros((1, 1, 1)), tables, (), (1,) * 5, "mean")
        with pytest.raises(ValueError, match="no window 1"):
            windows_cpu.scatter(np.zeros((1, 1)), tables, 1, np.zeros((1,) * 5))
