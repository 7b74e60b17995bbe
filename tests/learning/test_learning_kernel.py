"""fit_kernel: against dense least squares, its error bars, and what it can't know."""

import warnings

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery, solve
from convinv.learning import _normal_equations, fit_kernel
from support import oracles
from support.arrays import random

# kernel shape, input shape, then what differs from an undilated "valid" layer
LAYERS = {
    "plain": ((5, 2, 3, 3), (2, 9, 11), {}),
    "1-D": ((3, 2, 4), (2, 41), {"padding": [(1, 2)], "boundary": "replicate"}),
    "3-D": (
        (2, 2, 2, 3, 2),
        (2, 5, 6, 7),
        {
            "padding": ((0, 1), (1, 1), (0, 1)),
            "boundary": "symmetric",
            "stride": (2, 1, 2),
        },
    ),
    "groups": (
        (6, 2, 3, 2),
        (4, 12, 13),
        {"groups": 2, "padding": 1, "boundary": "reflect", "stride": 2},
    ),
    "periodic": (
        (3, 1, 5, 7),
        (1, 19, 20),
        {"stride": (2, 1), "padding": ((3, 2), (0, 7)), "boundary": "periodic"},
    ),
    "dilation": (
        (2, 2, 4, 3),
        (2, 25, 24),
        {"dilation": (2, 3), "stride": (3, 2), "padding": 3},
    ),
    "stride beyond the taps": ((4, 1, 2, 2), (1, 20, 21), {"stride": 3}),
}


def layer(name, dtype="float64"):
    shape, image, options = LAYERS[name]
    return ConvLinearOperator(random(shape, dtype, 7), image, **options)


def design(op, X):
    """The matrix D of every filter, (C_out, outputs, unknowns), tap by tap."""
    c_out, *rest = op.kernel.shape
    columns = []
    for tap in np.ndindex(*rest):
        kernel = np.zeros((c_out, *rest), op.dtype)
        kernel[(slice(None), *tap)] = 1
        one = ConvLinearOperator(kernel, op.input_shape, **op.options)
        columns.append(np.moveaxis(one.forward(X), 1, 0).reshape(c_out, -1))
    return np.stack(columns, axis=-1)


def noisy(op, batch=3, level=0.1):
    X = random((batch, *op.input_shape), op.dtype, 1)
    Y = op.forward(X)
    return X, Y + level * random(Y.shape, op.dtype, 2)


def fit(op, X, Y, **options):
    keep = {k: v for k, v in op.options.items() if k != "flip"}
    return fit_kernel(X, Y, op.kernel.shape[2:], **keep, **options)


