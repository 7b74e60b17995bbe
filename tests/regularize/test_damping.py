"""solve(..., damp="gcv"): the damp chosen from the data, against dense formulas."""

import functools
import warnings

import numpy as np
import pytest
from scipy import fft
from scipy.sparse.linalg import LinearOperator

from convinv import ConvergenceWarning, ConvLinearOperator, solve
from convinv._regularize import damp_rule as damping, hybrid_lsqr as krylov

RULES = ["discrepancy", "gcv", "lcurve", "ncp"]
every_hybrid = pytest.mark.parametrize("small", [0, 256], ids=["hybrid", "exact"])
every_rule = pytest.mark.parametrize("rule", RULES)


def normal(rng, shape, dtype="float64"):
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = (values + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    return values.astype(dtype)


def gaussian(radius, sigma):
    g = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.outer(g, g)[None, None] / g.sum() ** 2


def picture(shape):
    """Smooth, with edges: what a blur can be undone on."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    disc = (x**2 + y**2 < 0.5) * 1.0
    return (0.3 + 0.5 * disc + 0.2 * np.cos(3 * x) * (np.abs(y) < 0.7))[None]


def blur(boundary, size=(8, 9), sigma=1.0):
    return ConvLinearOperator(
        gaussian(3, sigma), (1, *size), padding=3, boundary=boundary
    )


def layer(shape, size, dtype="float64", **options):
    kernel = normal(np.random.default_rng(1), shape, dtype)
    return ConvLinearOperator(kernel, size, **options)


def decompose(monkeypatch, small):
    """Decompose matrices up to a size; with 0 neither these nor separable kernels."""
    monkeypatch.setattr(damping, "DENSE", small)
    if not small:
        monkeypatch.setattr(damping, "closed_form", lambda layer: None)


def disc(size):
    """A blur that is even and not separable, sharper than the others."""
    y, x = np.mgrid[-2:3, -2:3]
    kernel = np.clip(2.5 - np.hypot(x, y), 0, 1) + 4 * (np.hypot(x, y) == 0)
    kernel = kernel[None, None] / kernel.sum()
    return ConvLinearOperator(kernel, (1, *size), padding=2, boundary="symmetric")


def even(shape, size, dtype="float64"):
    """A layer that the cosine transform takes apart."""
    kernel = normal(np.random.default_rng(1), shape, dtype)
    for axis in range(2, len(shape)):
        kernel = kernel + np.flip(kernel, axis)
    return ConvLinearOperator(kernel, size, padding="same", boundary="symmetric")


def separable(dtype="float64"):
    """Two groups of a tall layer with a stride."""
    rng = np.random.default_rng(1)
    filters, down, across = (
        normal(rng, (2, *shape), dtype) for shape in ((2, 1, 1, 1), (3, 1), (1, 2))
    )
    kernel = (filters * down[:, None, None] * across[:, None, None]).reshape(4, 1, 3, 2)
    return ConvLinearOperator(kernel, (2, 6, 5), groups=2, stride=(1, 2), padding=1)


# name: (operator, whether it is invariant under shifts of a torus)
LAYERS = {
    "blur on a torus": (lambda: blur("periodic"), True),
    "over, strided": (
        lambda: layer(
            (5, 1, 3, 3), (1, 6, 8), stride=2, padding=1, boundary="periodic"
        ),
        True,
    ),
    "under, groups": (
        lambda: layer(
            (2, 2, 3, 2), (4, 4, 5), padding="same", groups=2, boundary="periodic"
        ),
        True,
    ),
    "complex": (
        lambda: layer((3, 2, 3), (2, 20), "complex128", padding=1, boundary="periodic"),
        True,
    ),
    "3-D": (
        lambda: layer(
            (2, 1, 2, 3, 2), (1, 3, 4, 4), padding="same", boundary="periodic"
        ),
        True,
    ),
    "blur": (lambda: blur("reflect"), False),
    "disc": (lambda: disc((8, 9)), False),
    "even, complex": (lambda: even((1, 2, 3), (2, 20), "complex128"), False),
    "separable": (lambda: separable(), False),
    "separable, complex": (lambda: separable("complex128"), False),
    "over": (lambda: layer((4, 1, 3, 3), (1, 7, 6)), False),
    "under": (lambda: layer((1, 2, 3, 3), (2, 5, 6), padding=1), False),
    "complex border": (lambda: layer((2, 1, 4), (1, 30), "complex128"), False),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def data(op, noise, dtype=None, seed=0, batch=None):
    """A smooth input seen through op with noise, and the level of that noise."""
    rng = np.random.default_rng(seed)
    shape = op.input_shape if batch is None else (batch, *op.input_shape)
    axes = tuple(range(-(len(op.input_shape) - 1), 0))
    x = normal(rng, shape, dtype or op.dtype)
    x = sum(np.roll(x, (i,) * len(axes), axes) for i in range(3))
    clean = op.forward(x)
    level = noise * np.sqrt(np.mean(np.abs(clean) ** 2))
    e = normal(rng, clean.shape, clean.dtype)
    return clean + level * e.astype(clean.dtype), level


class Dense:
    """The textbook formulas, from the matrix."""

    def __init__(self, op, b, torus):
        conv = isinstance(op, ConvLinearOperator)
        self.A = op.astype(np.result_type(op.dtype, float)).todense() if conv else op
        self.b = b.reshape(-1, self.A.shape[0]).T
        self.shape = getattr(op, "output_shape", None)
        self.torus, (self.m, self.n) = torus, self.A.shape
        self.norm = np.linalg.norm(self.A, 2)

    @functools.cache
    def solve(self, damp):
        gram = self.A.conj().T @ self.A + damp**2 * np.eye(self.n)
        return np.linalg.solve(gram, self.A.conj().T)

    def residual(self, damp):
        return self.b - self.A @ (self.solve(damp) @ self.b)

    def residual_norm(self, damp):
        return np.linalg.norm(self.residual(damp))

    def solution_norm(self, damp):
        return np.linalg.norm(self.solve(damp) @ self.b)

    def gcv(self, damp):
        trace = np.trace(np.eye(self.m) - self.A @ self.solve(damp)).real
        return self.residual_norm(damp) ** 2 / trace**2 * self.m / self.b.shape[1]

    def lcurve(self, damp):
        """The curvature by differences."""
        t = np.log(damp) + 1e-3 * np.arange(-2, 3)
        u = np.log([self.residual_norm(d) for d in np.exp(t)])
        v = np.log([self.solution_norm(d) for d in np.exp(t)])
        first = np.array([1, -8, 0, 8, -1]) / 12e-3
        second = np.array([-1, 16, -30, 16, -1]) / 12e-6
        u1, v1, u2, v2 = first @ u, first @ v, second @ u, second @ v
        return (u1 * v2 - u2 * v1) / np.hypot(u1, v1) ** 3

    def ncp(self, damp):
        images = self.residual(damp).T.reshape(-1, *self.shape)
        axes = tuple(range(2, images.ndim))
        spatial = images.shape[2:]
        if self.torus:
            parts = np.fft.fftn(images, axes=axes)
            sizes = [np.fft.fftfreq(n) for n in spatial]
        else:
            parts = fft.dctn(images, axes=axes, norm="ortho")
            sizes = [np.arange(n) / n for n in spatial]
        power = np.sum(np.abs(parts) ** 2, axis=(0, 1)).ravel()
        size = sum(s**2 for s in np.meshgrid(*sizes, indexing="ij")).ravel().round(10)
        power, size = power[1:], size[1:]
        upto = np.array([power[size <= s].sum() / power.sum() for s in size])
        white = np.array([np.mean(size <= s) for s in size])
        return np.sqrt(np.mean((upto - white) ** 2))

    def discrepancy(self, damp, level):
        return self.residual_norm(damp) - level * np.sqrt(self.b.size)

    def criterion(self, rule, damp, level):
        if rule == "discrepancy":
            return self.discrepancy(damp, level)
        return getattr(self, rule)(damp)


def chosen(op, b, rule, level=None, method="lsqr", **options):
    """The result of a solve that need not converge."""
    level = level if rule == "discrepancy" else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve(op, b, method, damp=rule, noise_level=level, maxiter=5, **options)


@every_rule
@every_layer
def test_criteria_are_the_dense_formulas(name, rule):
    """And no damp nearby is better than the one taken."""
    op, torus = LAYERS[name][0](), LAYERS[name][1]
    b, level = data(op, 0.05, batch=2)
    dense = Dense(op, b, torus)
    extra = chosen(op, b, rule, level).extra
    damp, path = extra["damp"], extra["damp_path"]
    usual = (path["damp"] > 1e-2 * dense.norm) & (path["damp"] < 11 * dense.norm)
    usual = np.flatnonzero(usual)
    for i in usual[np.linspace(0, len(usual) - 1, 5).astype(int)]:
        at = path["damp"][i]
        want = dense.criterion(rule, at, level)
        close = 1e-4 if rule == "lcurve" else 1e-7
        assert path["criterion"][i] == pytest.approx(want, rel=close, abs=close)
        want = dense.residual_norm(at), dense.solution_norm(at)
        assert path["residual_norm"][i] == pytest.approx(want[0], rel=1e-8)
        assert path["solution_norm"][i] == pytest.approx(want[1], rel=1e-8)
    assert np.all(np.diff(path["damp"]) > 0)
    if damp == 0:
        best = path["criterion"].min()
        assert rule != "lcurve" and path["criterion"][0] <= 1.0001 * best
        return
    assert damp in path["damp"]
    if rule == "discrepancy":
        assert dense.residual_norm(damp) == pytest.approx(level * np.sqrt(b.size))
        return
    sign = -1 if rule == "lcurve" else 1
    best = sign * dense.criterion(rule, damp, level)
    assert best == pytest.approx(np.min(sign * path["criterion"]), rel=1e-4)
    for factor in (0.9, 1.1):
        at = np.clip(factor * damp, path["damp"][0], path["damp"][-1])
        assert best <= sign * dense.criterion(rule, at, level) + 1e-9 * abs(best)


@every_rule
@pytest.mark.parametrize("name", [name for name in LAYERS if not LAYERS[name][1]])
@pytest.mark.parametrize("noise", [0.3, 0.03])
def test_hybrid_finds_the_dense_damp(monkeypatch, name, noise, rule):
    op = LAYERS[name][0]()
    b, level = data(op, noise)
    want = chosen(op, b, rule, level).extra["damp"]
    decompose(monkeypatch, 0)
    got = chosen(op, b, rule, level).extra["damp"]
    # a criterion that is flat at small damps may take any of them
    assert got == pytest.approx(want, rel=0.05, abs=1e-3)


@every_rule
def test_hybrid_of_a_batch(monkeypatch, rule):
    op = blur("symmetric")
    b, level = data(op, 0.1, batch=3)
    b *= np.array([1, 0, 0.5]).reshape(3, 1, 1, 1)
    want = chosen(op, b, rule, level).extra
    decompose(monkeypatch, 0)
    got = chosen(op, b, rule, level).extra
    assert got["damp"] == pytest.approx(want["damp"], rel=0.03)
    assert got["nit"].shape == (3,)


@every_rule
def test_hybrid_stops_before_the_end(monkeypatch, rule):
    """The damp settles in fewer steps than there are unknowns."""
    op = blur("reflect", (24, 25), 1.5)
    image = picture(op.input_shape[1:])
    b = op.forward(image) + 0.02 * normal(np.random.default_rng(0), op.output_shape)
    decompose(monkeypatch, 1000)
    want = chosen(op, b, rule, 0.02).extra["damp"]
    looked = []
    extend = krylov.Basis.extend
    decompose(monkeypatch, 0)
    monkeypatch.setattr(
        krylov.Basis, "extend", lambda s, k: looked.append(k) or extend(s, k)
    )
    got = chosen(op, b, rule, 0.02)
    assert "settled" not in got.message
    assert got.extra["damp"] == pytest.approx(want, rel=0.05)
    assert looked == sorted(looked) and looked[-1] < 200 < min(op.shape)


def test_the_trace_is_estimated(monkeypatch):
    """Random signs see the trace of the hat matrix within their standard error."""
    op = blur("reflect", (20, 20))
    b, _ = data(op, 0.1)
    basis = krylov.Basis(op, b.reshape(1, -1), "gcv", 1e-16)
    basis.extend(100)
    spectrum = basis.spectrum()
    A = op.todense()
    probes = -(-krylov.PROBE_DATA // 400)
    for damp in (0.03, 0.3, 3.0):
        hat = A @ np.linalg.solve(A.T @ A + damp**2 * np.eye(400), A.T)
        spread = np.sqrt(2 * (np.sum(hat**2) - np.sum(np.diag(hat) ** 2)) / probes)
        assert abs(spectrum.freedom(damp) - 400 + np.trace(hat)) <= 4 * spread
    assert spread > 0


@pytest.mark.parametrize("steps", [3, 8, 20])
def test_decomposition_of_bidiagonal_matrices(steps):
    rng = np.random.default_rng(0)
    alphas, betas = rng.random((3, steps)) + 0.1, rng.random((3, steps)) + 0.1
    alphas[1, 2:] = betas[1, 2:] = 0  # a Krylov space that is complete
    betas[2, 1:] = alphas[2, 2:] = 0
    values, left = krylov._decomposed(alphas, betas)
    for i in range(3):
        B = np.zeros((steps + 1, steps))
        B[np.arange(steps), np.arange(steps)] = alphas[i]
        B[np.arange(steps) + 1, np.arange(steps)] = betas[i]
        for damp in (1e-2, 1.0):
            passed = damp**2 / (values[i] ** 2 + damp**2)
            want = np.linalg.inv(np.eye(steps + 1) + B @ B.T / damp**2)
            got = (left[i] * passed) @ left[i].T
            np.testing.assert_allclose(got, want, atol=1e-10)


@functools.cache
def blurred(boundary):
    op = blur(boundary, (18, 18), 1.5)
    return op, np.linalg.svd(op.todense())


class TestWhatIsChosen:
    @pytest.mark.parametrize("boundary", ["periodic", "reflect", "zero"])
    @pytest.mark.parametrize("rule", ["gcv", "ncp", "discrepancy"])
    @pytest.mark.parametrize("noise", [0.005, 0.05])
    def test_a_blurred_image(self, boundary, noise, rule):
        """The error is not much above that of the best of all damps, on average."""
        op, (u, s, v) = blurred(boundary)
        image = picture(op.input_shape[1:])
        ratios = []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            b = op.forward(image) + noise * normal(rng, op.output_shape)
            parts = u.T @ b.ravel()

            def error(damp):
                x = v.T @ (s / (s**2 + damp**2) * parts)  # noqa: B023
                return np.linalg.norm(x - image.ravel())

            damp = chosen(op, b, rule, noise).extra["damp"]
            ratios.append(error(damp) / min(map(error, np.geomspace(1e-3, 3, 60))))
        assert np.mean(ratios) <= 1.3

    @every_rule
    @pytest.mark.parametrize("name", ["blur", "blur on a torus", "complex border"])
    @pytest.mark.parametrize("powers", [(0, 300), (200, 0), (-200, 100)])
    def test_it_has_the_units_of_the_operator(self, name, rule, powers):
        op = LAYERS[name][0]()
        b, level = data(op, 0.1)
        one = chosen(op, b, rule, level).extra
        factor, scale = 2.0 ** powers[0], 2.0 ** powers[1]
        two = chosen(factor * op, scale * b, rule, scale * level).extra
        assert isinstance(factor * op, ConvLinearOperator)
        assert two["damp"] == pytest.approx(factor * one["damp"], rel=1e-5)
        for key, want in {
            "damp": factor,
            "residual_norm": scale,
            "solution_norm": scale / factor,
            "criterion": {"gcv": scale**2, "discrepancy": scale}.get(rule, 1),
        }.items():
            found = two["damp_path"][key] / want
            np.testing.assert_allclose(found, one["damp_path"][key], rtol=1e-4)

    @pytest.mark.parametrize("name", ["blur", "blur on a torus"])
    @every_rule
    def test_single_precision(self, name, rule):
        op = LAYERS[name][0]()
        b, level = data(op, 0.1)
        want = chosen(op, b, rule, level).extra["damp"]
        single = op.astype("float32"), b.astype("float32")
        result = chosen(*single, rule, level)
        assert result.x.dtype == "float32"
        assert result.extra["damp"] == pytest.approx(want, rel=1e-2)

    @pytest.mark.parametrize("name", ["blur", "blur on a torus"])
    @every_rule
    def test_complex_data_of_a_real_layer(self, name, rule):
        """They are two real problems, and one damp is for both."""
        op = LAYERS[name][0]()
        b, level = data(op, 0.1, batch=2)
        one = chosen(op, b, rule, level).extra["damp"]
        two = chosen(op, b[0] + 1j * b[1], rule, level * np.sqrt(2)).extra["damp"]
        assert two == pytest.approx(one, rel=1e-6)

    @every_rule
    @pytest.mark.parametrize("name", ["blur", "over, strided"])
    def test_a_batch_is_one_vector(self, name, rule):
        op = LAYERS[name][0]()
        b, level = data(op, 0.1)
        one = chosen(op, b, rule, level).extra
        many = chosen(op, np.stack([b, -b, b]), rule, level).extra
        assert many["damp"] == pytest.approx(one["damp"], rel=1e-6)
        assert isinstance(many["damp"], float)
        b = np.stack([b, np.zeros_like(b)])
        assert chosen(op, b, rule, level / np.sqrt(2)).extra["damp"] == pytest.approx(
            one["damp"], rel=2 if rule == "gcv" else 1e-6
        )

    @pytest.mark.parametrize("name", ["blur", "blur on a torus", "over"])
    @every_rule
    def test_the_solve_is_that_of_the_number(self, name, rule):
        op = LAYERS[name][0]()
        b, level = data(op, 0.1)
        level = level if rule == "discrepancy" else None
        got = solve(op, b, "cgls", damp=rule, noise_level=level, rtol=1e-10)
        want = solve(op, b, "cgls", damp=got.extra["damp"], rtol=1e-10)
        assert got.success and "damp" not in want.extra
        np.testing.assert_array_equal(got.x, want.x)

    @pytest.mark.parametrize("factor", [0.3, 0.9])
    @every_hybrid
    def test_the_residual_has_the_norm_of_the_noise(self, monkeypatch, factor, small):
        decompose(monkeypatch, small)
        for name in LAYERS:
            op = LAYERS[name][0]()
            b, _ = data(op, 0.1)
            level = factor * np.sqrt(np.mean(np.abs(b) ** 2))
            options = {"damp": "discrepancy", "noise_level": level, "rtol": 1e-9}
            result = solve(op, b, "lsqr", **options)
            wanted = level * np.sqrt(b.size)
            assert result.residual_norm == pytest.approx(wanted, rel=1e-2)

    @pytest.mark.parametrize("rule", ["discrepancy", "gcv", "lcurve"])
    @every_hybrid
    def test_any_operator(self, monkeypatch, small, rule):
        decompose(monkeypatch, small)
        op = LAYERS["blur"][0]()
        b, level = data(op, 0.1)
        want = chosen(op, b, rule, level).extra["damp"]
        A = op.todense()
        for other in (
            A,
            op.tosparse(),
            LinearOperator(
                A.shape, matvec=lambda v: A @ v, rmatvec=lambda v: A.T @ v, dtype=float
            ),
        ):
            got = chosen(other, b.ravel(), rule, level).extra["damp"]
            assert got == pytest.approx(want, rel=1e-6)


class TestLimits:
    @every_hybrid
    @every_rule
    @pytest.mark.parametrize("name", ["blur", "blur on a torus"])
    def test_zero_b(self, monkeypatch, name, rule, small):
        decompose(monkeypatch, small)
        op = LAYERS[name][0]()
        result = chosen(op, np.zeros((2, *op.output_shape)), rule, 1.0)
        assert result.success and not result.x.any()
        assert result.extra["damp"] == 0
        assert all(len(v) == 0 for v in result.extra["damp_path"].values())

    @every_hybrid
    @every_rule
    def test_a_zero_operator(self, monkeypatch, rule, small):
        decompose(monkeypatch, small)
        for boundary in ("periodic", "zero"):
            op = ConvLinearOperator(np.zeros((1, 1, 3)), (1, 9), boundary=boundary)
            result = chosen(op, np.ones(op.output_shape), rule, 1e-3)
            assert result.success and not result.x.any() and result.extra["damp"] == 0

    @every_hybrid
    @pytest.mark.parametrize("name", ["blur", "blur on a torus", "over"])
    def test_noise_that_accounts_for_all(self, monkeypatch, name, small):
        decompose(monkeypatch, small)
        op = LAYERS[name][0]()
        b, _ = data(op, 0.1)
        level = 1.001 * np.sqrt(np.mean(b**2))
        result = solve(op, b, "cgls", damp="discrepancy", noise_level=level)
        assert result.success and "noise_level accounts for all of b" in result.message
        assert result.extra["damp"] > 100 * np.linalg.norm(op.todense(), 2)
        assert np.linalg.norm(op.forward(result.x)) <= 1e-3 * np.linalg.norm(b)

    @every_hybrid
    @pytest.mark.parametrize("level", [0.0, 1e-9])
    def test_noise_that_needs_no_damp(self, monkeypatch, level, small):
        """The least-squares residual alone is as large as the noise."""
        decompose(monkeypatch, small)
        for name in ("over", "over, strided"):
            op = LAYERS[name][0]()
            b, _ = data(op, 0.1)
            result = solve(op, b, "cgls", damp="discrepancy", noise_level=level)
            assert result.extra["damp"] == 0 and result.success
            assert "noise_level" not in result.message

    @pytest.mark.parametrize("name", ["over", "over, strided"])
    def test_data_without_noise(self, name):
        op = LAYERS[name][0]()
        b, _ = data(op, 0.0)
        result = solve(op, b, "cgls", damp="gcv", rtol=1e-8)
        assert result.success
        assert result.extra["damp"] <= 1e-4 * np.linalg.norm(op.todense(), 2)

    def test_what_has_not_settled_says_so(self, monkeypatch):
        decompose(monkeypatch, 0)
        monkeypatch.setattr(krylov, "MOST", 9)
        op = blur("reflect", (20, 20), 1.5)
        b, _ = data(op, 1e-6)
        result = chosen(op, b, "gcv")
        assert "not settled after 9 steps" in result.message

    def test_memory_limits_the_steps(self, monkeypatch):
        monkeypatch.setattr(krylov, "BYTES", 8 * 400 * 12)
        op = blur("reflect", (20, 20))
        b = normal(np.random.default_rng(0), (1, 400))
        basis = krylov.Basis(op, b, "ncp", 1e-16)
        assert basis.limit == 12

    @pytest.mark.parametrize("rule", ["discrepancy", "gcv", "lcurve"])
    def test_a_low_rank(self, monkeypatch, rule):
        """The Krylov space is complete after a few steps."""
        rng = np.random.default_rng(2)
        A = rng.standard_normal((40, 4)) @ rng.standard_normal((4, 30))
        b = A @ rng.standard_normal(30) + rng.standard_normal(40)
        want = chosen(A, b, rule, 1.0).extra["damp"]
        decompose(monkeypatch, 0)
        got = chosen(A, b, rule, 1.0).extra["damp"]
        assert got == pytest.approx(want, rel=1e-4)


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"damp": "gvc"}, TypeError, "damp must be a real number or one of"),
            ({"damp": "discrepancy"}, ValueError, "needs noise_level, got None"),
            ({"damp": "gcv", "noise_level": 0.1}, ValueError, "is for damp='discrep"),
            ({"damp": 0.5, "noise_level": 0.1}, ValueError, "is for damp='discrep"),
            ({"noise_level": 0.1}, ValueError, "is for damp='discrep"),
            (
                {"damp": "discrepancy", "noise_level": -1},
                ValueError,
                "noise_level must be finite",
            ),
            (
                {"damp": "discrepancy", "noise_level": "a"},
                TypeError,
                "noise_level must be a real",
            ),
            ({"damp": "gcv", "method": "gmres"}, ValueError, "normal=True"),
            ({"damp": "gcv", "method": "cg"}, ValueError, "takes no damp"),
        ],
    )
    def test_wrong_ones_are_named(self, options, error, words):
        op = blur("symmetric")
        with pytest.raises(error, match=words):
            solve(op, np.ones(op.output_shape), **{"method": "cgls", **options})

    def test_ncp_needs_an_image(self):
        with pytest.raises(TypeError, match="ncp.*ConvLinearOperator.*MatrixOperator"):
            solve(np.eye(3), np.ones(3), damp="ncp")
        op = ConvLinearOperator(np.ones((2, 1, 3)), (1, 3))
        with pytest.raises(TypeError, match=r"output shape \(2, 1\)"):
            solve(op, np.ones((2, 1)), damp="ncp")

    def test_operators_without_an_adjoint(self):
        op = LinearOperator((3, 3), matvec=lambda v: v, dtype=float)
        with pytest.raises(TypeError, match="adjoint"):
            solve(op, np.ones(3), damp="gcv")

    def test_b_is_not_written_to(self):
        op = blur("reflect")
        b, _ = data(op, 0.1, batch=2)
        before = b.copy()
        chosen(op, b, "gcv")
        np.testing.assert_array_equal(b, before)


@pytest.mark.parametrize(
    ("boundary", "small", "rule"),
    [
        ("reflect", 0, "gcv"),
        ("reflect", 0, "ncp"),
        ("reflect", 256, "ncp"),
        ("periodic", 256, "ncp"),
    ],
)
def test_device_equals_host(monkeypatch, boundary, small, rule):
    from support.cuda_host import installed

    decompose(monkeypatch, small)
    op = blur(boundary)
    b, level = data(op, 0.1, batch=2)
    want = chosen(op, b, rule, level, "cgls")
    with installed() as cupy:
        device = ConvLinearOperator(
            cupy.asarray(op.kernel), op.input_shape, padding=3, boundary=boundary
        )
        got = chosen(device, cupy.asarray(b), rule, level, "cgls")
        assert isinstance(got.x, cupy.ndarray)
        assert got.extra["damp"] == pytest.approx(want.extra["damp"], rel=1e-6)
        np.testing.assert_allclose(got.x.get(), want.x, rtol=1e-5)


class TestNoSpread:
    """Operators of one singular value, of none, or of one unknown."""

    @every_rule
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
    @pytest.mark.parametrize(
        "kernel", [[[[0.1257302210933933]]], [[[0.0, -3.0, 0.0]]], [[[1e-9]]]]
    )
    def test_one_singular_value(self, kernel, dtype, rule):
        size = (1, 7)
        op = ConvLinearOperator(kernel, size, padding="same", dtype=dtype)
        b = normal(np.random.default_rng(0), op.output_shape, dtype)
        result = chosen(op, b, rule, 0.1)
        damp, value = result.extra["damp"], np.abs(kernel).max()
        assert result.success and np.isfinite(damp)
        want = value * b / (value**2 + damp**2) * np.sign(np.sum(kernel))
        np.testing.assert_allclose(result.x, want, rtol=1e-3)
        if rule == "lcurve":
            assert damp == pytest.approx(value, rel=0.02)
            assert "no corner" in result.message

    @every_rule
    @pytest.mark.parametrize("seed", range(15))
    def test_small_operators(self, seed, rule):
        """Matrices that are orthogonal, zero, of rank one, of whole numbers."""
        rng = np.random.default_rng(seed)
        m, n = rng.integers(1, 7, 2)
        basis = np.linalg.qr(rng.standard_normal((max(m, n), min(m, n))))[0]
        integers = rng.integers(-2, 3, (m, n))
        for A in (np.eye(m, n), np.zeros((m, n)), basis, np.ones((m, n)), integers):
            size = int(np.sqrt(A.shape[0]))
            if rule == "ncp":  # it wants an image
                kernel = rng.standard_normal((1, 1, 1, 1))
                A = ConvLinearOperator(kernel, (1, size, size + 1))
            b = rng.standard_normal(A.shape[0])
            for scale in (1.0, 0.0, 1e200):
                level = 0.2 * scale if rule == "discrepancy" else None
                result = solve(A, scale * b, "lsqr", damp=rule, noise_level=level)
                assert result.success and result.extra["damp"] >= 0

    def test_a_curve_without_corner_says_so(self):
        """Singular values of one order: the largest curvature is at an end."""
        op = layer((2, 1, 3), (1, 20), boundary="periodic", padding=1)
        rng = np.random.default_rng(0)
        b = op.forward(rng.standard_normal(op.input_shape))
        result = chosen(op, b, "lcurve", None)
        path = result.extra["damp_path"]
        ends = path["damp"][[0, -1]]
        curvature = np.max(path["criterion"])
        doubtful = curvature <= 0 or np.isclose(result.extra["damp"], ends).any()
        assert doubtful and "no corner" in result.message

    def test_a_curve_with_a_corner_does_not(self):
        op = blur("reflect", (12, 12), 1.5)
        rng = np.random.default_rng(0)
        b = op.forward(picture((12, 12))) + 1e-3 * rng.standard_normal((1, 12, 12))
        result = chosen(op, b, "lcurve", None)
        assert np.max(result.extra["damp_path"]["criterion"]) > 0
        assert "corner" not in result.message


def test_gcv_of_a_small_image_is_exact():
    """The trace of 576 unknowns comes from the matrix itself, also without noise."""
    g = np.exp(-0.5 * (np.arange(5) - 2.0) ** 2)
    op = ConvLinearOperator(
        np.outer(g, g)[None, None] / g.sum() ** 2,
        (1, 24, 24),
        padding="same",
        boundary="reflect",
    )
    b = op.forward(np.random.default_rng(0).random((1, 24, 24)))
    u, s, _ = np.linalg.svd(op.todense())
    parts = u.T @ b.ravel()
    damps = np.geomspace(1e-5, 1, 1500)
    left = damps[:, None] ** 2 / (s**2 + damps[:, None] ** 2)
    best = damps[np.argmin(np.sum((left * parts) ** 2, 1) / left.sum(1) ** 2)]
    assert chosen(op, b, "gcv", None).extra["damp"] == pytest.approx(best, rel=0.01)
