"""Normal equations against dense solves."""

import warnings

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator, normal_solve
from support.arrays import random
from support.layers import layer, matrix

PERIODIC = {"padding": "same", "boundary": "periodic"}
# name: (kernel shape, input shape, options)
LAYERS = {
    "tall": ((6, 2, 3, 3), (2, 14, 15), {}),
    "wide": ((2, 5, 3, 3), (5, 13, 14), {}),
    "square": ((2, 2, 3, 3), (2, 12, 13), {"padding": 1}),
    "stride": ((9, 2, 3, 3), (2, 15, 14), {"stride": 2, "padding": 1}),
    "groups": ((6, 1, 3, 3), (2, 14, 13), {"groups": 2, "boundary": "reflect"}),
    "torus": ((5, 2, 3, 3), (2, 8, 9), PERIODIC),
    "wide torus": ((2, 5, 3, 3), (5, 8, 7), PERIODIC),
    "wraps": ((3, 1, 3), (1, 21), {"padding": 2, "boundary": "periodic"}),
    "deficient": ((3, 2, 3, 3), (2, 12, 11), {}),
}


def made(name, dtype="float64"):
    shape, input_shape, options = LAYERS[name]
    return layer(shape, input_shape, dtype, **options)


def expected(A, g, damp):
    N = A.conj().T @ A + damp**2 * np.eye(A.shape[1])
    inverse = np.linalg.inv(N) if damp else None
    if inverse is None:
        root = np.linalg.pinv(A, rcond=1e-9)
        inverse = root @ root.conj().T
    return g.reshape(-1, A.shape[1]) @ inverse.T


def close(v, truth, tolerance):
    v = v.reshape(truth.shape)
    assert np.linalg.norm(v - truth) <= tolerance * np.linalg.norm(truth)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("damp", [0.0, 0.3])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_and_adjoints(name, damp, dtype):
    op = made(name, dtype)
    for part, A in ((op, matrix(op)), (op.H, matrix(op).conj().T)):
        g = random((2, *part.input_shape), dtype, 3)
        before = g.copy()
        v = normal_solve(part, g, damp)
        np.testing.assert_array_equal(g, before)
        assert v.shape == g.shape and v.dtype == dtype
        close(v, expected(A, g, damp), 1e-4 if name == "deficient" else 1e-6)


@pytest.mark.parametrize("name", ["tall", "wide", "square", "torus"])
@pytest.mark.parametrize("damp", [0.0, 0.2])
def test_single_precision(name, damp):
    op = made(name, "float32")
    g = random(op.input_shape, "float32", 2)
    v = normal_solve(op, g, damp)
    assert v.dtype == "float32"
    close(v, expected(matrix(op), g.astype(float), damp), 1e-6)


def test_shapes_and_dtypes():
    op = made("tall")
    g = random((2, 3, *op.input_shape))
    v = normal_solve(op, g, 0.1)
    assert v.shape == g.shape
    np.testing.assert_allclose(normal_solve(op, g[1, 2], 0.1), v[1, 2], atol=1e-12)
    flat = normal_solve(op, g[1, 2].ravel(), 0.1)
    np.testing.assert_allclose(flat, v[1, 2].ravel(), atol=1e-12)
    twice = normal_solve(op, g[0, 0] + 1j * g[0, 1], 0.1)
    np.testing.assert_allclose(twice, v[0, 0] + 1j * v[0, 1], atol=1e-11)
    assert not normal_solve(op, np.zeros(op.input_shape)).any()
    assert normal_solve(op, np.ones(op.input_shape, int).tolist()).dtype == "float64"


@pytest.mark.parametrize("kernel", [1e-120, 1.0, 1e120])
@pytest.mark.parametrize("data", [1e-60, 1e60])
@pytest.mark.parametrize("name", ["tall", "wide", "torus", "deficient"])
def test_scales(name, kernel, data):
    op = made(name)
    scaled = ConvLinearOperator(kernel * op.kernel, op.input_shape, **op.options)
    g = random(op.input_shape)
    for damp in (0.0, 0.5):
        v = normal_solve(op, g, damp)
        w = normal_solve(scaled, data * g, kernel * damp)
        close(w / data * kernel**2, v.reshape(1, -1), 1e-5)


