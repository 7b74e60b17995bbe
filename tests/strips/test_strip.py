"""STRIP: its sweeps against dense block Kaczmarz, noise, damp, refinement."""

import functools

import numpy as np
import pytest

from convinv import ConvLinearOperator, Status, solve
from convinv._problem.problem import Problem
from convinv.strips import _inverses, strip_plan
from convinv.strips._sweeps import AdditiveSchwarz, Sweeps
from support import oracles
from support.arrays import random
from support.quiet import quietly
from support.strip_layers import LAYERS, layer, strip_rows

run = functools.partial(quietly, method="strip")


def block_kaczmarz(A, b, blocks, sweeps):
    x = np.zeros(A.shape[1], A.dtype)
    for rows in blocks * sweeps:
        columns = np.flatnonzero(np.abs(A[rows]).sum(axis=0))
        block = A[np.ix_(rows, columns)]
        x[columns] += oracles.pinv(block) @ (b[rows] - block @ x[columns])
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
                res = run(
                    op, op.forward(x), factorization=factorization, rtol=1e-4, **options
                )
                assert res.success and res.nit == 1 and res.x.dtype == np.float32
                assert res.extra["factorization"] == (factorization,)
                np.testing.assert_allclose(res.x, x, atol=1e-3)

    def test_second_sweep_changes_nothing(self):
        op, h_b = layer("valid tall")
        b = op.forward(random((2, *op.input_shape), float))
        b += 0.1 * random(b.shape, float, 1)
        res = run(op, b, h_b=h_b, rtol=1e-10)
        assert res.status is Status.STALLED and res.nit == 1 and not res.success
        assert "refine=True" in res.message
        again = run(op, b, h_b=h_b, x0=res.x, rtol=1e-10)
        np.testing.assert_allclose(again.x, res.x, atol=1e-12)

    def test_rounding_errors_are_swept_again(self):
        kernel = np.random.default_rng(0).uniform(-1, 1, (5, 3, 3, 3)).astype("f")
        op = ConvLinearOperator(kernel, (3, 32, 32))
        b = op.forward(random((2, 3, 32, 32), "f"))
        once = run(op, b, rtol=1e-9, maxiter=1)
        more = run(op, b, rtol=1e-9)
        assert 1 < more.nit < 6 and more.status is Status.STALLED
        left, before = more.residual_norm, once.residual_norm
        assert (left < before).all()
        assert np.linalg.norm(left) < 0.7 * np.linalg.norm(before)

    def test_one_strip_is_the_pseudoinverse(self):
        for name in LAYERS:
            op, _ = layer(name, complex)
            b = random(op.output_shape, complex, 1)
            r = op.shape[0] // op.output_shape[0]
            res = solve(op, b, "strip", h_b=r, rtol=1e-10)
            want = oracles.pinv(op.tosparse().toarray()) @ b.ravel()
            np.testing.assert_allclose(res.x.ravel(), want, atol=1e-9)
            assert res.nit == 1

    def test_kaczmarz_finds_least_norm(self):
        op = ConvLinearOperator(random((2, 3, 3, 3), float), (3, 10, 10))
        b = random(op.output_shape, float, 1)
        want = oracles.pinv(op.tosparse().toarray()) @ b.ravel()
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
            psnr(run(op, op.forward(x), h_b=16, maxiter=sweeps, rtol=1e-12).x, x)
            for sweeps in (1, 2, 4, 8)
        ]
        assert np.all(np.diff(quality) > 1) and quality[0] < 30

    def test_inconsistent_ends(self):
        op, h_b = layer("zero wide")
        b = random((2, *op.output_shape), float)
        res = run(ConvLinearOperator(op.kernel[:, :1], (1, 8, 6), padding=1), b)
        assert res.status is Status.STALLED and np.isfinite(res.x).all()

    def test_batch_equals_items(self):
        op, h_b = layer("zero wide")
        b = random((3, *op.output_shape), float)
        b[1] = 0
        together = run(op, b, h_b=h_b, rtol=1e-6)
        assert not together.x[1].any()
        for x, item in zip(together.x, b):
            alone = run(op, item, h_b=h_b, rtol=1e-6)
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
            quality.append(psnr(run(op, b).x, normal_solution(op, b)))
        assert 42 < quality[0] < 52
        assert abs(quality[0] - quality[1] - 20) < 1e-6

    def test_averages_are_better(self):
        op, x = self.problem(3, 18)
        b = noisy(op, x, 0.01)
        want = normal_solution(op, b)
        for h_b in 64, 128:
            plain = psnr(run(op, b, h_b=h_b).x, want)
            average = psnr(run(op, b, h_b=h_b, overlap="average").x, want)
            assert 1 < average - plain < 5
        exact = run(op, b, h_b=256, rtol=1e-10)
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
        want = oracles.pinv(op.tosparse().toarray()) @ b.ravel()
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
        want = oracles.pinv(A) @ b.ravel()
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
        got = AdditiveSchwarz(sweeps.problem, sweeps)(np.eye(n, dtype=complex)).T
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


def test_inverses_are_kept(monkeypatch):
    """They are made once, and again for another damp, window or factorization."""
    made = []
    real = _inverses.pseudoinverse

    def counted(*args):
        made.append(args)
        return real(*args)

    monkeypatch.setattr(_inverses, "pseudoinverse", counted)
    op = ConvLinearOperator(random((5, 2, 3, 3), float), (2, 9, 10))
    b = random((2, *op.output_shape), float, 1)
    run(op, b)
    assert (first := len(made)) > 0
    again = run(op, random((1, *op.output_shape), float, 2))
    assert len(made) == first
    fresh = ConvLinearOperator(op.kernel, op.input_shape)
    want = run(fresh, random((1, *op.output_shape), float, 2))
    np.testing.assert_array_equal(again.x, want.x)
    assert op.cached_bytes > 0
    for options in ({"damp": 0.5}, {"h_b": 4}, {"factorization": "svd"}):
        before = len(made)
        run(op, b, **options)
        assert len(made) > before, options
