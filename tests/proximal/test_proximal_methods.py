"""The methods with priors, on problems with closed forms."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from convinv import ConvergenceWarning, ConvLinearOperator, gallery
from convinv.operators import MaskOperator
from convinv.proximal import NuclearNorm, Proximal, TotalVariation, admm, fista
from support.proximal_methods import METHODS


class Lasso(Proximal):
    """The sum of magnitudes, whose problems have closed forms and other solvers."""

    def __init__(self, weight):
        self.weight = weight

    def value(self, x):
        return self.weight * abs(x).sum()

    def prox(self, x, step):
        size = abs(x)
        kept = np.maximum(size - step * self.weight, 0)
        return x * (kept / np.where(size > 0, size, 1))


class Free(Proximal):
    """No prior at all."""

    def value(self, x):
        return 0.0

    def prox(self, x, step):
        return x


def lasso_problem(complex_=False):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((20, 12))
    if complex_:
        a = a + 1j * rng.standard_normal(a.shape)
    x = np.where(np.arange(12) % 3, 0, rng.standard_normal(12))
    return a, a @ x + 0.05 * rng.standard_normal(20)


class TestSolvers:
    @pytest.mark.parametrize("method", METHODS)
    def test_without_a_prior_it_is_least_squares(self, method):
        a, b = lasso_problem()
        result = METHODS[method](a, b, Free(), rtol=1e-10, maxiter=5000)
        assert result.success and result.method == method
        wanted = np.linalg.lstsq(a, b, rcond=None)[0]
        np.testing.assert_allclose(result.x, wanted, atol=1e-8)
        rest = b - a @ result.x
        assert result.residual_norm == pytest.approx(np.linalg.norm(rest))
        assert np.linalg.norm(a.T @ rest) <= 1e-10 * np.linalg.norm(a.T @ b)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("complex_", [False, True])
    def test_optimality_of_lasso(self, method, complex_):
        """The subgradient is zero: signs where x is not, at most one where it is."""
        (a, b), weight = lasso_problem(complex_), 2.0
        op = sparse.csr_array(a) if method == "fista" else aslinearoperator(a)
        result = METHODS[method](op, b, Lasso(weight), rtol=1e-9, maxiter=20000)
        assert result.success
        slope, x = a.conj().T @ (b - a @ result.x) / weight, result.x
        zero = np.abs(x) < 1e-9
        assert zero.any() and not zero.all()
        np.testing.assert_allclose(slope[~zero], x[~zero] / np.abs(x[~zero]), atol=1e-6)
        assert np.abs(slope[zero]).max() < 1 + 1e-6
        wanted = np.linalg.norm(b - a @ x) ** 2 / 2 + weight * np.abs(x).sum()
        assert result.objective == pytest.approx(wanted)

    @pytest.mark.parametrize("prior", ["nuclear", "variation"])
    def test_they_agree_on_a_blurred_image(self, prior):
        image = gallery.image("camera", 16)
        kernel = gallery.gaussian_kernel(5, 1.0)[None, None]
        op = ConvLinearOperator(kernel, image.shape, padding="same", boundary="reflect")
        noise = 0.01 * np.random.default_rng(0).standard_normal(op.output_shape)
        b = op.forward(image) + noise
        g = {
            "nuclear": NuclearNorm(0.02),
            "variation": TotalVariation(0.003),
        }[prior]
        rtol = {"nuclear": 1e-7, "variation": 1e-5}[prior]
        found = [f(op, b, g, rtol=rtol, maxiter=3000) for f in (fista, admm)]
        assert all(r.success for r in found)
        values = [r.objective for r in found]
        assert values[0] == pytest.approx(values[1], rel=1e-4)
        np.testing.assert_allclose(found[0].x, found[1].x, atol=0.03)
        error = np.linalg.norm(found[0].x - image)
        if prior == "variation":
            assert error < 0.9 * np.linalg.norm(b.reshape(image.shape) - image)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("scale", [1e-100, 1e100])
    def test_scale(self, method, scale):
        a, b = lasso_problem()
        plain = METHODS[method](a, b, Lasso(2.0), maxiter=5000)
        scaled = METHODS[method](a, b * scale, Lasso(2.0 * scale), maxiter=5000)
        assert plain.success and scaled.success
        np.testing.assert_allclose(scaled.x / scale, plain.x, atol=1e-6)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("dtype", ["f4", "c8"])
    def test_single_precision(self, method, dtype):
        a, b = lasso_problem(dtype == "c8")
        a, b = a.astype(dtype), b.astype(dtype)
        result = METHODS[method](a, b, Lasso(2.0), rtol=1e-5, maxiter=5000)
        assert result.success and result.x.dtype == dtype
        wide = METHODS["fista"](a.astype("c16"), b, Lasso(2.0), rtol=1e-9).x
        np.testing.assert_allclose(result.x, wide, atol=1e-4)

    @pytest.mark.parametrize("method", METHODS)
    def test_shape_and_batch(self, method):
        """What g sees: the shape asked for, with the axes of a batch before."""
        rng = np.random.default_rng(1)
        a = rng.standard_normal((14, 12))
        b = rng.standard_normal((2, 14))
        options = {"rtol": 1e-8, "maxiter": 20000}
        both = METHODS[method](a, b, NuclearNorm(1.0), shape=(3, 4), **options)
        assert both.success and both.x.shape == (2, 3, 4)
        for i in range(2):
            one = METHODS[method](a, b[i], NuclearNorm(1.0), shape=(3, 4), **options)
            assert one.x.shape == (3, 4)
            np.testing.assert_allclose(both.x[i], one.x, atol=1e-5)

    @pytest.mark.parametrize("method", METHODS)
    def test_contract(self, method):
        a, b = lasso_problem()
        before = a.copy(), b.copy()
        states = []
        solve = METHODS[method]
        result = solve(a, b, Lasso(2.0), callback=lambda s: states.append(s.nit))
        assert (
            states
            == list(range(1, result.nit + 1))
            == list(range(1, len(result.history) + 1))
        )
        np.testing.assert_array_equal(a, before[0])
        np.testing.assert_array_equal(b, before[1])
        assert "success: True" in repr(result)
        stopped = solve(a, b, Lasso(2.0), callback=lambda s: s.nit == 3)
        assert stopped.nit == 3 and stopped.status.name == "STOPPED"
        assert not stopped.success
        with pytest.warns(ConvergenceWarning, match=f"{method}: the iteration limit"):
            short = solve(a, b, Lasso(2.0), maxiter=2)
        assert short.nit == 2 and short.status.name == "MAXITER"
        start = np.ones(12)
        with pytest.warns(ConvergenceWarning):
            none = solve(a, b, Lasso(2.0), maxiter=0, x0=start)
        assert none.nit == 0 and not np.shares_memory(none.x, start)
        warm = solve(a, b, Lasso(2.0), x0=result.x)
        assert warm.nit < result.nit
        zero = solve(a, 0 * b, Lasso(2.0))
        assert zero.success and not zero.x.any()

    @pytest.mark.parametrize("method", METHODS)
    def test_not_finite(self, method):
        """A prior that breaks is no success, and no hang."""

        class Broken(Lasso):
            def prox(self, x, step):
                return x * np.nan

        a, b = lasso_problem()
        with pytest.warns(ConvergenceWarning, match="non-finite"):
            result = METHODS[method](a, b, Broken(1.0))
        assert not result.success and result.nit == 1

    @pytest.mark.parametrize("method", METHODS)
    def test_operators_that_break(self, method):
        """After a while no success, and no hang; from the start an error."""
        mask = np.random.default_rng(0).random((6, 6)) < 0.7

        class Breaking(MaskOperator):
            left = 8

            def _apply(self, X):
                self.left -= 1
                return super()._apply(X) * (1.0 if self.left > 0 else np.nan)

        op, b = Breaking(mask), np.ones(mask.sum())
        with pytest.warns(ConvergenceWarning, match="non-finite") as warned:
            result = METHODS[method](op, b, NuclearNorm(0.1), rtol=1e-14)
        assert result.status.name == "NONFINITE" and 1 < result.nit <= 8
        assert warned[0].filename == __file__
        with pytest.raises(ValueError, match="product.* not finite"):
            METHODS[method](np.full((3, 3), np.inf), np.ones(3), NuclearNorm())

    @pytest.mark.parametrize("method", ["proximal_gradient", "fista"])
    def test_steps_that_are_too_long_are_shortened(self, method):
        a, b = lasso_problem()
        size = np.linalg.norm(a, 2) ** 2
        options = {"rtol": 1e-9, "maxiter": 20000}
        result = METHODS[method](a, b, Lasso(2.0), step=100 / size, **options)
        assert result.success and result.extra["step"] < 2 / size
        wanted = METHODS[method](a, b, Lasso(2.0), **options)
        np.testing.assert_allclose(result.x, wanted.x, atol=1e-7)

    def test_restart(self):
        a, b = lasso_problem()
        slow = fista(a, b, Lasso(2.0), restart=False, rtol=1e-10, maxiter=20000)
        fast = fista(a, b, Lasso(2.0), rtol=1e-10, maxiter=20000)
        assert slow.success and fast.nit < slow.nit
        np.testing.assert_allclose(slow.x, fast.x, atol=1e-8)

    def test_refuses(self):
        a, b = lasso_problem()
        g = Lasso(1.0)
        with pytest.raises(TypeError, match="g must have a method prox"):
            fista(a, b, 1.0)
        with pytest.raises(ValueError, match=r"b must have shape \(20,\).*\(19,\)"):
            fista(a, b[:19], g)
        with pytest.raises(ValueError, match="b holds NaN"):
            admm(a, b * np.nan, g)
        with pytest.raises(ValueError, match="shape must have 12 entries"):
            fista(a, b, g, shape=(3, 5))
        with pytest.raises(ValueError, match=r"x0 must have shape \(12,\)"):
            fista(a, b, g, x0=np.ones(11))
        with pytest.raises(ValueError, match="rtol must be finite and not negative"):
            fista(a, b, g, rtol=-1)
        with pytest.raises(ValueError, match="step must be finite and positive"):
            fista(a, b, g, step=0)
        with pytest.raises(TypeError, match="maxiter must be an integer"):
            fista(a, b, g, maxiter=1.5)
        with pytest.raises(TypeError, match="callback must be callable"):
            fista(a, b, g, callback=1)
        with pytest.raises(ValueError, match="data must be one of 'soft', 'hard'"):
            admm(a, b, g, data="firm")
        with pytest.raises(ValueError, match="dual_step must be less than 1.618"):
            admm(a, b, g, dual_step=1.7)
        one_way = aslinearoperator(a)
        one_way = sparse.linalg.LinearOperator(a.shape, matvec=one_way.matvec)
        with pytest.raises(TypeError, match="op must have an adjoint"):
            fista(one_way, b, g)
