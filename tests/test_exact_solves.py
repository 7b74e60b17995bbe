"""Exact inverses in `solve`, on layers where their shortcuts might fail."""

import gc
import weakref

import numpy as np
import pytest
from layer_cases import layer, matrix, random

from convinv import ConvLinearOperator, solve


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
