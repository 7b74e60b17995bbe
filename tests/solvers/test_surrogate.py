"""fdbk, adbk, gbk, rshk and rshek beside their formulas on dense matrices."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, Status, solve
from convinv.operators._row_norms import column_norms, row_norms
from support import oracles
from support.quiet import quietly

METHODS = {
    "rshk": ("rshk", {}),
    "fdbk": ("fdbk", {}),
    "adbk": ("adbk", {}),
    "madbk": ("adbk", {"momentum": 0.5}),
    "gbk": ("gbk", {}),
    "gbk eta": ("gbk", {"eta": 0.3}),
}
every = pytest.mark.parametrize("name", METHODS)


def system(m, n, rank, noise, seed=0):
    """A with singular values from 1 to 8, b, and the solution of least norm."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((m, rank)))[0]
    right = np.linalg.qr(rng.standard_normal((n, rank)))[0]
    A = left * np.linspace(1, 8, rank) @ right.T
    b = A @ rng.standard_normal(n)
    b = b + noise * np.linalg.norm(b) / np.sqrt(m) * rng.standard_normal(m)
    return A, b, np.linalg.pinv(A, rcond=1e-10) @ b


SHAPES = (60, 20, 20), (20, 60, 20), (60, 30, 15)
CONSISTENT = [system(*shape, 0.0) for shape in SHAPES]
INCONSISTENT = [system(*shape, 0.1) for shape in ((60, 20, 20), (60, 30, 15))]


def run(name, A, b, **options):
    method, chosen = METHODS.get(name, (name, {}))
    xs = []
    result = quietly(
        A, b, method, callback=lambda s: xs.append(s.x + 0), **chosen, **options
    )
    return result, np.array(xs)


def error(x, exact):
    return np.linalg.norm(x - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("A, b, x", CONSISTENT)
@pytest.mark.parametrize("name", [*METHODS, "rshek"])
def test_consistent_systems(name, A, b, x):
    result, _ = run(name, A, b, rtol=1e-13, maxiter=5000)
    assert result.success and error(result.x, x) <= 1e-11


@pytest.mark.parametrize("A, b, x", INCONSISTENT)
@every
def test_noise_horizon(name, A, b, x):
    """They come near to the solution, no further, and say so."""
    result, _ = run(name, A, b, rtol=1e-10, maxiter=5000)
    assert result.status is Status.STALLED and not result.success
    assert "less than 1 %" in result.message and "rshek" in result.message
    assert 1e-3 < error(result.x, x) < 0.5
    assert result.nit < 1000


@pytest.mark.parametrize("A, b, x", INCONSISTENT)
@pytest.mark.parametrize(
    "name, options", [("rshek", {}), ("rshk", {"step": "residual"})]
)
def test_least_squares(name, options, A, b, x):
    result, _ = run(name, A, b, rtol=1e-12, maxiter=5000, **options)
    assert result.success and error(result.x, x) <= 1e-10


@pytest.mark.parametrize("A, b, x", CONSISTENT)
@pytest.mark.parametrize("name", [n for n in METHODS if n != "madbk"])
def test_errors_fall_in_every_step(name, A, b, x):
    _, xs = run(name, A, b, rtol=1e-6, maxiter=200)
    errors = np.linalg.norm(xs - x, axis=1)
    assert len(errors) > 3
    assert np.all(np.diff(errors) <= 1e-12 * errors[0])
    assert errors[-1] < 0.5 * errors[0]


def rows(name, A, r):
    """The rows that a method takes, from its definition."""
    norms = np.sum(A**2, axis=1)
    quotient = r**2 / norms
    if name in ("adbk", "madbk"):
        return r**2 >= r @ r / r.size
    if name == "gbk eta":
        return quotient >= 0.3 * quotient.max()
    if name == "rshk":
        return np.ones(r.size, bool)
    eps = (quotient.max() / (r @ r) + 1 / norms.sum()) / 2
    return r**2 >= eps * (r @ r) * norms


@every
def test_steps(name):
    A, b, _ = INCONSISTENT[0]
    _, xs = run(name, A, b, maxiter=6, rtol=0)
    x = before = np.zeros(A.shape[1])
    for got in xs:
        r = b - A @ x
        U = rows(name, A, r)
        assert name == "rshk" or 0 < U.sum() < r.size
        if name.startswith("gbk"):
            step = oracles.pinv(A[U]) @ r[U]
        else:
            eta = np.where(U, r, 0)
            y = A.T @ eta
            step = (eta @ r) / (y @ y) * y
        momentum = 0.5 * (x - before) if name == "madbk" else 0
        before, x = x, x + step + momentum
        np.testing.assert_allclose(got, x, atol=2e-6 * np.abs(x).max())


@pytest.mark.parametrize("name", [*METHODS, "rshek"])
def test_items_have_their_own_rows(name):
    A, b, _ = CONSISTENT[0]
    rng = np.random.default_rng(4)
    batch = np.stack([b, A @ rng.standard_normal(A.shape[1]), 0 * b, 3 * b], axis=1)
    together, _ = run(name, A, batch, maxiter=15, rtol=0)
    for item in range(4):
        alone, _ = run(name, A, batch[:, item], maxiter=15, rtol=0)
        # blocks are solved until their normal residual has fallen by 1e-6
        atol = (1e-5 if "gbk" in name else 1e-9) * np.abs(alone.x).max()
        np.testing.assert_allclose(together.x[:, item], alone.x, atol=atol)


def test_momentum_saves_steps():
    A, b, _ = CONSISTENT[0]
    counts = [
        solve(A, b, "adbk", momentum=m, rtol=1e-8, maxiter=5000).nit for m in (0, 0.5)
    ]
    assert counts[1] < 0.7 * counts[0]


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("adbk", {"momentum": 1.0}, "momentum must be"),
        ("adbk", {"momentum": "a"}, "momentum must be"),
        ("rshk", {"step": "best"}, "step must be"),
        ("gbk", {"eta": 0.0}, "eta must be"),
        ("gbk", {"eta": "a"}, "eta must be"),
        ("gbk", {"inner_rtol": 2.0}, "inner_rtol must be"),
        ("gbk", {"inner_rtol": None}, "inner_rtol must be"),
        ("fdbk", {"damp": 0.1}, "takes no damp"),
    ],
)
def test_refused(method, options, words):
    A, b, _ = CONSISTENT[0]
    with pytest.raises((ValueError, TypeError), match=words):
        solve(A, b, method, **options)


