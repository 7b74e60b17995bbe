"""kaczmarz, rk, rek and gauss-seidel against dense loops and the pseudoinverse."""

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import aslinearoperator

from convinv import Status, solve
from convinv.operators._row_norms import column_norms, row_norms
from convinv.solvers._colors import input_colors, output_colors
from convinv.solvers._row_actions import WeightedSampler
from support import oracles
from support.arrays import doubles
from support.layers import layer, matrix
from support.quiet import quietly

METHODS = ("kaczmarz", "rk", "rek", "gauss-seidel")
LAYERS = {
    "tall": ((5, 1, 3, 3), (1, 7, 8), {}),
    "wide": ((1, 2, 3, 3), (2, 6, 7), {"padding": 1}),
    "folded": ((3, 2, 3, 2), (2, 5, 6), {"padding": 2, "boundary": "reflect"}),
    "groups": ((4, 1, 3), (2, 12), {"groups": 2, "boundary": "periodic", "padding": 1}),
}
layers = pytest.mark.parametrize("name", LAYERS)


def make(name, dtype="float64"):
    shape, input_shape, options = LAYERS[name]
    return layer(shape, input_shape, dtype, **options)


def random(shape, dtype="float64", seed=1):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values


def run(op, b, method, **options):
    return quietly(op, b, method, **{"rtol": 1e-14, **options})


def iterate(op, b, method, **options):
    """The last iterate, which solve gives up where x = 0 has a smaller residual."""
    seen = []
    run(op, b, method, callback=lambda state: seen.append(state.x + 0), **options)
    return seen[-1]


def rows_of(A, x, b, order, relaxation=1.0, damp=0.0, z=None):
    for i in order:
        size = np.vdot(A[i], A[i]).real
        if size == 0:
            continue
        step = relaxation * (b[i] - A[i] @ x) / (size + damp**2)
        if damp:
            step -= relaxation * damp * z[i] / (size + damp**2)
            z[i] += damp * step
        x += step * A[i].conj()


def columns_of(A, x, b, order, relaxation=1.0, damp=0.0):
    for j in order:
        size = np.vdot(A[:, j], A[:, j]).real + damp**2
        gradient = np.vdot(A[:, j], b - A @ x) - damp**2 * x[j]
        x[j] += relaxation * gradient / size


