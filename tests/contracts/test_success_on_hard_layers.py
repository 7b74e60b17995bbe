"""What is proven of x where layers are ill-conditioned or singular."""

import gc
import weakref

import numpy as np
import pytest
import scipy.sparse.linalg as sla

from convinv import ConvLinearOperator, solve
from support.quiet import quietly


class TestProof:
    """What the normal residual proves, and what it does not."""

    def poisson(self, n):
        kernel = np.array([[0, -1, 0], [-1, 4.0, -1], [0, -1, 0]])[None, None]
        return ConvLinearOperator(kernel, (1, n, n), padding=1)

    @pytest.mark.parametrize("method", ["cg", "gmres", "cgls", "lsmr"])
    def test_smooth_residuals_of_a_warm_start(self, method):
        n = 64
        op = self.poisson(n)
        lu = sla.splu(op.tosparse().tocsc())
        s = np.sin(np.pi * np.arange(1, n + 1) / (n + 1))
        old = np.random.default_rng(0).standard_normal((1, n, n))
        new = old + 0.02 * np.outer(s, s)
        x0, x = (lu.solve(b.ravel()).reshape(b.shape) for b in (old, new))
        result = quietly(op, new, method, x0=x0, maxiter=400)
        error = np.linalg.norm(result.x - x) / np.linalg.norm(x)
        assert not result.success or error < 1e-2
        residual = np.linalg.norm(new - op.forward(result.x))
        assert not result.success or residual <= 1e-6 * np.linalg.norm(new)

    @pytest.mark.parametrize("method", ["cgls", "lsqr", "lsmr", "auto"])
    def test_square_ill_conditioned_layers(self, method):
        rng = np.random.default_rng(0)
        kernel = rng.uniform(-1, 1, (3, 3, 3, 3)) / np.sqrt(27)
        op = ConvLinearOperator(kernel, (3, 20, 20), padding=1)
        x = rng.random(op.input_shape)
        result = solve(op, op.forward(x), method, rtol=1e-6)
        error = np.linalg.norm(result.x - x) / np.linalg.norm(x)
        assert result.success and result.residual_norm <= 1e-6 * 1e3
        assert error <= 2 * result.error_bound <= 1
        assert result.error_bound < 1e-3 or "off by" in result.message

    @pytest.mark.parametrize("method", ["cgls", "lsmr", "kaczmarz", "gauss-seidel"])
    def test_damping_bounds_the_error_of_every_method(self, method):
        rng = np.random.default_rng(0)
        A, b = rng.standard_normal((20, 20)), rng.standard_normal(20)
        result = solve(A, b, method, damp=0.5, maxiter=9000)
        x = np.linalg.solve(A.T @ A + 0.25 * np.eye(20), A.T @ b)
        assert result.success
        error = np.linalg.norm(result.x - x) / np.linalg.norm(x)
        assert error <= result.error_bound < 1e-2

    def test_single_precision_reaches_what_double_does(self):
        rng = np.random.default_rng(0)
        kernel = (rng.uniform(-1, 1, (3, 3, 3, 3)) / np.sqrt(27)).astype("f4")
        op = ConvLinearOperator(kernel, (3, 20, 20), padding=1)
        x = rng.random(op.input_shape, dtype="f4")
        b = op.forward(x)
        errors = []
        for o in (op, op.astype("f8")):
            result = solve(o, b)
            errors.append(np.linalg.norm(result.x - x) / np.linalg.norm(x))
            assert result.success
        assert errors[0] <= 2 * errors[1] + 1e-6

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("method", ["auto", "cgls", "lsmr"])
    def test_inconsistent_square_problems(self, method, dtype):
        """A singular blur and data outside its range: shown by the normal residual."""
        kernel = np.array([[[0.25, 0.5, 0.25]]])
        op = ConvLinearOperator(
            kernel.astype(dtype), (1, 16), padding="same", boundary="periodic"
        )
        b = np.random.default_rng(0).standard_normal((1, 16)).astype(dtype)
        result = solve(op, b, method)
        assert result.success and "not in the range" in result.message
        want = np.linalg.pinv(op.todense().astype(float), rcond=1e-6) @ b.ravel()
        np.testing.assert_allclose(result.x.ravel(), want, atol=1e-3)

    def test_norms_of_taps_that_meet_only_padding(self):
        op = ConvLinearOperator([[[1e16, 1.0, 1e16]]], (1, 1), padding=1)
        result = solve(op, [[1.0]], "cgls")
        assert result.success
        np.testing.assert_allclose(result.x, 1)