@pytest.mark.parametrize("lags", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", LAYERS)
def test_least_squares(name, dtype, lags, monkeypatch):
    """Kernel, error bars, noise and condition are those of the dense problem."""
    monkeypatch.setattr(_normal_equations, "_lags_are_cheaper", lambda g: lags)
    monkeypatch.setattr(_normal_equations, "ENTRIES", 500)  # several slabs
    op = layer(name, dtype)
    X, Y = noisy(op)
    before = X.copy(), Y.copy()
    found = fit(op, X, Y)
    D = design(op, X)
    data = np.moveaxis(Y, 1, 0).reshape(len(D), -1)
    for o, matrix in enumerate(D):
        expected, squares, rank, _ = np.linalg.lstsq(matrix, data[o])
        assert rank == matrix.shape[1] == found.rank == found.unknowns
        np.testing.assert_allclose(found.kernel[o].ravel(), expected, atol=1e-12)
        noise = np.sqrt(squares[0] / (matrix.shape[0] - matrix.shape[1]))
        np.testing.assert_allclose(found.noise[o], noise, rtol=1e-10)
        inverse = np.linalg.inv(matrix.conj().T @ matrix)
        spread = noise * np.sqrt(np.diagonal(inverse).real)
        np.testing.assert_allclose(found.stderr[o].ravel(), spread, rtol=1e-9)
    worst = max(np.linalg.cond(matrix) for matrix in D)
    np.testing.assert_allclose(found.condition, worst, rtol=1e-9)
    assert found.equations == D.shape[1] and found.op.kernel is found.kernel
    left = np.linalg.norm(Y - found.op.forward(X))
    np.testing.assert_allclose(found.residual_norm, left, rtol=1e-10)
    np.testing.assert_array_equal(before[0], X)
    np.testing.assert_array_equal(before[1], Y)


@pytest.mark.parametrize("name", ["plain", "groups"])
def test_damp(name):
    op, damp = layer(name), 7.0
    X, Y = noisy(op)
    found = fit(op, X, Y, damp=damp)
    data = np.moveaxis(Y, 1, 0).reshape(op.kernel.shape[0], -1)
    for o, D in enumerate(design(op, X)):
        damped = np.concatenate([D, damp * np.eye(D.shape[1])])
        H = D @ oracles.pinv(damped)[:, : len(D)]
        expected = oracles.pinv(damped)[:, : len(D)] @ data[o]
        np.testing.assert_allclose(found.kernel[o].ravel(), expected, atol=1e-12)
        left = np.eye(len(D)) - H
        noise = np.linalg.norm(left @ data[o]) / np.linalg.norm(left)
        np.testing.assert_allclose(found.noise[o], noise, rtol=1e-9)
        spread = noise * np.linalg.norm(oracles.pinv(damped)[:, : len(D)], axis=1)
        np.testing.assert_allclose(found.stderr[o].ravel(), spread, rtol=1e-9)
    conditions = [
        np.linalg.cond(np.concatenate([D, damp * np.eye(D.shape[1])]))
        for D in design(op, X)
    ]
    np.testing.assert_allclose(found.condition, max(conditions), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64"])
def test_precision(dtype):
    op = layer("plain", dtype)
    X = random((2, *op.input_shape), dtype, 1)
    found = fit(op, X, op.forward(X))
    assert found.kernel.dtype == dtype and found.op.dtype == dtype
    np.testing.assert_allclose(found.kernel, op.kernel, atol=30 * np.finfo(dtype).eps)


@pytest.mark.parametrize("reference", ["input", "output"])
def test_one_photograph(reference):
    """A 3 -> 8 layer from one noisy 256 x 256 pair, to better than 1 %."""
    if "china" not in gallery.images():
        pytest.skip("no photographs")
    x = gallery.image("china", 256)
    op = ConvLinearOperator(gallery.conv_layer(3, 8, rng=0), x.shape)
    y = gallery.add_noise(
        op.forward(x), 0.01, rng=1, reference=x if reference == "input" else None
    )
    found = fit_kernel(x, y, 3)
    size = np.linalg.norm(op.kernel)
    error = np.linalg.norm(found.kernel - op.kernel) / size
    assert error < 0.01
    assert 0.8 < error / (np.linalg.norm(found.stderr) / size) < 1.25
    again = solve(found.op, y, rtol=1e-8)
    truth = solve(op, y, rtol=1e-8)
    ours, best = (np.linalg.norm(r.x - x) for r in (again, truth))
    assert again.success and ours < 1.1 * best


def test_error_bars():
    """Over many draws of the noise, the errors spread as `stderr` says."""
    op = layer("periodic")
    X = random((1, *op.input_shape), "float64", 1).cumsum(-1).cumsum(-2)
    Y, rng, scores = op.forward(X), np.random.default_rng(3), []
    for _ in range(40):
        found = fit(op, X, Y + 0.3 * rng.standard_normal(Y.shape))
        scores.append((found.kernel - op.kernel) / found.stderr)
    scores = np.array(scores)
    assert 0.95 < scores.std() < 1.05
    assert abs(scores.mean()) < 0.1
    np.testing.assert_allclose(scores.std(0), 1, atol=0.45)


@pytest.mark.parametrize("width", [3.5, 16.0])
def test_ill_conditioned(width):
    """Refinement restores what the square of the condition number costs."""
    x = gallery.gaussian_kernel(61, width)[None]
    op = ConvLinearOperator(random((2, 1, 3, 3), seed=4), x.shape)
    y = op.forward(x)
    found = fit_kernel(x, y, 3)
    assert found.rank == 9
    assert found.condition < 1e5 if width < 10 else found.condition > 1e5
    error = np.linalg.norm(found.kernel - op.kernel) / np.linalg.norm(op.kernel)
    assert error < 100 * found.condition * 2.0**-52


class TestUndetermined:
    def test_constant_image(self):
        X = np.ones((2, 8, 9))
        X[1] *= 3
        op = ConvLinearOperator(random((4, 2, 3, 3)), X.shape)
        Y = op.forward(X)
        with pytest.warns(UserWarning, match="determine 1 of 18 entries"):
            found = fit_kernel(X, Y, 3)
        assert found.rank == 1 and found.condition == np.inf
        assert np.all(np.isinf(found.stderr))
        D = design(op, X[None])[0]
        expected = oracles.pinv(D) @ Y.reshape(4, -1).T
        np.testing.assert_allclose(found.kernel.reshape(4, -1).T, expected, atol=1e-12)

    def test_entries_that_are_known(self):
        """A channel that is dark leaves the others' error bars finite."""
        X = random((3, 2, 8, 9))
        X[:, 1] = 0
        Y = ConvLinearOperator(random((1, 2, 2, 2)), (2, 8, 9)).forward(X)
        Y = Y + 0.1 * random(Y.shape, seed=5)
        with pytest.warns(UserWarning, match="determine 4 of 8"):
            found = fit_kernel(X, Y, 2)
        assert np.all(np.isfinite(found.stderr[:, 0]) & (found.stderr[:, 0] > 0))
        assert np.all(np.isinf(found.stderr[:, 1])) and not found.kernel[:, 1].any()

    def test_too_few_equations(self):
        X = random((1, 4, 4))
        Y = ConvLinearOperator(random((2, 1, 3, 3)), (1, 4, 4)).forward(X)
        with pytest.warns(UserWarning, match="determine 4 of 9"):
            found = fit_kernel(X, Y, 3)
        assert np.all(np.isnan(found.noise)) and found.equations == 4
        np.testing.assert_allclose(found.op.forward(X), Y, atol=1e-12)

    def test_damp_determines(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = fit_kernel(np.ones((1, 6, 6)), np.ones((1, 4, 4)), 3, damp=1.0)
        assert np.isfinite(found.condition) and np.all(np.isfinite(found.stderr))

    def test_all_zero(self):
        with pytest.warns(UserWarning, match="determine 0 of 9"):
            found = fit_kernel(np.zeros((1, 6, 6)), np.zeros((1, 4, 4)), 3)
        assert not found.kernel.any() and found.residual_norm == 0


def test_a_kernel_size_too_large():
    op = layer("plain")
    X, Y = noisy(op, 20)
    found = fit_kernel(X, Y[..., 1:-1, 1:-1], 5)
    outer = np.ones((5, 5), bool)
    outer[1:4, 1:4] = False
    assert np.all(abs(found.kernel) < 5 * found.stderr, axis=(0, 1))[outer].all()
    inner = found.kernel[..., 1:4, 1:4]
    assert np.all(abs(inner - op.kernel) < 5 * found.stderr[..., 1:4, 1:4])


@pytest.mark.parametrize("power", [-100, 100])
def test_scale(power):
    op, scale = layer("plain"), 10.0**power
    X, Y = noisy(op)
    one, other = fit(op, X, Y), fit(op, X * scale, Y)
    for name in ("kernel", "stderr"):
        np.testing.assert_allclose(
            getattr(other, name) * scale, getattr(one, name), rtol=1e-9
        )
    np.testing.assert_allclose(other.condition, one.condition, rtol=1e-9)
    np.testing.assert_allclose(other.noise, one.noise, rtol=1e-9)
    other = fit(op, X, Y * scale)
    np.testing.assert_allclose(other.kernel, one.kernel * scale, rtol=1e-9)
    np.testing.assert_allclose(other.residual_norm, one.residual_norm * scale)


def test_batches():
    op = layer("plain")
    X, Y = noisy(op, 1)
    one, batch = fit_kernel(X[0], Y[0], 3), fit_kernel(X.tolist(), Y.tolist(), (3, 3))
    np.testing.assert_array_equal(one.kernel, batch.kernel)
    assert one.op.input_shape == (2, 9, 11) and "rank 18" in repr(one)


def test_large_kernels_take_lags():
    for k, expected in ((3, False), (9, True)):
        op = ConvLinearOperator(np.ones((1, 1, k, k)), (1, 20, 20))
        assert _normal_equations._lags_are_cheaper(op.geometry) is expected


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"Y": np.ones((1, 5, 6, 7))}, ValueError, "Y must have shape"),
        ({"Y": np.ones((2, 3, 6, 6))}, ValueError, "equally many images"),
        ({"X": np.ones((8, 8))}, ValueError, "2 spatial axes"),
        ({"X": np.full((1, 2, 8, 8), np.nan)}, ValueError, "X must be finite"),
        ({"X": np.full((1, 2, 8, 8), "a")}, TypeError, "X must be"),
        ({"kernel_size": 2.5}, TypeError, "kernel_size must be"),
        ({"kernel_size": "3"}, TypeError, "kernel_size must be"),
        ({"kernel_size": 0}, ValueError, "kernel must not be empty"),
        ({"kernel_size": 9}, ValueError, "does not fit"),
        ({"damp": -1}, ValueError, "damp must be"),
        ({"damp": "gcv"}, TypeError, "damp must be"),
        ({"groups": 3}, ValueError, "groups=3"),
        ({"groups": 1.5}, TypeError, "groups must be"),
        ({"boundary": "mirrored"}, ValueError, "boundary must be"),
    ],
)
def test_errors(change, error, match):
    arguments = {"X": np.ones((1, 2, 8, 8)), "Y": np.ones((1, 3, 6, 6))}
    arguments |= {"kernel_size": 3, **change}
    X, Y, size = (arguments.pop(name) for name in ("X", "Y", "kernel_size"))
    with pytest.raises(error, match=match):
        fit_kernel(X, Y, size, **arguments)