def test_blocks_stay_in_the_row_space():
    """The gradient of a block whose rows contradict each other is only rounding."""
    kernel = [[[-1, -1.3, -0.9], [-0.5, -1.3, 1]]]
    op = ConvLinearOperator(kernel, (2, 2), padding=2, boundary="replicate")
    b = np.array([[-1.3, 1.1, -0.5, -0.5]])
    result = quietly(op, b, "gbk", eta=0.01, rtol=1e-12)
    exact = np.linalg.pinv(op.todense()) @ b.ravel()
    assert error(result.x.ravel(), exact) < 1e-5  # of norm 1.4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(25))
def test_gbk_stays_in_the_row_space_of_small_layers(seed, dtype):
    rng = np.random.default_rng(seed)
    filters, channels, taps, size = rng.integers(1, 5, 4)
    kernel = np.round(rng.standard_normal((filters, channels, taps)), 1)
    boundary = ["replicate", "symmetric", "reflect", "periodic"][seed % 4]
    op = ConvLinearOperator(
        kernel, (channels, size), padding=taps - 1, boundary=boundary, dtype=dtype
    )
    B = np.round(rng.standard_normal((4, *op.output_shape)), 1).astype(dtype)
    eta = [None, 0.01, 0.5, 1.0][rng.integers(4)]
    result = quietly(op, B, "gbk", eta=eta, rtol=1e-6, maxiter=300)
    _, values, right = np.linalg.svd(op.todense().astype(float))
    rank = np.count_nonzero(values > 1e-6 * values[0])
    X = result.x.reshape(4, -1).astype(float)
    least = B.reshape(4, -1) @ np.linalg.pinv(op.todense().astype(float), 1e-6).T
    outside = np.linalg.norm(X @ right[rank:].T, axis=1)
    assert (outside <= 1e-3 * np.linalg.norm(least, axis=1)).all()
    assert np.linalg.norm(X) <= 3 * np.linalg.norm(least)


@pytest.mark.parametrize("boundary", ["zero", "periodic", "reflect", "replicate"])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_norms(boundary, dtype):
    """Of rows and columns, also where taps meet in a sample."""
    rng = np.random.default_rng(6)
    kernel = rng.standard_normal((4, 2, 3, 2)) + 1j * rng.standard_normal((4, 2, 3, 2))
    kernel = kernel.astype(dtype) if dtype == "complex64" else kernel.real
    for options in (
        {"padding": (3, 2), "groups": 2, "stride": (1, 2)},
        {"padding": 2, "dilation": (2, 1), "flip": True},
    ):
        channels = 2 * options.get("groups", 1)
        op = ConvLinearOperator(kernel, (channels, 5, 4), boundary=boundary, **options)
        A = op.todense().astype(complex)
        for norms, axis in ((row_norms(op), 1), (column_norms(op), 0)):
            assert norms.dtype == float
            expected = np.sum(np.abs(np.asarray(A)) ** 2, axis=axis)
            np.testing.assert_allclose(norms, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["adbk", "fdbk", "gbk", "kaczmarz", "rk"])
def test_slow_convergence_is_not_called_inconsistent(name):
    """A Laplacian with repeated edges: condition 100, and b in its range."""
    kernel = np.array([[0, -1, 0], [-1, 4.0, -1], [0, -1, 0]])[None, None]
    op = ConvLinearOperator(kernel, (1, 12, 12), padding=1, boundary="replicate")
    b = op.forward(np.random.default_rng(0).standard_normal(op.input_shape))
    result, _ = run(name, op, b, rtol=1e-12, maxiter=2000)
    if result.status is Status.STALLED:
        assert "convergence is slow" in result.message
        assert "either" in result.message and "'cgls'" in result.message
    else:
        assert result.success or result.status is Status.MAXITER
