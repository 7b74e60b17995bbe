"""Priors, sampling operators, and the iterations that put them together."""

import numpy as np
import pytest
from scipy import optimize, sparse
from scipy.sparse.linalg import aslinearoperator

from convinv import ConvergenceWarning, ConvLinearOperator, gallery
from convinv.lowrank import nuclear_norm, tensor_nuclear_norm
from convinv.operators import FourierSampling, MaskOperator
from convinv.proximal import (
    NuclearNorm,
    Proximal,
    TensorNuclearNorm,
    TotalVariation,
    admm,
    fista,
    prox_total_variation,
    proximal_gradient,
    total_variation,
)

METHODS = {f.__name__: f for f in (proximal_gradient, fista, admm)}


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


def differences(shape, axes):
    """The matrices of forward differences."""
    made = []
    for axis in axes:
        parts = [sparse.eye_array(n) for n in shape]
        n = shape[axis]
        d = sparse.diags_array(
            [-np.ones(n), np.ones(n - 1)], offsets=[0, 1], shape=(n, n)
        ).tolil()
        d[-1] = 0
        parts[axis] = d.tocsr()
        whole = parts[0]
        for part in parts[1:]:
            whole = sparse.kron(whole, part)
        made.append(whole.toarray())
    return made


class TestTotalVariation:
    def test_value(self):
        x = np.random.default_rng(0).standard_normal((3, 4, 5))
        d = [m @ x.ravel() for m in differences(x.shape, (1, 2))]
        norms = np.sqrt(d[0] ** 2 + d[1] ** 2).sum()
        assert total_variation(x) == pytest.approx(norms)
        apart = np.abs(d).sum()
        assert total_variation(x, isotropic=False) == pytest.approx(apart)
        one = np.abs(differences(x.shape, (0,))[0] @ x.ravel()).sum()
        assert total_variation(x, axes=0) == pytest.approx(one)

    @pytest.mark.parametrize("weight", [0.1, 0.6, 5.0])
    def test_anisotropic_oracle(self, weight):
        """The dual is a least-squares problem with bounds."""
        x = np.random.default_rng(1).standard_normal((5, 6))
        d = np.vstack(differences(x.shape, (0, 1)))
        p = optimize.lsq_linear(d.T, x.ravel(), bounds=(-weight, weight), tol=1e-14).x
        wanted = (x.ravel() - d.T @ p).reshape(x.shape)
        found = prox_total_variation(x, weight, isotropic=False, rtol=1e-7)
        np.testing.assert_allclose(found, wanted, atol=1e-6)

    @pytest.mark.parametrize("dtype", ["f8", "c16"])
    def test_isotropic_minimum(self, dtype):
        rng = np.random.default_rng(2)
        x, weight = rng.standard_normal((6, 5)).astype(dtype), 0.4
        if dtype == "c16":
            x += 1j * rng.standard_normal((6, 5))
        z = prox_total_variation(x, weight, rtol=1e-9, maxiter=20000)

        def objective(z):
            return np.sum(np.abs(z - x) ** 2) / 2 + weight * total_variation(z)

        best = objective(z)
        for _ in range(200):
            d = rng.standard_normal(x.shape).astype(dtype)
            if dtype == "c16":
                d += 1j * rng.standard_normal(x.shape)
            # strongly convex: so much larger it has to be
            more = np.sum(np.abs(1e-3 * d) ** 2) / 2
            assert objective(z + 1e-3 * d) >= best + more * (1 - 1e-3)

    def test_one_step(self):
        """Two plateaus move towards each other by weight / length."""
        x = np.repeat([0.0, 1.0], [4, 6])
        z = prox_total_variation(x, 0.6, axes=0, rtol=1e-9, maxiter=10000)
        np.testing.assert_allclose(z, np.repeat([0.15, 0.9], [4, 6]), atol=1e-7)
        z = prox_total_variation(x, 100.0, axes=0, rtol=1e-9, maxiter=10000)
        np.testing.assert_allclose(z, 0.6, atol=1e-7)
        same = prox_total_variation(x, 0.0, axes=0)
        assert np.array_equal(same, x) and not np.shares_memory(same, x)

    def test_precision_is_kept(self):
        x = np.random.default_rng(3).standard_normal((2, 8, 8)).astype("f4")
        assert prox_total_variation(x, 0.1).dtype == np.float32

    def test_warns_where_it_ends_too_early(self):
        x = np.random.default_rng(4).standard_normal((16, 16))
        with pytest.warns(ConvergenceWarning, match="20 iterations were not enough"):
            prox_total_variation(x, 10.0, rtol=1e-8, maxiter=20)

    def test_starts_where_it_ended(self):
        x = np.random.default_rng(5).standard_normal((12, 12))
        prox = TotalVariation(1.0, rtol=1e-7, maxiter=5000).start()
        first = prox(x, 0.3)
        again = prox(x + 1e-6, 0.3)
        np.testing.assert_allclose(first, again, atol=1e-5)
        fresh = TotalVariation(1.0, rtol=1e-7, maxiter=5000).prox(x, 0.3)
        np.testing.assert_array_equal(first, fresh)

    @pytest.mark.parametrize("axes", [(0, 0), (2,), (), (0.5,)])
    def test_refuses_axes(self, axes):
        with pytest.raises(ValueError, match=r"axes must be different axes.*\(3, 3\)"):
            total_variation(np.eye(3), axes=axes)

    def test_refuses_weights(self):
        with pytest.raises(ValueError, match="finite and not negative"):
            prox_total_variation(np.eye(3), -1.0)
        with pytest.raises(ValueError, match="weight must be finite and not negative"):
            TotalVariation(-1.0)
        with pytest.raises(TypeError, match="weight must be a number"):
            NuclearNorm("much")