class TestSingularLayers:
    """Choosing a method is part of a solve: nothing internal leaves it."""

    KERNELS = {
        "laplacian": [[0, -1, 0], [-1, 4.0, -1], [0, -1, 0]],
        "dx": [[0, 0, 0], [-1.0, 1, 0], [0, 0, 0]],
        "sobel": [[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        "binomial": [[1.0, 2, 1], [2, 4, 2], [1, 2, 1]],
        "box": [[1.0, 1, 0], [1, 1, 0], [0, 0, 0]],
    }

    @pytest.mark.parametrize("padding", [0, 1])
    @pytest.mark.parametrize("boundary", ["zero", "reflect", "replicate", "symmetric"])
    @pytest.mark.parametrize("name", KERNELS)
    def test_default_solves_and_reports(self, name, boundary, padding):
        from convinv import layer_report

        kernel = np.array(self.KERNELS[name])[None, None]
        for size in ((12, 15), (130, 136)):
            op = ConvLinearOperator(
                kernel, (1, *size), padding=padding, boundary=boundary
            )
            b = op.forward(np.random.default_rng(0).standard_normal((1, *size)))
            result = quietly(op, b, maxiter=300)
            residual = np.linalg.norm(b - op.forward(result.x))
            assert not result.success or residual <= 2e-6 * np.linalg.norm(b)
            if size == (12, 15):
                A = op.todense()
                least = np.linalg.pinv(A, rcond=1e-11) @ b.ravel()
                error = np.linalg.norm(result.x.ravel() - least)
                assert not result.success or error <= 1e-2 * np.linalg.norm(least)
                layer_report(op)

    def test_more_filters_than_channels_in_a_wide_layer(self):
        kernel = np.random.default_rng(0).standard_normal((3, 2, 9, 9))
        op = ConvLinearOperator(kernel, (2, 24, 24))
        assert op.shape[0] < op.shape[1]
        b = op.forward(np.ones((2, 24, 24)))
        result = solve(op, b)
        assert result.success
        assert np.linalg.norm(b - op.forward(result.x)) <= 1e-6 * np.linalg.norm(b)

    def test_dead_and_equal_filters(self):
        kernel = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
        kernel[1], kernel[2] = kernel[0], 0
        op = ConvLinearOperator(kernel, (3, 14, 14), padding=1)
        b = op.forward(np.random.default_rng(1).standard_normal((3, 14, 14)))
        result = solve(op, b, rtol=1e-11)
        assert result.success
        least = np.linalg.pinv(op.todense(), rcond=1e-10) @ b.ravel()
        np.testing.assert_allclose(result.x.ravel(), least, atol=1e-4)

    @pytest.mark.parametrize("size", [25, 49])
    def test_periodic_layers_that_are_no_torus_with_damp(self, size):
        kernel = np.random.default_rng(0).standard_normal((2, 1, 3, 3))
        op = ConvLinearOperator(
            kernel, (1, size, size), padding=1, stride=2, boundary="periodic"
        )
        b = op.forward(np.ones((1, size, size)))
        result = solve(op, b, damp=4e-3)
        assert result.success and result.nit < 1000
        single = op.astype("f4")
        assert solve(single, b.astype("f4"), damp=1e-3, rtol=1e-4).success


class TestMemoryKept:
    @pytest.mark.parametrize("method", ["schwarz", "direct", "auto", "strip", "cgls"])
    def test_operators_go_when_nobody_holds_them(self, method):
        """Without a cycle the reference count frees an operator and its set-ups."""
        kernel = np.random.default_rng(0).standard_normal((8, 3, 3, 3))
        named = {"preconditioner": "schwarz"} if method == "cgls" else {}

        def solved():
            op = ConvLinearOperator(kernel, (3, 20, 20))
            quietly(op, np.ones(op.output_shape), method, maxiter=1, **named)
            return weakref.ref(op)

        solved()  # the first time kernels are compiled
        gc.collect()
        gc.disable()
        try:
            assert solved()() is None
        finally:
            gc.enable()