@pytest.mark.parametrize("damp", [0.0, 0.3])
def test_matrices(damp):
    for shape in ((30, 20), (20, 30)):
        A, g = random(shape), random(shape[1], seed=1)
        close(normal_solve(A, g, damp), expected(A, g, damp), 1e-5)


def test_where_the_exact_inverse_is_none(monkeypatch):
    """Two equal channels: with little damp, and with none."""
    kernel = random((4, 2, 3, 3))
    kernel[:, 1] = kernel[:, 0]
    op = ConvLinearOperator(kernel, (2, 12, 11))
    g = random(op.input_shape)
    for damp in (0.0, 1e-2):
        close(normal_solve(op, g, damp), expected(matrix(op), g, damp), 1e-5)


def test_a_laplacian():
    kernel = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    op = ConvLinearOperator(kernel, (1, 30, 30), padding=1)
    g = random(op.input_shape)
    close(normal_solve(op, g), expected(matrix(op), g, 0.0), 1e-6)


def test_gradients_of_solutions():
    """By finite differences of what `solve` gives."""
    op, damp = made("tall"), 0.2
    b, g = random(op.output_shape), random(op.input_shape, seed=1)
    db = random(op.output_shape, seed=2)
    gradient = op.forward(normal_solve(op, g, damp))
    change = [
        np.vdot(g, convinv.solve(op, b + s * db, damp=damp, rtol=1e-13).x)
        for s in (1e-3, -1e-3)
    ]
    np.testing.assert_allclose(
        (change[0] - change[1]) / 2e-3, np.vdot(gradient, db), rtol=1e-7
    )


def test_what_can_not_be_reached_is_said():
    kernel = np.outer([1, 4, 6, 4, 1], [1.0, 4, 6, 4, 1])[None, None] / 256
    op = ConvLinearOperator(kernel, (1, 30, 30), padding=2)
    with pytest.warns(convinv.ConvergenceWarning, match="normal_solve: 1 of 1"):
        normal_solve(op, random(op.input_shape), rtol=1e-14)
    g = random(op.input_shape)
    with pytest.raises(convinv.ConvergenceError, match="raise damp or rtol") as error:
        normal_solve(op, g, rtol=1e-14, on_failure="raise")
    quiet = normal_solve(op, g, rtol=1e-14, on_failure="ignore")
    np.testing.assert_array_equal(error.value.result.x, quiet)


def test_same_bits_after_other_solves():
    """Without full rank, whatever the layer has been solved with meanwhile."""
    op = ConvLinearOperator(random((3, 1, 3, 3)), (1, 5, 5))  # of rank 24 of 25
    assert np.linalg.matrix_rank(op.todense()) == 24
    g, y = random((2, *op.input_shape)), random((2, *op.output_shape))
    first = normal_solve(op, g, rtol=1e-10)
    expected = np.linalg.pinv(op.todense().T @ op.todense(), rcond=1e-12)
    wanted = g.reshape(2, -1) @ expected
    close(first.reshape(2, -1), wanted, 1e-7)
    for _ in range(3):
        convinv.solve(op, y)
        convinv.solve(op.H, g)
        np.testing.assert_array_equal(normal_solve(op, g, rtol=1e-10), first)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((np.ones(5),), ValueError, "g must have shape"),
        ((np.full((2, 14, 15), np.nan),), ValueError, "NaN"),
        ((np.ones((2, 14, 15)), -1.0), ValueError, "damp must be"),
        ((np.ones((0, 2, 14, 15)),), ValueError, "no vector"),
        ((np.array(["a"] * 420).reshape(2, 14, 15),), TypeError, "g|isfinite"),
    ],
)
def test_wrong_arguments(arguments, error, match):
    with warnings.catch_warnings(), pytest.raises(error, match=match):
        normal_solve(made("tall"), *arguments)


@pytest.mark.parametrize("name", ["tall", "wide", "torus"])
def test_on_the_device(cupy, name):
    host = made(name)
    g = random((2, *host.input_shape))
    device = ConvLinearOperator(
        cupy.asarray(host.kernel), host.input_shape, **host.options
    )
    v = normal_solve(device, cupy.asarray(g), 0.1)
    assert isinstance(v, cupy.ndarray)
    np.testing.assert_allclose(v.get(), normal_solve(host, g, 0.1), atol=1e-10)