class TestSampling:
    OPERATORS = {
        "mask": lambda m: MaskOperator(m),
        "mask complex": lambda m: MaskOperator(m, dtype="c8"),
        "centred": lambda m: FourierSampling(m),
        "plain": lambda m: FourierSampling(m, axes=(0, 2), centred=False),
        "one axis": lambda m: FourierSampling(m, axes=(1,)),
    }

    @pytest.mark.parametrize("kind", OPERATORS)
    @pytest.mark.parametrize("precision", ["4", "8"])
    def test_adjoint(self, kind, precision):
        rng = np.random.default_rng(0)
        mask = rng.random((4, 5, 3)) < 0.5
        op = self.OPERATORS[kind](mask)
        x, y = (rng.standard_normal(n) + 1j * rng.standard_normal(n) for n in
                (op.shape[1], op.shape[0]))  # fmt: skip
        x, y = (v.astype(f"c{2 * int(precision)}") for v in (x, y))
        ax, aty = op @ x, op.H @ y
        assert ax.dtype == aty.dtype == x.dtype
        eps = np.finfo(x.dtype).eps
        assert abs(np.vdot(y, ax) - np.vdot(aty, x)) < 20 * eps * len(x)
        np.testing.assert_allclose(op @ (op.H @ y), y, atol=20 * eps)
        np.testing.assert_array_equal(op.mask, mask)
        X = np.stack([x, 2 * x]).reshape(2, *mask.shape)
        np.testing.assert_allclose(op.forward(X)[1], 2 * ax, rtol=1e-5, atol=20 * eps)

    def test_fourier_oracle(self):
        """The definition, with frequency and place counted from the middle."""
        mask = np.ones((4, 5), bool)
        x = np.random.default_rng(1).standard_normal((4, 5))
        found = FourierSampling(mask).forward(x).reshape(4, 5)
        k, j = np.arange(4) - 2, np.arange(5) - 2
        one = np.exp(-2j * np.pi * np.outer(k, k) / 4) / 2
        other = np.exp(-2j * np.pi * np.outer(j, j) / 5) / np.sqrt(5)
        np.testing.assert_allclose(found, one @ x @ other.T, atol=1e-14)

    def test_matrix(self):
        mask = np.array([[True, False, True]])
        dense = MaskOperator(mask) @ np.eye(3)
        np.testing.assert_array_equal(dense, np.eye(3)[[0, 2]])

    def test_refuses(self):
        with pytest.raises(TypeError, match="mask must be a boolean array"):
            MaskOperator(np.ones((2, 2)))
        with pytest.raises(ValueError, match="keep at least one entry"):
            MaskOperator(np.zeros((2, 2), bool))
        with pytest.raises(TypeError, match="dtype must be complex"):
            FourierSampling(np.ones((2, 2), bool), dtype="f8")
        with pytest.raises(ValueError, match="axes must be different axes"):
            FourierSampling(np.ones((2, 2), bool), axes=(0, 2))


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

            def _forward(self, x):
                self.left -= 1
                return super()._forward(x) * (1.0 if self.left > 0 else np.nan)

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
        with pytest.raises(ValueError, match="data must be 'soft' or 'hard'"):
            admm(a, b, g, data="firm")
        with pytest.raises(ValueError, match="dual_step must be less than 1.618"):
            admm(a, b, g, dual_step=1.7)
        one_way = aslinearoperator(a)
        one_way = sparse.linalg.LinearOperator(a.shape, matvec=one_way.matvec)
        with pytest.raises(TypeError, match="op must have an adjoint"):
            fista(one_way, b, g)


