"""STRIP: its plan, its kernels, its sweeps against dense block Kaczmarz."""

import warnings

import numpy as np
import oracles
import pytest

import convinv.solvers.strip  # noqa: F401
from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv._strips import cover
from convinv.kernels import windows_numba
from convinv.solvers._problem import Problem
from convinv.solvers._strip_sweeps import Schwarz, Sweeps, inverse_gram
from convinv.strips import pseudoinverse, strip_plan

# kernel, input, options, h_b: tall, wide and deficient strips, every boundary
LAYERS = {
    "valid tall": ((6, 2, 3, 3), (2, 10, 8), {}, 24),
    "valid wide": ((3, 2, 3, 3), (2, 10, 8), {}, 6),
    "deficient": ((3, 2, 2, 2), (2, 7, 7), {}, 12),
    "zero": ((5, 2, 3, 3), (2, 8, 6), {"padding": 1}, 12),
    "zero wide": ((2, 2, 3, 3), (2, 8, 6), {"padding": 1}, 3),
    "reflect": ((4, 1, 3, 3), (1, 8, 6), {"padding": 2, "boundary": "reflect"}, 8),
    "symmetric": ((4, 1, 3, 3), (1, 8, 6), {"padding": 2, "boundary": "symmetric"}, 8),
    "replicate": (
        (4, 1, 3, 2),
        (1, 8, 7),
        {"padding": ((3, 1), (0, 1)), "boundary": "replicate"},
        14,
    ),
    "periodic": ((2, 2, 3, 3), (2, 8, 6), {"padding": 1, "boundary": "periodic"}, 6),
    "stride": ((6, 1, 3, 3), (1, 13, 12), {"stride": 2, "padding": 1}, 6),
    "gaps": ((3, 1, 2, 1), (1, 12, 13), {"stride": (3, 4)}, 4),
    "dilation": ((5, 1, 3, 3), (1, 12, 10), {"dilation": (2, 3)}, 4),
    "groups": ((6, 2, 3, 3), (4, 8, 6), {"groups": 2}, 8),
    "1-D": ((3, 2, 4), (2, 27), {"padding": ((1, 2),)}, 9),
    "3-D": ((3, 1, 2, 2, 3), (1, 5, 4, 5), {}, 9),
    "3-D padded": ((2, 1, 2, 2, 3), (1, 4, 4, 5), {"padding": 1}, 5),
    "flip": ((4, 1, 3, 3), (1, 8, 6), {"flip": True}, 8),
}


