"""Several priors, and total variation with them, against dual least squares."""

import numpy as np
import pytest
from scipy.fft import dctn, idctn
from scipy.linalg import solve_triangular
from scipy.optimize import lsq_linear
from scipy.sparse.linalg import aslinearoperator

from convinv import ConvergenceWarning, ConvLinearOperator, gallery
from convinv.operators import (
    DiagonalOperator,
    DifferenceOperator,
    MaskOperator,
    StackedOperator,
)
from convinv.proximal import (
    L1,
    Analysis,
    Box,
    NonNegative,
    NuclearNorm,
    TotalVariation,
    admm,
    fista,
    minimize,
)
from convinv.proximal._frequency_steps import ExactStep
from convinv.proximal._gradient_step import GradientStep
from convinv.proximal._problem import Problem
from convinv.proximal._steps import choose
from convinv.proximal._torus_step import TorusStep

BOUNDARIES = ["zero", "periodic", "reflect", "symmetric", "replicate"]
TIGHT = {"rtol": 1e-7, "maxiter": 20000}


def blurred(shape, boundary="symmetric", seed=0, even=False, **options):
    """A layer with full column rank, and noisy data of a step."""
    rng = np.random.default_rng(seed)
    ndim = len(shape) - 1
    kernel = rng.random((1, 1, *(3,) * ndim))
    if even:
        for axis in range(2, kernel.ndim):
            kernel = kernel + np.flip(kernel, axis)
    kernel /= kernel.sum()
    kernel[(0, 0, *(1,) * ndim)] += 1.0
    options = {"padding": "same", "boundary": boundary, **options}
    op = ConvLinearOperator(kernel, shape, **options)
    x = (np.indices(shape[1:]).sum(0)[None] > sum(shape) / 3).astype(float)
    return op, op.forward(x) + 0.1 * rng.standard_normal(op.output_shape)


def by_the_dual(op, b, weight, low=None):
    """The minimizer with anisotropic total variation, and x >= low.

    ``x = G^-1 (A^T b - D^T p + v)`` with the least ``x^T G x`` among ``|p| <= weight``
    and ``v >= 0``, where ``G = A^T A``.
    """
    A = op.todense()
    D = DifferenceOperator(op.input_shape).todense()
    R = np.linalg.cholesky(A.T @ A).T
    shift = 0.0 if low is None else low
    right = solve_triangular(R, A.T @ (b.ravel() - A.sum(1) * shift), trans=1)
    parts, most, least = [D.T], [weight] * len(D), [-weight] * len(D)
    if low is not None:
        parts.append(-np.eye(A.shape[1]))
        most, least = most + [np.inf] * A.shape[1], least + [0.0] * A.shape[1]
    M = solve_triangular(R, np.hstack(parts), trans=1)
    p = lsq_linear(M, right, bounds=(least, most), tol=1e-15, max_iter=1000).x
    return (solve_triangular(R, right - M @ p) + shift).reshape(op.input_shape)


class TestAgainstTheDual:
    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize("shape", [(1, 15), (1, 5, 6), (1, 3, 4, 3)])
    def test_total_variation(self, shape, boundary):
        op, b = blurred(shape, boundary)
        g = TotalVariation(0.15, isotropic=False, axes=range(-len(shape) + 1, 0))
        result = admm(op, b, g, **TIGHT)
        assert result.success
        np.testing.assert_allclose(result.x, by_the_dual(op, b, 0.15), atol=1e-4)

    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize("even", [False, True])
    def test_with_bounds(self, boundary, even):
        """x is inside, exactly."""
        op, b = blurred((1, 5, 6), boundary, even=even)
        for low, prior in ((0.0, NonNegative()), (0.3, Box(0.3, None))):
            g = [TotalVariation(0.1, isotropic=False), prior]
            result = minimize(op, b - 0.5, g, **TIGHT)
            assert result.success and result.x.min() >= low
            wanted = by_the_dual(op, b - 0.5, 0.1, low)
            assert wanted.min() < low + 1e-6
            np.testing.assert_allclose(result.x, wanted, atol=1e-4)

    def test_other_operators(self):
        """Their steps are conjugate gradients."""
        op, b = blurred((1, 5, 6))
        result = admm(
            aslinearoperator(op.todense()),
            b.ravel(),
            [TotalVariation(0.1, isotropic=False), NonNegative()],
            shape=(5, 6),
            **TIGHT,
        )
        assert result.success and result.x.min() >= 0
        wanted = by_the_dual(op, b, 0.1, 0.0)[0]
        np.testing.assert_allclose(result.x, wanted, atol=1e-4)