def tubal(rng, shape, rank, transform=np.fft.fft, back=np.fft.ifft):
    """A tensor whose slices in the Fourier domain have a rank."""
    m, n, k = shape
    p = np.fft.fft(rng.standard_normal((m, rank, k)))
    q = np.fft.fft(rng.standard_normal((rank, n, k)))
    x = np.fft.ifft(np.einsum("irk,rjk->ijk", p, q)).real
    return x / np.abs(x).max()


class TestHardData:
    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("scale", [1.0, 255.0])
    def test_recovers_a_tensor(self, seed, scale):
        """The bar: tubal rank 3, half of the entries, 200 iterations."""
        rng = np.random.default_rng(seed)
        x = scale * tubal(rng, (40, 40, 8), 3)
        mask = rng.random(x.shape) < 0.5
        op, g = MaskOperator(mask), TensorNuclearNorm()
        result = admm(op, x[mask], g, data="hard", rtol=1e-10, maxiter=200)
        assert result.success and result.nit <= 200
        np.testing.assert_array_equal(result.x[mask], x[mask])
        assert np.linalg.norm(result.x - x) < 1e-8 * np.linalg.norm(x)
        assert result.residual_norm == 0
        assert result.objective == pytest.approx(float(tensor_nuclear_norm(x)))

    def test_cosine_transform_and_fixed_penalty(self):
        rng = np.random.default_rng(3)
        from scipy import fft

        p, q = rng.standard_normal((20, 2, 5)), rng.standard_normal((2, 20, 5))
        x = fft.idct(np.einsum("irk,rjk->ijk", p, q), norm="ortho")
        mask = rng.random(x.shape) < 0.6
        g = TensorNuclearNorm(transform="dct")
        rho = 2 / np.abs(x).max()
        result = admm(MaskOperator(mask), x[mask], g, data="hard", rho=rho, rtol=1e-9)
        assert result.success and result.extra == {"data": "hard", "rho": rho}
        assert np.linalg.norm(result.x - x) < 1e-7 * np.linalg.norm(x)

    def test_from_frequencies(self):
        """A low-rank series of images from part of their Fourier transforms."""
        rng = np.random.default_rng(4)
        x = np.einsum("ai,ahw->ihw", rng.standard_normal((2, 10)),
                      rng.standard_normal((2, 8, 8)))  # fmt: skip
        mask = rng.random(x.shape) < 0.7
        op = FourierSampling(mask)

        class Casorati(NuclearNorm):
            def value(self, x):
                return super().value(x.reshape(10, 64))

            def prox(self, x, step):
                return super().prox(x.reshape(10, 64), step).reshape(x.shape)

        result = admm(op, op.forward(x), Casorati(), data="hard", rtol=1e-8)
        assert result.success
        assert np.linalg.norm(result.x - x) < 1e-6 * np.linalg.norm(x)

    def test_any_operator(self):
        """The nearest points come from least squares then."""
        rng = np.random.default_rng(5)
        x = np.outer(rng.standard_normal(8), rng.standard_normal(8))
        a = rng.standard_normal((45, 64))
        result = admm(
            a, a @ x.ravel(), NuclearNorm(), data="hard", shape=(8, 8), rtol=1e-7
        )
        assert result.success
        np.testing.assert_allclose(result.x, x, atol=1e-4)

    def test_soft_data_and_hard_agree_for_small_weights(self):
        rng = np.random.default_rng(6)
        x = np.outer(rng.standard_normal(20), rng.standard_normal(20))
        mask = rng.random(x.shape) < 0.7
        op = MaskOperator(mask)
        hard = admm(op, x[mask], NuclearNorm(), data="hard", rtol=1e-7, maxiter=5000)
        soft = admm(op, x[mask], NuclearNorm(1e-3), rtol=1e-7, maxiter=5000)
        assert hard.success and soft.success
        assert np.linalg.norm(soft.x - hard.x) < 2e-2 * np.linalg.norm(x)
        assert nuclear_norm(soft.x) < nuclear_norm(hard.x)

    def test_dual_step(self):
        rng = np.random.default_rng(7)
        x = tubal(rng, (12, 12, 4), 1)
        mask = rng.random(x.shape) < 0.7
        op = MaskOperator(mask)
        found = [
            admm(op, x[mask], TensorNuclearNorm(), data="hard", dual_step=s, rtol=1e-8)
            for s in (0.5, 1.0, 1.6)
        ]
        assert all(r.success for r in found)
        for r in found:
            np.testing.assert_allclose(r.x, x, atol=1e-6)


@pytest.fixture
def cupy():
    from support.cuda_host import installed

    with installed() as module:
        yield module


