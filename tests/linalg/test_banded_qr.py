"""QR of tall matrices with a narrow band, and strips that make use of it."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from convinv import ConvLinearOperator, solve
from convinv._linalg.banded_qr import banded_qr
from convinv._linalg.pseudoinverse import banded_inverse, pseudoinverse
from convinv.strips import _inverses
from support import oracles


@pytest.fixture(autouse=True)
def one_blas_thread():
    with threadpool_limits(1, user_api="blas"):
        yield


def shuffled(dtype=float, columns=300, per_column=2, reach=4, seed=0):
    """Two rows for every column, which touch a few neighbors; in random order."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((per_column * columns, columns), dtype)
    for row in range(len(matrix)):
        here = slice(row // per_column, row // per_column + reach)
        values = rng.standard_normal((2, len(matrix[row, here])))
        matrix[row, here] = values[0] + (1j * values[1] if dtype is complex else 0)
    matrix[7] = 0
    return matrix[rng.permutation(len(matrix))][:, rng.permutation(columns)]


@pytest.mark.parametrize("dtype", [float, complex])
def test_pseudoinverse_of_a_band(dtype):
    matrix = shuffled(dtype)
    factor = banded_qr(matrix)
    expected = oracles.pinv(matrix)
    scale = np.linalg.norm(expected)
    assert np.linalg.norm(factor.pseudoinverse() - expected) < 1e-12 * scale
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(np.linalg.svd(factor.R)[1], values, rtol=1e-10)
    assert not np.tril(factor.R, -1).any()
    P, rank, used = pseudoinverse(matrix)
    assert (rank, used) == (300, "qr")
    assert np.linalg.norm(P - expected) < 1e-12 * scale
    wide, *_ = pseudoinverse(matrix.conj().T)
    assert np.linalg.norm(wide - expected.conj().T) < 1e-12 * scale
    damped, *_ = pseudoinverse(matrix, damp=0.5)
    gram = matrix.conj().T @ matrix + 0.25 * np.eye(300)
    expected = np.linalg.solve(gram, matrix.conj().T)
    np.testing.assert_allclose(damped, expected, atol=1e-12)


def test_solutions_in_single_precision():
    matrix = shuffled()
    b = np.random.default_rng(1).standard_normal((5, len(matrix)))
    x = banded_qr(matrix).solver(np.float32)(b.astype(np.float32))
    assert x.dtype == np.float32
    expected = np.linalg.lstsq(matrix, b.T, rcond=None)[0].T
    assert np.linalg.norm(x - expected) < 1e-5 * np.linalg.norm(expected)


def test_an_ill_conditioned_band_keeps_the_accuracy_of_qr():
    """The normal equations would lose all digits of the small singular value."""
    matrix = shuffled()
    matrix[:, 40] *= 1e-9
    matrix[:, 41] *= 1e-3
    assert np.linalg.cond(matrix) > 1e9
    x = np.random.default_rng(2).standard_normal((1, 300))
    found = banded_inverse(matrix).solver(float)(x @ matrix.T)
    np.testing.assert_allclose(found, x, rtol=1e-5)


def test_no_band_or_no_full_rank():
    matrix = shuffled()
    rng = np.random.default_rng(3)
    assert banded_qr(matrix.T) is None
    assert banded_qr(matrix[:, :50]) is None
    assert banded_qr(rng.standard_normal((400, 300))) is None
    scattered = np.eye(300)
    scattered[np.arange(300), rng.permutation(300)] += 1
    scattered[np.arange(300), rng.permutation(300)] += 1
    assert banded_qr(np.concatenate([scattered, scattered])) is None
    deficient = matrix.copy()
    deficient[:, 12] = 0
    assert banded_inverse(deficient) is None
    P, rank, used = pseudoinverse(deficient)
    assert (rank, used) == (299, "svd")
    np.testing.assert_allclose(P, oracles.pinv(deficient), atol=1e-10)
    assert banded_inverse(matrix, rcond=0.1) is None


def long_strips(**options):
    rng = np.random.default_rng(4)
    op = ConvLinearOperator(rng.standard_normal((6, 2, 3, 3)), (2, 8, 48), **options)
    return op, rng.standard_normal((4, *op.output_shape))


@pytest.mark.parametrize(
    "options", [{}, {"overlap": "average"}, {"symmetric": True}, {"refine": True}]
)
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.filterwarnings("ignore::convinv.ConvergenceWarning")
def test_strips_with_a_band(monkeypatch, options, padding):
    """As by the normal equations, which make no use of the band."""
    op, b = long_strips(padding=padding)
    window = {"window": (3, op.output_shape[2])}
    made = []

    def counting(matrix, rcond):
        made.append(banded_inverse(matrix, rcond))
        return made[-1]

    monkeypatch.setattr(_inverses, "banded_inverse", counting)
    result = solve(op, b, "strip", maxiter=3, **window, **options)
    assert any(factor is not None for factor in made)
    assert result.extra["factorization"] == ("qr",)
    options = options | {"factorization": "normal"}
    expected = solve(op, b, "strip", maxiter=3, **window, **options)
    np.testing.assert_allclose(result.x, expected.x, atol=1e-9 * abs(expected.x).max())


def test_large_batches_are_shared_out():
    """More items than one piece holds."""
    op, _ = long_strips()
    x = np.random.default_rng(5).standard_normal((150, *op.input_shape))
    result = solve(op, op.forward(x), "strip", window=(3, 46), rtol=1e-10)
    assert result.success
    np.testing.assert_allclose(result.x, x, atol=1e-9)