class TestSweeps:
    """A few iterations are those of the textbook."""

    @layers
    @doubles
    @pytest.mark.parametrize("damp", [0.0, 0.8])
    @pytest.mark.parametrize("symmetric", [False, True])
    def test_cyclic(self, name, dtype, damp, symmetric):
        op = make(name, dtype)
        A = matrix(op)
        b = random(A.shape[0], dtype)
        options = {"relaxation": 1.3, "symmetric": symmetric, "damp": damp}
        x, y = np.zeros((2, A.shape[1]), A.dtype)
        z = np.zeros(A.shape[0], A.dtype)
        for _ in range(3):
            for turn in (1, -1)[: 1 + symmetric]:
                rows_of(A, x, b, range(A.shape[0])[::turn], 1.3, damp, z)
                columns_of(A, y, b, range(A.shape[1])[::turn], 1.3, damp)
        got = iterate(op, b, "kaczmarz", maxiter=3, **options)
        np.testing.assert_allclose(got, x, atol=1e-11 * np.max(np.abs(x)))
        got = iterate(op, b, "gauss-seidel", maxiter=3, **options)
        np.testing.assert_allclose(got, y, atol=1e-11 * np.max(np.abs(y)))

    @layers
    @pytest.mark.parametrize("order", ["random", "multicolor"])
    def test_other_orders(self, name, order):
        """Every row has its turn: the orders that the method must have taken."""
        op = make(name)
        A = matrix(op)
        b = random(A.shape[0])
        for method, action, lists in (
            ("kaczmarz", rows_of, output_colors),
            ("gauss-seidel", columns_of, input_colors),
        ):
            count = A.shape[method == "gauss-seidel"]
            taken = np.random.default_rng(0).permutation(count)
            if order == "multicolor":
                pixels, _ = lists(op.geometry)
                taken = (pixels[:, None] + np.arange(0, count, pixels.size)).ravel()
            assert np.array_equal(np.sort(taken), np.arange(count))
            x = np.zeros(A.shape[1])
            action(A, x, b, taken)
            got = iterate(op, b, method, order=order, maxiter=1, rng=0)
            np.testing.assert_allclose(got, x, atol=1e-11 * np.max(np.abs(x)))

    @layers
    def test_randomized(self, name):
        """The rows and columns that follow from the norms and the seed."""
        op = make(name)
        A = matrix(op)
        (m, n), b = A.shape, random(A.shape[0])
        rows, columns = row_norms(op), column_norms(op)

        def draw(rng, weights):
            members = np.argsort(weights, kind="stable")
            sums = np.cumsum(weights[members])
            found = np.searchsorted(sums, rng.random(m) * sums[-1], side="right")
            return members[found]

        x, rng = np.zeros(n), np.random.default_rng(0)
        rows_of(A, x, b, draw(rng, rows))
        got = iterate(op, b, "rk", maxiter=1, rng=0)
        np.testing.assert_allclose(got, x, atol=1e-11 * np.max(np.abs(x)))
        x, rng, z = np.zeros(n), np.random.default_rng(0), b.copy()
        for _ in range(2):
            for j in draw(rng, columns):
                z -= A[:, j] @ z / columns[j] * A[:, j]
            rows_of(A, x, b - z, draw(rng, rows))
        got = iterate(op, b, "rek", maxiter=2, rng=0)
        np.testing.assert_allclose(got, x, atol=1e-11 * np.max(np.abs(x)))

    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.coo_matrix])
    def test_matrices(self, form):
        A = random((20, 9)) * (random((20, 9), seed=2) > 0)
        A[4] = A[:, 3] = 0
        b = A @ random(9)
        for method in METHODS:
            result = run(form(A), b, method, rtol=1e-9, rng=0, maxiter=3000)
            assert result.success, method
            best = oracles.pinv(A) @ b
            np.testing.assert_allclose(result.x, best, atol=1e-7)
        x, y = np.zeros((2, 9))
        rows_of(A, x, b, range(20))
        np.testing.assert_allclose(run(form(A), b, "kaczmarz", maxiter=1).x, x)
        columns_of(A, y, b, [j for j in range(9) if j != 3])
        np.testing.assert_allclose(run(form(A), b, "gauss-seidel", maxiter=1).x, y)

    def test_real_layers_and_complex_data(self):
        op = make("folded")
        b = random(op.shape[0], "complex128")
        for method in METHODS[::3]:
            both = run(op, b, method, maxiter=4).x
            parts = [run(op, part, method, maxiter=4).x for part in (b.real, b.imag)]
            np.testing.assert_allclose(both, parts[0] + 1j * parts[1], atol=1e-12)

    def test_weighted_sampler(self):
        """Frequencies are those of the weights, and what has none is never drawn."""
        weights = np.array([0.0, 3, 1, 3, 0, 2, 1, 0])
        draw = WeightedSampler(np.random.default_rng(0), weights)
        count = 100_000
        found = np.bincount(draw(count), minlength=8) / count
        expected = weights / weights.sum()
        assert not found[weights == 0].any()
        spread = np.sqrt(expected * (1 - expected) / count)
        assert np.all(np.abs(found - expected) <= 5 * spread)