def textbook(op, b, weight, rho, nit):
    """Total variation with a symmetric boundary and an even kernel."""

    def d(x):
        return np.stack([np.diff(x, axis=a, append=x.take([-1], a)) for a in (0, 1)])

    def adjoint(p):
        p = p.copy()
        p[0, -1], p[1, :, -1] = 0, 0
        return sum(np.roll(q, 1, a) - q for a, q in enumerate(p))

    n = b.shape[-2:]
    e = np.zeros(n)
    e[0, 0] = 1
    symbol = dctn(op.forward(e[None])[0], norm="ortho") / dctn(e, norm="ortho")
    waves = [2 - 2 * np.cos(np.pi * np.arange(k) / k) for k in n]
    inverse = 1 / (symbol**2 + rho * (waves[0][:, None] + waves[1]))
    right = symbol * dctn(b[0], norm="ortho")
    z = u = np.zeros((2, *n))
    for _ in range(nit):
        x = right + rho * dctn(adjoint(z - u), norm="ortho")
        x = idctn(inverse * x, norm="ortho")
        v = d(x) + u
        size = np.sqrt(np.sum(v**2, axis=0))
        z = v * np.maximum(1 - weight / rho / np.maximum(size, 1e-300), 0)
        u = v - z
    variation = np.sqrt(np.sum(d(x) ** 2, axis=0)).sum()
    return np.sum((op.forward(x[None]) - b) ** 2) / 2 + weight * variation


@pytest.mark.parametrize("weight", [1e-3, 3e-3])
def test_the_objective_of_a_textbook_splitting(weight):
    x = gallery.image("camera", 64)
    kernel = gallery.gaussian_kernel(7, 1.2)[None, None]
    op = ConvLinearOperator(kernel, x.shape, padding="same", boundary="symmetric")
    b = op.forward(x) + 0.01 * np.random.default_rng(0).standard_normal(x.shape)
    result = admm(op, b, TotalVariation(weight))
    best = textbook(op, b, weight, 20 * weight, 2000)
    assert result.success and result.nit < 200
    assert best * (1 - 1e-6) <= result.objective <= best * (1 + 1e-4)
    assert result.objective - best <= 2 * result.optimality * best
    loose = admm(op, b, TotalVariation(weight), rtol=1e-2)
    assert loose.success and loose.nit < result.nit
    assert loose.objective <= best * (1 + 2e-2)


