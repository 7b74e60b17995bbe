"""Randomized block Kaczmarz against dense steps, its options and its limits."""

import functools

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv.strips import arrangement, sweep_analysis
from support import oracles
from support.arrays import random
from support.layers import matrix
from support.quiet import quietly
from support.strip_layers import KINDS, LAYERS, block_kaczmarz, layer, strip_rows

run = functools.partial(quietly, method="rbk")


def system(m=60, n=20, seed=0, rank=None):
    """A consistent system and its solution of least norm."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n))
    if rank:
        A = A[:, :rank] @ rng.standard_normal((rank, n))
    b = A @ rng.standard_normal(n)
    return A, b, oracles.pinv(A) @ b


class TestSteps:
    @pytest.mark.parametrize("name", LAYERS)
    def test_cyclic_iterations_are_sweeps(self, name):
        op, h_b = layer(name, complex)
        A, b = matrix(op), random(op.output_shape, complex, 1)
        h_b = h_b if op.shape[0] // op.output_shape[0] % h_b == 0 else 1
        lists = {
            "strip": arrangement(op, "strip", h_b=h_b),
            "standard": arrangement(op, "standard", h_b=h_b),
        }
        for kind, blocks in lists.items():
            seen = []
            options = {"partition": kind, "blocks": len(blocks), "order": "cyclic"}
            run(
                op,
                b,
                **options,
                maxiter=2,
                rtol=0,
                callback=lambda state: seen.append(state.x.ravel() + 0),
            )
            x = np.zeros(A.shape[1])
            for got in seen:
                x = block_kaczmarz(A, b.ravel(), blocks, x)
                np.testing.assert_allclose(got, x, atol=1e-8 * np.abs(x).max())
            assert seen

    def test_same_sweeps_as_strip(self):
        op, h_b = layer("zero wide")
        b = random((2, *op.output_shape), float)
        one = run(op, b, order="cyclic", blocks=48 // h_b, maxiter=3, rtol=0)
        with pytest.warns(ConvergenceWarning):
            other = solve(op, b, "strip", h_b=h_b, maxiter=3, rtol=0)
        np.testing.assert_allclose(one.x, other.x, atol=1e-12)
        np.testing.assert_allclose(one.history, other.history, rtol=1e-9)

    def test_random_steps_are_drawn_from_the_partition(self):
        """An iteration is as many draws as blocks, with repetitions."""
        A, b, _ = system(m=18)
        blocks = np.array_split(np.arange(18), 3)
        reached = []
        for seed in range(40):
            got = run(A, b, partition=blocks, maxiter=1, rtol=0, rng=seed).x
            found = [
                order
                for order in np.ndindex(3, 3, 3)
                if np.allclose(
                    got, block_kaczmarz(A, b, [blocks[i] for i in order], np.zeros(20))
                )
            ]
            assert found
            reached.append(found[0])
        assert len(set(reached)) > 8  # of 27, of which those that repeat a block agree

    @pytest.mark.parametrize("kind", KINDS[1:])
    def test_the_error_never_grows(self, kind):
        A, b, best = system(m=50, n=30, rank=12)
        errors = []
        solve(
            A,
            b,
            "rbk",
            partition=kind,
            blocks=10,
            rng=0,
            rtol=1e-10,
            callback=lambda state: errors.append(np.linalg.norm(state.x - best)),
        )
        assert len(errors) > 3 and np.all(np.diff(errors) <= 1e-9)

    def test_convergence_bound(self):
        """Needell and Tropp, theorem 1.2, for rows of norm one; mean over seeds."""
        rng = np.random.default_rng(0)
        A = rng.standard_normal((80, 15))
        A /= np.linalg.norm(A, axis=1, keepdims=True)
        best = rng.standard_normal(15)
        blocks = np.array_split(np.arange(80), 16)
        upper = max(np.linalg.norm(A[rows], 2) ** 2 for rows in blocks)
        least = np.linalg.svd(A, compute_uv=False)[-1] ** 2
        factor = (1 - least / upper / 16) ** 16  # of one iteration
        errors = []
        for seed in range(40):
            x = run(A, A @ best, partition=blocks, maxiter=1, rtol=0, rng=seed).x
            errors.append(np.sum((x - best) ** 2))
        assert np.mean(errors) <= factor * np.sum(best**2)


class TestAnswers:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("order", ["random", "cyclic"])
    def test_least_norm_of_layers(self, kind, order):
        op = ConvLinearOperator(random((2, 3, 3, 3), float), (3, 8, 8))
        b = random((2, *op.output_shape), float, 1)
        options = {"partition": kind, "order": order, "blocks": 6}
        res = solve(op, b, "rbk", rng=0, rtol=1e-10, **options)
        assert res.success and res.extra["blocks"] == 6
        want = b.reshape(2, -1) @ oracles.pinv(matrix(op)).T
        np.testing.assert_allclose(res.x.reshape(2, -1), want, atol=1e-7)

    @pytest.mark.parametrize("form", [np.asarray, sparse.csc_array, aslinearoperator])
    @pytest.mark.parametrize(
        ("m", "n", "rank"), [(60, 20, None), (20, 60, None), (60, 30, 10)]
    )
    def test_least_norm_of_matrices(self, m, n, rank, form):
        A, b, best = system(m, n, rank=rank)
        res = solve(form(A), b, "rbk", rng=0, rtol=1e-12)
        assert res.success
        np.testing.assert_allclose(res.x, best, atol=1e-8 * np.linalg.norm(best))

    def test_overlapping_blocks(self):
        A, b, best = system()
        blocks = [np.arange(0, 15), np.arange(10, 40), np.arange(30, 60)]
        res = solve(A, b, "rbk", partition=blocks, rng=0, rtol=1e-12)
        np.testing.assert_allclose(res.x, best, atol=1e-8)
        damped = solve(A, b, "rbk", partition=blocks, rng=0, rtol=1e-9, damp=20.0)
        want = np.linalg.solve(A.T @ A + 400 * np.eye(20), A.T @ b)
        np.testing.assert_allclose(damped.x, want, atol=1e-6)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ["valid tall", "valid wide", "zero"])
    def test_damped(self, name, kind):
        op, _ = layer(name, complex)
        A, b = matrix(op), random(op.output_shape, complex, 1)
        want = np.linalg.solve(
            A.conj().T @ A + 4 * np.eye(A.shape[1]), A.conj().T @ b.ravel()
        )
        start = random(op.input_shape, complex, 2)
        for x0 in (None, start):
            res = solve(
                op,
                b,
                "rbk",
                partition=kind,
                blocks=4,
                damp=2.0,
                rtol=1e-9,
                x0=x0,
                rng=0,
            )
            np.testing.assert_allclose(res.x.ravel(), want, atol=1e-7)

    def test_batch_equals_items(self):
        op, h_b = layer("zero wide")
        b = random((3, *op.output_shape), float)
        b[1] = 0
        together = run(op, b, rng=0)
        assert not together.x[1].any()
        for x, item in zip(together.x, b):
            np.testing.assert_allclose(x, run(op, item, rng=0).x, atol=1e-12)


class TestInconsistent:
    def data(self):
        A, b, _ = system(m=60, n=20)
        return A, b + np.random.default_rng(1).standard_normal(60)

    @pytest.mark.parametrize("order", ["random", "cyclic"])
    def test_ends_and_says_so(self, order):
        A, b = self.data()
        res = run(A, b, order=order, blocks=6, rng=0)
        assert res.status is Status.STALLED and res.nit in (200, 300, 400)
        assert "not in the range of A" in res.message and "'cgls'" in res.message
        best = np.linalg.lstsq(A, b)[0]
        distance = np.linalg.norm(res.x - best)
        assert 1e-3 < distance / np.linalg.norm(best) < 1

    def test_cyclic_limit_is_the_fixed_point(self):
        A, b = self.data()
        res = run(A, b, partition="standard", order="cyclic", blocks=6)
        found = sweep_analysis(A, "standard", strips=6)
        np.testing.assert_allclose(res.x, found.fixed_point(b), atol=1e-8)

    def test_one_block_is_the_pseudoinverse(self):
        A, b = self.data()
        for scaled in (False, True):
            res = run(A, b, blocks=1, normalize=scaled, rng=0, rtol=1e-10)
            norms = np.linalg.norm(A, axis=1) if scaled else np.ones(60)
            want = oracles.pinv(A / norms[:, None]) @ (b / norms)
            np.testing.assert_allclose(res.x, want, atol=1e-9)
            assert res.success != scaled  # it is another least-squares problem

    def test_damp_helps(self):
        A, b = self.data()
        res = solve(A, b, "rbk", blocks=6, damp=2.0, rng=0)
        assert res.success and "range" not in res.message


class TestOptions:
    def test_defaults(self):
        op, _ = layer("valid tall")
        b = op.forward(random(op.input_shape, float))
        res = solve(op, b, "rbk", rng=0)
        assert res.extra["blocks"] == len(strip_rows(op, 6))
        assert res.extra["factorization"] == ("qr",)
        res = solve(op, b, "rbk", rng=0, factorization="svd")
        assert res.success and res.extra["factorization"] == ("svd",)
        A, b, _ = system()
        assert solve(A, b, "rbk", rng=0).extra["blocks"] == 3

    def test_seeds(self):
        A, b, _ = system()
        one, two, three = (
            run(A, b, partition="interleaved", maxiter=2, rtol=0, rng=seed).x
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, three)

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"partition": "rows"}, ValueError, "partition must be one of 'strip'"),
            ({"partition": 3}, TypeError, "partition must be one of 'strip'"),
            ({"partition": [[0, 1]]}, ValueError, "every row, but 238 of 240 are in"),
            ({"partition": [[0, 0]]}, ValueError, "block 0 names a row twice"),
            ({"partition": [[0]], "blocks": 1}, ValueError, "blocks is for arrangem"),
            ({"blocks": 0}, ValueError, "blocks must be between 1 and the 240"),
            ({"blocks": 5}, ValueError, "blocks must be one of 1, 2, 4"),
            ({"blocks": 2.5}, TypeError, "blocks must be an integer"),
            ({"order": "shuffled"}, ValueError, "order must be one of 'random'"),
            ({"normalize": "yes"}, TypeError, "normalize must be True or False"),
            ({"factorization": "lu"}, ValueError, "factorization must be one of"),
            ({"rcond": 1}, ValueError, "rcond must be"),
            ({"memory": 1e3}, ValueError, "MiB, more than the memory of 0 MiB"),
        ],
    )
    def test_errors(self, options, error, words):
        op, _ = layer("zero")
        with pytest.raises(error, match=words):
            solve(op, np.ones(op.output_shape), "rbk", **options)

    def test_operators(self):
        A, b, _ = system()
        op = LinearOperator(A.shape, lambda v: A @ v, lambda v: A.T @ v, dtype=float)
        with pytest.raises(TypeError, match="needs the operator's rows"):
            solve(op, b, "rbk")
        with pytest.raises(TypeError, match="only a ConvLinearOperator has strips"):
            solve(A, b, "rbk", partition="strip")


@pytest.mark.parametrize("damp", [0.0, 0.3])
@pytest.mark.parametrize("form", ["layer", "dense", "csr"])
@pytest.mark.parametrize("empty", [[], np.zeros(0, int)], ids=["list", "array"])
def test_empty_blocks_do_nothing(empty, form, damp):
    rng = np.random.default_rng(0)
    layer = ConvLinearOperator(rng.standard_normal((4, 1, 3, 3)), (1, 6, 7))
    op = {"layer": layer, "dense": layer.todense(), "csr": layer.tosparse()}[form]
    b = rng.standard_normal(layer.shape[0])
    half = layer.shape[0] // 2
    blocks = [np.arange(half), np.arange(half, layer.shape[0])]
    found = [
        run(op, b, partition=parts, order="cyclic", maxiter=3, damp=damp).x
        for parts in (blocks, [empty, blocks[0], empty, blocks[1]])
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)