def random(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def layer(name, dtype=float):
    kernel, shape, options, h_b = LAYERS[name]
    return ConvLinearOperator(random(kernel, dtype), shape, **options), h_b


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve(*args, method="strip", **kwargs)


def strip_rows(op, h_b):
    """Row lists of the paper's strips, one per group of channels."""
    r, groups = op.shape[0] // op.output_shape[0], op.geometry.groups
    rows = np.arange(op.shape[0]).reshape(groups, -1, r // h_b, h_b)
    return [rows[g, :, s].ravel() for s in range(r // h_b) for g in range(groups)]


def block_kaczmarz(A, b, blocks, sweeps):
    x = np.zeros(A.shape[1], A.dtype)
    for rows in blocks * sweeps:
        columns = np.flatnonzero(np.abs(A[rows]).sum(axis=0))
        block = A[np.ix_(rows, columns)]
        x[columns] += np.linalg.pinv(block) @ (b[rows] - block @ x[columns])
    return x


def make_sweeps(op, b, h_b, damp=0.0, **options):
    """The sweeps of a problem, without what `solve` does before and after."""
    problem = Problem(
        op,
        b.reshape(len(b), -1),
        origin=None,
        damp=damp,
        kernel_scale=1.0,
        x_scale=np.ones(len(b)),
        preconditioner=None,
        maxiter=1,
        rng=None,
    )
    sweeps = Sweeps(problem, strip_plan(op, h_b), "qr", None)
    vars(sweeps).update(options)
    sweeps.load(problem.b.copy())
    return sweeps


def psnr(x, y):
    return -10 * np.log10(np.mean(np.abs(x - y) ** 2))


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
        np.testing.assert_allclose(found.P * scale, np.linalg.pinv(A), atol=1e-12)
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
        np.testing.assert_allclose(found.P, np.linalg.pinv(A), atol=1e-12)

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
        want = np.linalg.pinv(A.conj().T @ A)
        np.testing.assert_allclose(inverse_gram(A, 0.0), want, atol=1e-12)
        A[:, 3] = A[:, 1]
        want = np.linalg.pinv(A.conj().T @ A)
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
        got = windows_numba.gather(grid, tables, which)
        np.testing.assert_array_equal(got, oracles.windows_gather(grid, tables, which))
        elements = shape[1] * int(np.prod([length for _, length in axes]))
        values = random((strips, shape[0], elements), dtype, 1)
        for mode in "overwrite", "average":
            got = windows_numba.combine(values, tables, covers, shape, mode)
            want = oracles.windows_combine(values, tables, shape, mode)
            assert got.dtype == grid.dtype
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
        for window in {0, strips - 1}:
            target = grid.copy()
            assert windows_numba.scatter(values[window], tables, window, target) is None
            want = oracles.windows_scatter(values[window], tables, window, grid)
            np.testing.assert_array_equal(target, want)

    def test_refusals(self):
        tables = tuple(np.zeros((1, 1), np.int64) for _ in range(3))
        with pytest.raises(ValueError, match="mode must be"):
            windows_numba.combine(np.zeros((1, 1, 1)), tables, (), (1,) * 5, "mean")
        with pytest.raises(ValueError, match="no window 1"):
            windows_numba.scatter(np.zeros((1, 1)), tables, 1, np.zeros((1,) * 5))


class TestSweeps:
    @pytest.mark.parametrize("dtype", [float, complex])
    @pytest.mark.parametrize("name", LAYERS)
    def test_equal_block_kaczmarz(self, name, dtype):
        op, h_b = layer(name, dtype)
        h_b = strip_plan(op, h_b).h_b
        A, b = op.tosparse().toarray(), random((2, *op.output_shape), dtype, 1)
        blocks = strip_rows(op, h_b)
        for symmetric in False, True:
            sweeps = make_sweeps(op, b, h_b, symmetric=symmetric)
            order = blocks + blocks[::-1] * symmetric
            x = np.zeros((2, op.shape[1]), dtype)
            for count in 1, 2, 3:
                x = sweeps(x)
                for got, item in zip(x, b):
                    want = block_kaczmarz(A, item.ravel(), order, count)
                    np.testing.assert_allclose(got, want, atol=1e-9)

    @pytest.mark.parametrize("name", LAYERS)
    @pytest.mark.parametrize("average", [False, True])
    def test_solution_is_a_fixed_point(self, name, average):
        op, h_b = layer(name)
        x = random((2, *op.input_shape), float, 2)
        sweeps = make_sweeps(op, op.forward(x), h_b, average=average)
        reached = np.abs(op.tosparse()).sum(axis=0) > 0
        x = x.reshape(2, -1) * reached
        for _ in range(2):
            np.testing.assert_allclose(sweeps(x.copy()), x, atol=1e-9)

    def test_one_sweep_solves_consistent_tall(self):
        op = ConvLinearOperator(random((8, 3, 3, 3), "f"), (3, 30, 30))
        x = random((4, 3, 30, 30), "f", 1)
        for options in {}, {"symmetric": True}, {"overlap": "average"}:
            for factorization in "qr", "svd", "normal":
                res = quietly(
                    op, op.forward(x), factorization=factorization, rtol=1e-4, **options
                )
                assert res.success and res.nit == 1 and res.x.dtype == np.float32
                assert res.extra["factorization"] == (factorization,)
                np.testing.assert_allclose(res.x, x, atol=1e-3)

    def test_second_sweep_changes_nothing(self):
        op, h_b = layer("valid tall")
        b = op.forward(random((2, *op.input_shape), float))
        b += 0.1 * random(b.shape, float, 1)
        res = quietly(op, b, h_b=h_b, rtol=1e-10)
        assert res.status is Status.STALLED and res.nit == 1 and not res.success
        assert "refine=True" in res.message
        again = quietly(op, b, h_b=h_b, x0=res.x, rtol=1e-10)
        np.testing.assert_allclose(again.x, res.x, atol=1e-12)

    def test_one_strip_is_the_pseudoinverse(self):
        for name in LAYERS:
            op, _ = layer(name, complex)
            b = random(op.output_shape, complex, 1)
            r = op.shape[0] // op.output_shape[0]
            res = solve(op, b, "strip", h_b=r, rtol=1e-10)
            want = np.linalg.pinv(op.tosparse().toarray()) @ b.ravel()
            np.testing.assert_allclose(res.x.ravel(), want, atol=1e-9)
            assert res.nit == 1

    def test_kaczmarz_finds_least_norm(self):
        op = ConvLinearOperator(random((2, 3, 3, 3), float), (3, 10, 10))
        b = random(op.output_shape, float, 1)
        want = np.linalg.pinv(op.tosparse().toarray()) @ b.ravel()
        for options in {}, {"symmetric": True}, {"window": (3, 5)}:
            res = solve(op, b, "strip", rtol=1e-11, **options)
            np.testing.assert_allclose(res.x.ravel(), want, atol=1e-8)
        res = solve(op, b, "strip", rtol=1e-11, overlap="average")
        assert res.success
        assert np.linalg.norm(res.x) > np.linalg.norm(want)

    def test_wide_strips_need_many_sweeps(self):
        op = ConvLinearOperator(random((8, 3, 3, 3), float), (3, 18, 18))
        x = random((3, 18, 18), float, 1)
        quality = [
            psnr(quietly(op, op.forward(x), h_b=16, maxiter=sweeps, rtol=1e-12).x, x)
            for sweeps in (1, 2, 4, 8)
        ]
        assert np.all(np.diff(quality) > 1) and quality[0] < 30

    def test_inconsistent_ends(self):
        op, h_b = layer("zero wide")
        b = random((2, *op.output_shape), float)
        res = quietly(ConvLinearOperator(op.kernel[:, :1], (1, 8, 6), padding=1), b)
        assert res.status is Status.STALLED and np.isfinite(res.x).all()

    def test_batch_equals_items(self):
        op, h_b = layer("zero wide")
        b = random((3, *op.output_shape), float)
        b[1] = 0
        together = quietly(op, b, h_b=h_b, rtol=1e-6)
        assert not together.x[1].any()
        for x, item in zip(together.x, b):
            alone = quietly(op, item, h_b=h_b, rtol=1e-6)
            np.testing.assert_allclose(x, alone.x, atol=1e-12)

    def test_options_are_checked(self):
        op, _ = layer("valid tall")
        b = np.ones(op.output_shape)
        for options, match in [
            ({"h_b": 7}, "h_b must be one of"),
            ({"factorization": "lu"}, "factorization must be one of"),
            ({"overlap": "sum"}, "overlap must be"),
            ({"symmetric": True, "overlap": "average"}, "symmetric sweeps need"),
            ({"rcond": -1}, "rcond must be"),
        ]:
            with pytest.raises(ValueError, match=match):
                solve(op, b, "strip", **options)
        with pytest.raises(TypeError, match="ConvLinearOperator"):
            solve(np.eye(3), np.ones(3), "strip")


def noisy(op, x, level, seed=0):
    b = op.forward(x)
    noise = np.random.default_rng(seed).standard_normal(b.shape)
    return b + level * x.std(axis=(1, 2, 3), keepdims=True) * noise


def normal_solution(op, b, damp=0.0):
    A = op.tosparse()
    gram = (A.T @ A).toarray() + damp**2 * np.eye(A.shape[1])
    right = (A.T @ b.reshape(len(b), -1).T).reshape(-1, len(b))
    return np.linalg.solve(gram, right).T.reshape(len(b), *op.input_shape)


class TestNoise:
    """Section 4.8 of the methods: what one sweep gives on noisy data."""

    def problem(self, c_in, size):
        rng = np.random.default_rng(1)
        kernel = rng.uniform(-1, 1, (8, c_in, 3, 3)) / np.sqrt(9 * c_in)
        op = ConvLinearOperator(kernel, (c_in, size, size))
        return op, rng.uniform(-1, 1, (4, c_in, size, size))

    def test_error_is_linear_in_the_noise(self):
        op, x = self.problem(1, 28)
        quality = []
        for level in 0.01, 0.1:
            b = noisy(op, x, level)
            quality.append(psnr(quietly(op, b).x, normal_solution(op, b)))
        assert 42 < quality[0] < 52
        assert abs(quality[0] - quality[1] - 20) < 1e-6

    def test_averages_are_better(self):
        op, x = self.problem(3, 18)
        b = noisy(op, x, 0.01)
        want = normal_solution(op, b)
        for h_b in 64, 128:
            plain = psnr(quietly(op, b, h_b=h_b).x, want)
            average = psnr(quietly(op, b, h_b=h_b, overlap="average").x, want)
            assert 1 < average - plain < 5
        exact = quietly(op, b, h_b=256, rtol=1e-10)
        np.testing.assert_allclose(exact.x, want, atol=1e-8)


class TestDamped:
    @pytest.mark.parametrize("name", LAYERS)
    def test_sweeps_reach_the_damped_solution(self, name):
        op, h_b = layer(name)
        b = random((2, *op.output_shape), float, 1)
        want = normal_solution(op, b, 2.0)
        start = random(op.input_shape, float, 2)
        for options in {"h_b": h_b}, {"window": op.geometry.ndim * (2,)}, {"x0": start}:
            res = solve(op, b, "strip", damp=2.0, rtol=1e-9, **options)
            np.testing.assert_allclose(res.x, want, atol=1e-7)

    @pytest.mark.parametrize("factorization", ["qr", "svd", "normal"])
    def test_factorizations_agree(self, factorization):
        op, h_b = layer("deficient")
        b = random((1, *op.output_shape), float, 1)
        res = solve(op, b, "strip", damp=1.0, rtol=1e-9, factorization=factorization)
        np.testing.assert_allclose(res.x, normal_solution(op, b, 1.0), atol=1e-7)
        assert res.extra["factorization"] == (factorization,)


class TestRefine:
    @pytest.mark.parametrize("dtype", [float, complex])
    @pytest.mark.parametrize("name", LAYERS)
    def test_least_squares_of_least_norm(self, name, dtype):
        op, h_b = layer(name, dtype)
        b = random(op.output_shape, dtype, 1)
        want = np.linalg.pinv(op.tosparse().toarray()) @ b.ravel()
        for overlap in "overwrite", "average":
            res = solve(
                op, b, "strip", h_b=h_b, refine=True, overlap=overlap, rtol=1e-11
            )
            np.testing.assert_allclose(res.x.ravel(), want, atol=1e-7)

    @pytest.mark.parametrize("name", LAYERS)
    def test_damped(self, name):
        op, h_b = layer(name)
        b = random((2, *op.output_shape), float, 1)
        start = random(op.input_shape, float, 2)
        for x0 in None, start:
            res = solve(
                op, b, "strip", h_b=h_b, refine=True, damp=0.5, rtol=1e-10, x0=x0
            )
            np.testing.assert_allclose(res.x, normal_solution(op, b, 0.5), atol=1e-7)

    def test_deficient_layer_of_one_filter_more(self):
        op = ConvLinearOperator(random((2, 1, 3, 3), float), (1, 12, 12))
        A = op.tosparse().toarray()
        assert A.shape[1] - np.linalg.matrix_rank(A) == 8
        b = random(op.output_shape, float, 1)
        res = solve(op, b, "strip", refine=True, rtol=1e-11)
        want = np.linalg.pinv(A) @ b.ravel()
        np.testing.assert_allclose(res.x.ravel(), want, atol=1e-6)
        assert "svd" in res.extra["factorization"] and not res.extra["direct"]

    @pytest.mark.parametrize("name", LAYERS)
    def test_preconditioner_is_schwarz(self, name):
        op, h_b = layer(name, complex)
        A, n = op.tosparse().toarray(), op.shape[1]
        gram = A.conj().T @ A + np.eye(n)
        sweeps = make_sweeps(op, np.zeros((n, *op.output_shape), complex), h_b, 1.0)
        held = np.zeros(n)
        for strip in range(sweeps.plan.strips):
            for group in range(sweeps.plan.groups):
                held[sweeps.plan.columns(strip, group)] += 1
        want = np.zeros((n, n), complex)
        for strip in range(sweeps.plan.strips):
            for group in range(sweeps.plan.groups):
                at = sweeps.plan.columns(strip, group)
                local = np.linalg.inv(gram[np.ix_(at, at)])
                root = 1 / np.sqrt(held[at])
                want[np.ix_(at, at)] += root[:, None] * local * root
        want[np.diag_indices(n)] += held == 0  # 1 / damp**2
        got = Schwarz(sweeps.problem, sweeps)(np.eye(n, dtype=complex)).T
        np.testing.assert_allclose(got, want, atol=1e-12)

    def test_preconditioner_saves_iterations(self):
        op = ConvLinearOperator(random((8, 3, 3, 3), float), (3, 18, 18))
        b = random(op.output_shape, float, 1)
        plain = solve(op, b, "cgls", rtol=1e-8).nit
        assert solve(op, b, "strip", refine=True, rtol=1e-8).nit < plain / 4

    def test_float32(self):
        op = ConvLinearOperator(random((8, 1, 3, 3), "f"), (1, 20, 20), padding=1)
        b = random((3, *op.output_shape), "f", 1)
        res = solve(op, b, "strip", refine=True, rtol=1e-5)
        assert res.x.dtype == np.float32
        np.testing.assert_allclose(res.x, normal_solution(op, b), atol=1e-4)