LAYERS = {
    "valid": ((1, 1, 4, 3), (1, 9, 10), {}),
    "stride": ((2, 1, 3, 3), (1, 9, 10), {"stride": 2, "padding": 1}),
    "channels": ((3, 2, 3, 2), (2, 6, 7), {"padding": "same", "boundary": "reflect"}),
    "groups": ((4, 1, 2, 3), (2, 6, 7), {"groups": 2, "boundary": "replicate",
                                         "padding": "same"}),
    "dilation": ((1, 1, 3), (1, 20), {"dilation": 2, "padding": 3,
                                      "boundary": "periodic"}),
    "wide padding": ((2, 1, 3), (1, 8), {"padding": ((11, 3),),
                                         "boundary": "symmetric"}),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_layers_agree_with_their_matrices(name, dtype):
    """A splitting on a torus, and conjugate gradients, isotropic."""
    shape, size, options = LAYERS[name]
    rng = np.random.default_rng(3)
    kernel = rng.standard_normal(shape) + 1
    b = rng.standard_normal((2, 1))
    if dtype == "c16":
        kernel, b = kernel + 1j * rng.standard_normal(shape), b + 1j
    op = ConvLinearOperator(kernel, size, **options)
    b = b * rng.standard_normal((2, op.shape[0]))
    b = b.reshape(2, *op.output_shape)
    g = TotalVariation(0.5, axes=range(-len(size) + 1, 0))
    assert type(step(op, b, g)) is TorusStep
    found = admm(op, b, g, rtol=1e-5, maxiter=20000)
    matrix = aslinearoperator(op.todense())
    other = admm(matrix, b.reshape(2, -1), g, shape=size, rtol=1e-5, maxiter=20000)
    assert found.success and other.success and found.x.dtype == dtype
    assert found.objective == pytest.approx(other.objective, rel=2e-5)


@pytest.mark.parametrize("seed", range(3))
def test_layers_whose_copies_converge_slowly(seed):
    """Constants are not in the data, and the borders are wider than the image."""
    rng = np.random.default_rng(seed)
    kernel = rng.standard_normal((1, 2, 1, 3, 3))
    kernel -= kernel.mean()
    options = {"stride": 2, "padding": ((1, 3), (0, 1), (2, 0))}
    op = ConvLinearOperator(kernel, (2, 2, 3, 3), boundary="symmetric", **options)
    b = op.forward(rng.standard_normal((2, 2, 3, 3)))
    b = b + 0.5 * rng.standard_normal(b.shape)
    g = TotalVariation(1.0, axes=(-3, -2, -1))
    found = admm(op, b, g, maxiter=2000)
    matrix = aslinearoperator(op.todense())
    other = admm(matrix, b.ravel(), g, shape=op.input_shape, maxiter=2000)
    assert found.success and other.success and np.abs(found.x).max() < 10
    assert found.objective == pytest.approx(other.objective, rel=2e-4)


def test_a_kernel_of_zeros():
    op = ConvLinearOperator(np.zeros((1, 1, 3)), (1, 9), padding="same")
    result = admm(op, np.ones((1, 9)), TotalVariation(0.1, axes=-1))
    assert result.success and np.ptp(result.x) < 1e-6


def composed(name):
    """Operators made of layers, and data."""
    rng = np.random.default_rng(6)
    op, b = blurred((1, 7, 8), "reflect")
    other, _ = blurred((1, 7, 8), "reflect", seed=1)
    kernel = rng.random((2, 1, 5, 4))
    valid = ConvLinearOperator(kernel, (1, 7, 8), stride=2)
    weights = DiagonalOperator(10 * rng.random(op.output_shape))
    mask = MaskOperator(rng.random(op.output_shape) < 0.8)
    made = {
        "weights": weights @ op,
        "mask": mask @ op,
        "weights of a mask": DiagonalOperator(rng.random(mask.shape[0])) @ (mask @ op),
        "two": StackedOperator([op, 0.3 * other]),
        "kinds": StackedOperator([weights @ op, valid, mask @ other]),
        "weights of two": (
            DiagonalOperator(rng.random((2, 7, 8))) @ StackedOperator([op, other])
        ),
    }[name]
    return made, rng.standard_normal(made.output_shape)


@pytest.mark.parametrize("name", ["weights", "mask", "weights of a mask", "two",
                                  "kinds", "weights of two"])  # fmt: skip
def test_operators_made_of_layers(name):
    op, b = composed(name)
    g = [TotalVariation(0.2), Box(-0.5, 0.5)]
    assert type(step(op, b, *g)) is TorusStep
    found = admm(op, b, g, rtol=1e-5, maxiter=20000)
    matrix = op @ np.eye(op.shape[1])
    options = {"shape": (1, 7, 8), "rtol": 1e-5, "maxiter": 20000}
    other = admm(matrix, b.ravel(), g, **options)
    assert found.success and other.success
    assert found.objective == pytest.approx(other.objective, rel=2e-5)


def step(op, b, *priors):
    problem = Problem(op, b, None, None, None, 1e-4, 0.0, None, None, "warn")
    return choose(problem, priors)


def test_steps():
    g = TotalVariation(0.1)
    for boundary in BOUNDARIES:
        for even in (False, True):
            op, b = blurred((1, 5, 6), boundary, even=even)
            # a border of one sample is the same for "replicate" and "symmetric"
            mirrored = even and boundary in ("symmetric", "replicate")
            exact = boundary == "periodic" or mirrored
            assert type(step(op, b, g)) is (ExactStep if exact else TorusStep)
    across = TotalVariation(0.1, axes=(0, 1, 2))  # the channel is an axis
    assert type(step(op, b, across)) is GradientStep
    assert type(step(op, b, Analysis(DifferenceOperator((1, 5, 6)), L1(1.0)))) is (
        GradientStep
    )
    assert type(step(MaskOperator(b > 0), b[b > 0], g)) is GradientStep


class TestSums:
    """Two priors that are one."""

    def test_nuclear_norms(self):
        op, b = blurred((1, 5, 6), "reflect")
        both = minimize(op, b, [NuclearNorm(0.5), NuclearNorm(1.0)], **TIGHT)
        one = fista(op, b, NuclearNorm(1.5), rtol=1e-9, maxiter=5000)
        assert both.success and one.success
        np.testing.assert_allclose(both.x, one.x, atol=1e-4)
        # x is the result of a proximal operator: of low rank
        assert np.linalg.matrix_rank(both.x[0], 1e-9) < 5

    def test_variations(self):
        op, b = blurred((1, 5, 6), "replicate")
        both = minimize(op, b, [TotalVariation(0.05), TotalVariation(0.1)], **TIGHT)
        one = minimize(op, b, TotalVariation(0.15), **TIGHT)
        np.testing.assert_allclose(both.x, one.x, atol=1e-4)

    def test_of_differences(self):
        op, b = blurred((1, 5, 6), "zero")
        differences = DifferenceOperator(op.input_shape)
        g = Analysis(differences, L1(0.1))
        found = minimize(op, b, [g, NonNegative()], **TIGHT)
        assert found.success
        wanted = by_the_dual(op, b, 0.1, 0.0)
        np.testing.assert_allclose(found.x, wanted, atol=1e-4)

    def test_single_entries(self):
        """They are one prior, also for fista."""
        op, b = blurred((1, 5, 6), "reflect")
        priors = [L1(0.1), NonNegative(), Box(-1, 0.9), L1(0.05)]
        found = fista(op, b, priors, rtol=1e-8, maxiter=5000)
        A = op.todense()
        right = b.ravel() - 0.15 * np.linalg.pinv(A.T).sum(1)
        wanted = lsq_linear(A, right, bounds=(0, 0.9), tol=1e-14).x
        np.testing.assert_allclose(found.x.ravel(), wanted, atol=1e-5)
        also = admm(op, b, priors, **TIGHT)
        np.testing.assert_allclose(also.x.ravel(), wanted, atol=1e-5)
        assert minimize(op, b, priors[:2]).method == "admm"
        assert minimize(op, b, priors[0]).method == "fista"


class TestContract:
    @pytest.mark.parametrize("boundary", ["symmetric", "zero"])
    def test_precision_and_batches(self, boundary):
        op, b = blurred((1, 5, 6), boundary, even=True)
        both = np.stack([b, b[:, ::-1]])
        g, options = TotalVariation(0.1), {"rtol": 1e-5, "maxiter": 5000}
        wide = admm(op, both, g, **options)
        assert wide.success and wide.x.shape == (2, 1, 5, 6)
        assert len(wide.history) == wide.nit
        for i in range(2):
            one = admm(op, both[i], g, **options)
            np.testing.assert_allclose(wide.x[i], one.x, atol=5e-3)
        narrow = admm(op.astype("f4"), both.astype("f4"), g, rtol=1e-4)
        assert narrow.success and narrow.x.dtype == np.float32
        np.testing.assert_allclose(narrow.x, wide.x, atol=2e-2)

    @pytest.mark.parametrize("boundary", ["symmetric", "replicate"])
    @pytest.mark.parametrize("scale", [1e-40, 1e-3, 1e40])
    def test_units(self, boundary, scale):
        """Of the data, and of the operator."""
        op, b = blurred((1, 5, 6), boundary, even=True)
        plain = admm(op, b, TotalVariation(0.1), rtol=1e-5)
        data = admm(op, b * scale, TotalVariation(0.1 * scale), rtol=1e-5)
        assert plain.success and data.success
        np.testing.assert_allclose(data.x / scale, plain.x, atol=5e-3)
        layer = admm(op.scaled(scale), b, TotalVariation(0.1 * scale), rtol=1e-5)
        assert layer.success
        np.testing.assert_allclose(layer.x * scale, plain.x, atol=5e-3)

    @pytest.mark.parametrize("boundary", ["symmetric", "reflect"])
    def test_callback_start_and_limits(self, boundary):
        op, b = blurred((1, 5, 6), boundary, even=True)
        g, states = TotalVariation(0.1), []
        given = b.copy()
        result = admm(op, b, g, callback=lambda s: states.append((s.nit, s.x.shape)))
        assert states == [(i + 1, (1, 5, 6)) for i in range(result.nit)]
        np.testing.assert_array_equal(b, given)
        stopped = admm(op, b, g, callback=lambda s: s.nit == 3)
        assert stopped.nit == 3 and stopped.status.name == "STOPPED"
        with pytest.warns(ConvergenceWarning, match="admm: the iteration") as warned:
            short = admm(op, b, g, maxiter=2)
        assert not short.success and short.optimality > 1e-4
        assert warned[0].filename == __file__
        with pytest.warns(ConvergenceWarning, match="admm: the iteration") as warned:
            minimize(op, b, g, maxiter=2)
        assert warned[0].filename == __file__
        start = np.ones(op.input_shape)
        none = admm(op, b, g, maxiter=0, x0=start, on_failure="ignore")
        np.testing.assert_array_equal(none.x, start)
        assert not np.shares_memory(none.x, start)
        warm = admm(op, b, g, x0=result.x)
        assert warm.success and (boundary == "reflect" or warm.nit <= result.nit)
        zero = admm(op, 0 * b, g)
        assert zero.success and not zero.x.any()
        least = admm(op, b, TotalVariation(0.0), rtol=1e-6)
        wanted = np.linalg.lstsq(op.todense(), b.ravel())[0]
        np.testing.assert_allclose(least.x.ravel(), wanted, atol=1e-3)

    def test_a_given_penalty_stays(self):
        op, b = blurred((1, 5, 6))
        result = admm(op, b, TotalVariation(0.1), rho=0.3, maxiter=5000)
        assert result.success and result.extra["rho"] == (0.3,)

    def test_breaking_priors(self):
        class Broken(L1):
            def prox(self, x, step):
                return x * np.nan

        op, b = blurred((1, 5, 6))
        with pytest.warns(ConvergenceWarning, match="non-finite"):
            result = admm(op, b, [TotalVariation(0.1), Broken(0.1)], maxiter=50)
        assert not result.success

    def test_refuses(self):
        op, b = blurred((1, 5, 6))
        both = [TotalVariation(0.1), NuclearNorm(0.1)]
        with pytest.raises(ValueError, match="fista takes one prior.*use minimize"):
            fista(op, b, both)
        with pytest.raises(ValueError, match="takes one prior.*use minimize or admm"):
            admm(op, b, both, data="hard")
        with pytest.raises(ValueError, match="g must hold at least one prior"):
            admm(op, b, [])
        with pytest.raises(
            TypeError, match="priors must have a method prox.*got float"
        ):
            minimize(op, b, [0.1])
        with pytest.raises(TypeError, match="fista needs the proximal operator"):
            fista(op, b, Analysis(DifferenceOperator((1, 5, 6)), L1(0.1)))
        with pytest.raises(ValueError, match="must have 30 columns.*got 20"):
            minimize(op, b, Analysis(DifferenceOperator((1, 4, 5)), L1(0.1)))
        with pytest.raises(ValueError, match="no number satisfies all bounds"):
            minimize(op, b, [NonNegative(), Box(None, -1)])
        with pytest.raises(ValueError, match="method must be one of 'auto'"):
            minimize(op, b, both, "fast")
        with pytest.raises(ValueError, match="axes must be different axes of x"):
            admm(op, b, TotalVariation(0.1, axes=(5,)))


class TestTolerancesOfPriors:
    """An inner iteration is as accurate as the solve needs."""

    def test_fewer_inner_iterations(self, monkeypatch):
        from convinv.proximal._total_variation import DualProjection

        made, ascend = [], DualProjection._ascend

        def counted(self, *args):
            found = ascend(self, *args)
            made.append(self.nit)
            return found

        monkeypatch.setattr(DualProjection, "_ascend", counted)
        x = gallery.image("camera", 32)
        kernel = gallery.gaussian_kernel(5, 1.0)[None, None]
        op = ConvLinearOperator(kernel, x.shape, padding="same", boundary="reflect")
        b = op.forward(x) + 0.01 * np.random.default_rng(0).standard_normal(x.shape)
        counts, results = [], []
        for rtol in (None, 1e-6):
            made.clear()
            results.append(fista(op, b, TotalVariation(0.002, rtol=rtol), rtol=1e-3))
            counts.append(sum(made))
        assert all(r.success for r in results)
        assert counts[0] < counts[1] / 5
        best = admm(op, b, TotalVariation(0.002), rtol=1e-6, maxiter=5000).objective
        for result in results:
            assert result.objective <= best * (1 + 2e-2)