@pytest.mark.parametrize("name", ["groups", "periodic"])
def test_cupy(cupy, name):
    op = layer(name)
    X, Y = noisy(op)
    expected = fit(op, X, Y)
    found = fit(op, cupy.asarray(X), cupy.asarray(Y))
    with pytest.raises(TypeError, match="one library"):
        fit(op, cupy.asarray(X), Y)
    assert isinstance(found.kernel, cupy.ndarray)
    np.testing.assert_allclose(found.kernel.get(), expected.kernel, atol=1e-13)
    np.testing.assert_allclose(found.stderr, expected.stderr, rtol=1e-10)


@pytest.mark.parametrize("size", [(5,), (3, 4), (2, 3, 3)])
@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_picture(size, kind):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    kernel = random((3, 2, *size), kind)
    op = ConvLinearOperator(kernel, (2, *(4 * k for k in size)))
    x = random(op.input_shape, kind, seed=1)
    fit = fit_kernel(x[None], op.forward(x)[None], size)
    ax = fit.plot()
    shown = np.abs(fit.kernel) if kind == "complex128" else fit.kernel
    if len(size) == 1:
        found = [bars.lines[0].get_ydata() for bars in ax.containers]
        np.testing.assert_array_equal(found, shown.reshape(6, -1))
    else:
        sheet = ax.images[0].get_array()
        tile = sheet[size[-2] + 1 :, -size[-1] :][: size[-2]]
        np.testing.assert_array_equal(tile, shown[1, 1].reshape(-1, *size[-2:])[-1])
    assert fit.plot(ax) is ax
    plt.close("all")
