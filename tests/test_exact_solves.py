"""Exact inverses in `solve`, on layers where their shortcuts might fail."""

import gc
import weakref

import numpy as np
import pytest
from layer_cases import layer, matrix, random

from convinv import ConvLinearOperator, solve
from convinv._banded import MemoryLimit, Singular


def error(x, expected):
    return np.linalg.norm(np.ravel(x) - np.ravel(expected)) / np.linalg.norm(expected)


@pytest.mark.parametrize("method", ["direct", "schwarz"])
def test_dilation(method):
    op = layer((8, 3, 3, 3), (3, 64, 64), dilation=2)
    x = random(op.input_shape, seed=1)
    result = solve(op, op.forward(x), method, rtol=1e-10)
    assert result.success and error(result.x, x) <= 1e-9


def test_dilation_of_one_axis():
    op = layer((2, 2, 3, 4), (2, 47, 40), dilation=(2, 1))
    b = op.forward(np.ones(op.input_shape))
    result = solve(op, b, damp=0.01, rtol=1e-9)
    A = matrix(op)
    expected = np.linalg.solve(A.T @ A + 1e-4 * np.eye(A.shape[1]), A.T @ b.ravel())
    assert result.success and result.method == "direct" and result.nit < 10
    assert error(result.x, expected) <= 1e-6


SQUARE = {  # seed and channels of square layers, whose condition numbers are large
    "3 channels": (0, 3, 20),
    "4 channels": (0, 4, 20),
    "2 channels": (7, 2, 26),
}


@pytest.mark.parametrize("method", ["auto", "direct", "schwarz"])
@pytest.mark.parametrize("name", SQUARE)
def test_single_precision_data_of_ill_conditioned_layers(name, method):
    """What is lost is what storing b and x in single precision loses."""
    seed, c, n = SQUARE[name]
    rng = np.random.default_rng(seed)
    kernel = (rng.uniform(-1, 1, (c, c, 3, 3)) / np.sqrt(9 * c)).astype("float32")
    op = ConvLinearOperator(kernel, (c, n, n), padding=1)
    x = rng.random(op.input_shape, dtype="float32")
    b = op.forward(x)
    A = matrix(op)
    expected = np.linalg.solve(A, b.ravel().astype(float))
    result = solve(op, b, method)
    assert result.success and result.x.dtype == "float32"
    assert error(result.x, expected) <= 5e-6
    least = np.linalg.svd(A, compute_uv=False)[-1]
    found = result.extra["smallest_singular_value"]
    assert 0.99 * least <= found <= 1.5 * least


@pytest.mark.parametrize(("damp", "start"), [(0.0, False), (0.02, False), (0.02, True)])
@pytest.mark.parametrize("method", ["direct", "schwarz"])
def test_single_precision_with_damp_and_starts(method, damp, start):
    kernel = random((3, 2, 2, 2), "float32")
    kernel[2] = kernel[0] * 1.001
    for shape in ((2, 2, 2, 2), (3, 2, 2, 2), (2, 3, 2, 2)):
        part = kernel.transpose(1, 0, 2, 3) if shape[0] < shape[1] else kernel
        part = part[: shape[0], : shape[1]]
        pad = int(shape[0] >= shape[1])  # full rank needs it, or none
        op = ConvLinearOperator(part, (shape[1], 18, 17), padding=pad)
        b = random(op.output_shape, "float32", 4)
        x0 = random(op.input_shape, "float32", 5) if start else None
        result = solve(op, b, method, damp=damp, x0=x0)
        wide = solve(op.astype("float64"), b, method, damp=damp, x0=x0, rtol=1e-12)
        assert result.success
        assert error(result.x, wide.x) <= 1e-5


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_condition_notes_are_in_the_units_of_the_user(scale):
    op = layer((6, 2, 3, 3), (2, 14, 13))
    op = ConvLinearOperator(scale * op.kernel, op.input_shape)
    values = np.linalg.svd(matrix(op) / scale, compute_uv=False)
    extra = solve(op, random(op.output_shape), "direct").extra
    least = extra["smallest_singular_value"] / scale
    assert 0.999 * values[-1] <= least <= 2 * values[-1]
    truth = (values[-1] / values[0]) ** 2
    assert 0.1 * truth <= extra["rcond"] <= 100 * truth


@pytest.mark.parametrize("method", ["direct", "schwarz", "spectral", "cgls"])
def test_operators_are_freed_with_what_they_keep(method):
    options = {"preconditioner": "schwarz"} if method == "cgls" else {}
    boundary = "periodic" if method == "spectral" else "zero"
    op = layer((4, 2, 3, 3), (2, 12, 12), padding=1, boundary=boundary)
    gc.disable()
    try:
        solve(op, random(op.output_shape), method, **options)
        alive = weakref.ref(op)
        del op
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("name", ["laplacian", "two filters", "difference"])
def test_auto_on_layers_that_are_singular_on_a_torus(name, adjoint, monkeypatch):
    """And regular with their own boundary; where a factor is too large as well."""
    laplacian = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    kernel = {
        "laplacian": laplacian[None, None],
        "two filters": np.stack([laplacian, laplacian.T + np.eye(3) - 1 / 3])[:, None],
        "difference": np.array([[0.0, 0, 0], [0, 1, -1], [0, 0, 0]])[None, None],
    }[name]
    op = ConvLinearOperator(kernel, (1, 60, 61), padding=1)
    op = op.H if adjoint else op
    monkeypatch.setattr("convinv.solvers.direct.BlockCholesky", too_singular)
    x = random(op.input_shape, seed=2)
    if op.shape[0] < op.shape[1]:
        x = op.adjoint(random(op.output_shape, seed=2))
    result = solve(op, op.forward(x), rtol=1e-10)
    assert result.success and error(result.x, x) <= 1e-5
    assert result.method in ("cg", "cgls") and result.nit < 100


def too_singular(gram, axis, **options):
    raise Singular("the layer is rank-deficient: so a test says", [0])


def too_large(gram, axis, **options):
    raise MemoryLimit("the factor would be too large: so a test says")


@pytest.mark.parametrize("refusal", [too_large, too_singular])
@pytest.mark.parametrize("boundary", ["reflect", "symmetric"])
def test_auto_keeps_the_least_norm_of_singular_layers(boundary, refusal, monkeypatch):
    monkeypatch.setattr("convinv.solvers.direct.BlockCholesky", refusal)
    kernel = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    op = ConvLinearOperator(kernel, (1, 24, 25), padding=1, boundary=boundary)
    b = op.forward(random(op.input_shape))
    result = solve(op, b, rtol=1e-9)
    expected = np.linalg.pinv(matrix(op), rcond=1e-9) @ b.ravel()
    assert result.success and error(result.x, expected) <= 1e-5