class TestLimits:
    @layers
    @pytest.mark.parametrize("order", ["cyclic", "multicolor", "random"])
    def test_orders_have_one_limit(self, name, order):
        op = make(name)
        A = matrix(op)
        b = A @ random(A.shape[1])
        best = oracles.pinv(A) @ b
        kwargs = {"order": order, "rtol": 1e-9, "rng": 0, "maxiter": 4000}
        result = run(op, b, "kaczmarz", **kwargs)
        assert result.success
        np.testing.assert_allclose(result.x, best, atol=1e-5)
        inconsistent = b + random(A.shape[0], seed=3)
        result = run(op, inconsistent, "gauss-seidel", **kwargs)
        assert result.success
        best = oracles.pinv(A) @ inconsistent
        np.testing.assert_allclose(A @ result.x, A @ best, atol=1e-6)

    def test_inconsistent_data(self):
        """Only rek and gauss-seidel find the least-squares solution."""
        A = random((120, 40))
        b = A @ random(40) + random(120, seed=5)
        best = oracles.pinv(A) @ b
        for method in METHODS:
            result = run(A, b, method, rtol=1e-8, rng=0)
            error = np.linalg.norm(result.x - best) / np.linalg.norm(best)
            if method in ("rek", "gauss-seidel"):
                assert result.success and error < 1e-7
                continue
            assert result.status is Status.STALLED and 1e-2 < error < 1
            assert "not in the range of A" in result.message

    def test_least_norm_of_inconsistent_rank_deficient_systems(self):
        A = random((60, 20)) @ random((20, 40), seed=6)
        b = random(60, seed=7)
        result = run(A, b, "rek", rtol=1e-9, rng=0)
        assert result.success
        np.testing.assert_allclose(result.x, oracles.pinv(A) @ b, atol=1e-6)

    def test_error_of_kaczmarz_decreases(self):
        op = make("tall")
        A, x = matrix(op), random(make("tall").shape[1])
        for method in ("kaczmarz", "rk"):
            errors = [np.linalg.norm(x)]
            run(
                op, A @ x, method, maxiter=20, rng=0, relaxation=1.5,
                callback=lambda s: errors.append(np.linalg.norm(s.x - x)),
            )  # fmt: skip
            assert len(errors) == 21 and np.all(np.diff(errors) < 0)

    def test_functional_of_gauss_seidel_decreases(self):
        op = make("tall")
        b = random(op.shape[0])
        norms = []
        run(
            op, b, "gauss-seidel", maxiter=20, relaxation=1.5,
            callback=lambda s: norms.append(float(s.residual_norm)),
        )  # fmt: skip
        assert len(norms) == 20 and np.all(np.diff(norms) < 0)

    def test_rate_of_randomized_kaczmarz(self):
        """The mean squared error keeps Strohmer and Vershynin's bound."""
        A = random((30, 10))
        x = random(10, seed=8)
        s = np.linalg.svd(A, compute_uv=False)
        bound = (1 - s[-1] ** 2 / np.sum(s**2)) ** (3 * 30) * np.sum(x**2)
        squares = [
            np.sum((run(A, A @ x, "rk", maxiter=3, rng=seed).x - x) ** 2)
            for seed in range(40)
        ]
        assert np.mean(squares) < bound

    def test_damped_solution_of_inconsistent_data(self):
        op = make("tall")
        A = matrix(op)
        b, x0 = random(A.shape[0]), random(A.shape[1], seed=9)
        gram = A.T @ A + 2.0**2 * np.eye(A.shape[1])
        expected = np.linalg.solve(gram, A.T @ b)
        for method in ("kaczmarz", "rk", "gauss-seidel"):
            for start in (None, x0):
                result = run(op, b, method, damp=2.0, x0=start, rtol=1e-9, rng=0)
                assert result.success, method
                np.testing.assert_allclose(result.x, expected, atol=1e-7)

    def test_slow_damping_is_said(self):
        op = make("tall")
        result = run(op, random(op.shape[0]), "kaczmarz", damp=1e-3)
        assert result.status is Status.STALLED and "damp is small" in result.message


class TestArguments:
    @pytest.mark.parametrize("method", ["kaczmarz", "rk", "gauss-seidel"])
    @pytest.mark.parametrize("relaxation", [0, 2, -1.0, np.nan, "1", None, 1j])
    def test_relaxation(self, method, relaxation):
        op = make("tall")
        with pytest.raises((ValueError, TypeError), match="relaxation must be a num"):
            solve(op, np.ones(op.shape[0]), method, relaxation=relaxation)

    @pytest.mark.parametrize("method", ["kaczmarz", "gauss-seidel"])
    def test_order(self, method):
        op = make("tall")
        with pytest.raises(ValueError, match="order must be one of 'cyclic'"):
            solve(op, np.ones(op.shape[0]), method, order="backwards")
        with pytest.raises(ValueError, match="needs a ConvLinearOperator"):
            solve(matrix(op), np.ones(op.shape[0]), method, order="multicolor")

    def test_operators_without_rows(self):
        A = aslinearoperator(np.eye(3)) * 2
        for method in METHODS:
            with pytest.raises(TypeError, match="needs the operator's rows"):
                solve(A, np.ones(3), method)

    def test_rek_takes_no_damp(self):
        with pytest.raises(ValueError, match="takes no damp"):
            solve(np.eye(3), np.ones(3), "rek", damp=1.0)