class TestDevice:
    """The same numbers on arrays that refuse to become NumPy's unasked."""

    def test_functions(self, cupy):
        from convinv import lowrank, proximal

        rng = np.random.default_rng(0)
        for dtype in ("f8", "c16"):
            a = rng.standard_normal((3, 4, 5)).astype(dtype)
            g = rng.standard_normal((3, 4, 5)).astype(dtype)
            there, slope = cupy.asarray(a), cupy.asarray(g)
            tau = cupy.asarray(np.array([0.1, 0.5, 2.0]))
            calls = [
                lambda a, g, t: lowrank.svt(a, t),
                lambda a, g, t: lowrank.svt_vjp(a, t, g)[0],
                lambda a, g, t: lowrank.svt_vjp(a, t, g)[1],
                lambda a, g, t: lowrank.svt_vjp(a, t, g, variant="inv")[0],
                lambda a, g, t: lowrank.svt_vjp(a, t, g, variant="taylor")[0],
                lambda a, g, t: lowrank.svt(a[:, :, :4], 0.5, form="hermitian"),
                lambda a, g, t: lowrank.svt_vjp(
                    a[:, :, :4], t, g[:, :, :4], form="psd"
                )[0],
                lambda a, g, t: lowrank.tensor_svt(a, 0.5),
                lambda a, g, t: lowrank.tensor_svt(a, 0.5, transform="dct"),
                lambda a, g, t: lowrank.tensor_nuclear_norm(a),
                lambda a, g, t: proximal.prox_total_variation(a, 0.2),
            ]
            for call in calls:
                found = call(there, slope, tau)
                assert isinstance(found, cupy.ndarray)
                np.testing.assert_allclose(
                    found.get(), call(a, g, tau.get()), atol=1e-12
                )

    @pytest.mark.parametrize("method", METHODS)
    def test_solvers(self, cupy, method):
        rng = np.random.default_rng(1)
        x = np.outer(rng.standard_normal(10), rng.standard_normal(12))
        mask = rng.random(x.shape) < 0.7
        for data in ["soft", "hard"] if method == "admm" else ["soft"]:
            options = {"data": data} if data == "hard" else {}
            found = []
            for xp in (np, cupy):
                op = MaskOperator(xp.asarray(mask))
                found.append(
                    METHODS[method](
                        op, xp.asarray(x[mask]), NuclearNorm(0.5), rtol=1e-8, **options
                    )
                )
            assert found[1].success and isinstance(found[1].x, cupy.ndarray)
            np.testing.assert_allclose(found[1].x.get(), found[0].x, atol=1e-5)

    def test_a_blurred_image(self, cupy):
        image = gallery.image("camera", 12)
        kernel = cupy.asarray(gallery.gaussian_kernel(3, 1.0)[None, None])
        op = ConvLinearOperator(kernel, image.shape, padding="same")
        b = op.forward(cupy.asarray(image))
        result = fista(op, b, TotalVariation(0.01, rtol=1e-5), rtol=1e-3)
        assert result.success and isinstance(result.x, cupy.ndarray)
        mask = cupy.asarray(np.random.default_rng(0).random(image.shape) < 0.5)
        op = FourierSampling(mask)
        result = admm(op, op.forward(cupy.asarray(image)), NuclearNorm(0.01), rtol=1e-5)
        assert result.success

    def test_libraries_do_not_mix(self, cupy):
        op = MaskOperator(np.ones((3, 3), bool))
        with pytest.raises(TypeError, match="b must be a numpy array"):
            fista(op, cupy.asarray(np.ones(9)), NuclearNorm())


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["f4", "c16"])
def test_on_a_device(dtype):
    cupy = pytest.importorskip("cupy")
    from convinv.lowrank import svt, svt_vjp, tensor_svt

    rng = np.random.default_rng(0)
    a = rng.standard_normal((6, 20, 12)).astype(dtype)
    there, limit = cupy.asarray(a), 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(svt(there, 1.0).get(), svt(a, 1.0), atol=limit)
    for found, wanted in zip(svt_vjp(there, 1.0, there), svt_vjp(a, 1.0, a)):
        np.testing.assert_allclose(found.get(), wanted, atol=10 * limit, rtol=limit)
    np.testing.assert_allclose(
        tensor_svt(there, 1.0).get(), tensor_svt(a, 1.0), atol=limit
    )
    x = np.outer(rng.standard_normal(10), rng.standard_normal(12))
    mask = rng.random(x.shape) < 0.7
    op = MaskOperator(cupy.asarray(mask))
    result = admm(op, cupy.asarray(x[mask]), NuclearNorm(), data="hard")
    assert result.success and isinstance(result.x, cupy.ndarray)
