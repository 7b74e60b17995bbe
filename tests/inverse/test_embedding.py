"""Circulant embedding against dense matrices."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._inverse.embedding import Embedding, is_embedded
from convinv.operators import (
    DifferenceOperator,
    LaplacianOperator,
    StackedOperator,
)
from convinv.operators._weighted import WeightedConvolution
from support.arrays import normal, random
from support.penalties import dense, minimizer

SIZE = (9, 11)


def layer(kernel=(1, 1, 3, 3), size=SIZE, dtype="float64", **options):
    groups = options.get("groups", 1)
    shape = (kernel[1] * groups, *size)
    return ConvLinearOperator(random(kernel, dtype), shape, **options)


def differences(op, boundary="symmetric"):
    return 0.4 * DifferenceOperator(op.input_shape, boundary=boundary)


def mask(op):
    return (np.random.default_rng(3).random(op.output_shape) < 0.8) * 1.0


CASES = {
    "valid": lambda: [layer()],
    "complex": lambda: [layer(dtype="complex128")],
    "channels": lambda: [layer((4, 3, 3, 3))],
    "groups": lambda: [layer((3, 1, 2, 3), groups=3)],
    "dilation": lambda: [layer((5, 1, 2, 2), dilation=2)],
    "line": lambda: [layer((1, 1, 4), (23,))],
    "volume": lambda: [layer((1, 1, 2, 3, 2), (4, 5, 6))],
    "ring": lambda: [layer(padding="same", boundary="periodic")],
    "two": lambda: [layer(), layer((1, 1, 1, 4))],
    "masked": lambda: [WeightedConvolution(layer(), mask(layer()))],
}
every_case = pytest.mark.parametrize("name", CASES)


@every_case
@pytest.mark.parametrize("boundary", ["symmetric", "periodic"])
def test_solutions(name, boundary):
    parts = CASES[name]()
    op = StackedOperator([*parts, differences(parts[0], boundary)])
    assert is_embedded(op)
    dtype = op.dtype
    b = normal(np.random.default_rng(1), (2, *op.output_shape), dtype)
    found = solve(op, b, "embedding", rtol=1e-11)
    assert found.success and found.x.shape == (2, *op.input_shape)
    for x, data in zip(found.x, b):
        want = minimizer(dense(op), data.ravel(), [])
        assert np.linalg.norm(x.ravel() - want) <= 1e-8 * np.linalg.norm(want)


@pytest.mark.parametrize("damp", [0.2, 1.0])
def test_damping_and_a_start(damp):
    op = layer()
    rng = np.random.default_rng(2)
    b, x0 = rng.random(op.output_shape), rng.random(op.input_shape)
    found = solve(op, b, "embedding", damp=damp, x0=x0, rtol=1e-11)
    want = minimizer(dense(op), b.ravel(), [damp * np.eye(op.shape[1])])
    np.testing.assert_allclose(found.x.ravel(), want, atol=1e-9)


@every_case
def test_the_equation_of_the_added_rows(name):
    """Their matrix is Hermitian, with eigenvalues between 0 and 1."""
    parts = CASES[name]()
    op = StackedOperator([*parts, differences(parts[0], "periodic")])
    inverse = Embedding(op, 0.0, op.dtype)
    if inverse.added is None:
        assert name == "ring"
        return
    length = inverse.added.size
    eye = np.eye(length, dtype=op.dtype) * inverse.added.T
    matrix = inverse.project(eye.copy())
    matrix = matrix[:, inverse.added[0] > 0][inverse.added[0] > 0]
    np.testing.assert_allclose(matrix, matrix.conj().T, atol=1e-12)
    values = np.linalg.eigvalsh(matrix)
    assert values.min() > -1e-12 and values.max() < 1 + 1e-12


@every_case
@pytest.mark.parametrize("damp", [0.0, 0.3])
def test_the_preconditioner_is_the_sum_of_inverses_in_slabs(name, damp):
    parts = CASES[name]()
    op = StackedOperator([*parts, differences(parts[0])])
    inverse = Embedding(op, damp, op.dtype)
    added = inverse.added[0] > 0
    matrix = inverse.project(np.diag(inverse.added[0]).astype(op.dtype))
    data = normal(np.random.default_rng(1), (3, added.size), op.dtype) @ matrix
    want, rest = np.zeros_like(data), added.copy()
    kept = ~added.reshape(inverse.groups, -1, *inverse.torus)
    for axis in range(2, 5):
        slab = np.zeros(kept.shape, bool)
        for group, channel in np.ndindex(kept.shape[:2]):
            places = np.nonzero(kept[group, channel])[axis - 2]
            samples = np.arange(kept.shape[axis])
            outside = (samples < places.min()) | (samples > places.max())
            np.moveaxis(slab[group, channel], axis - 2, 0)[outside] = True
        rows = np.flatnonzero(slab)
        part = np.linalg.pinv(matrix[np.ix_(rows, rows)], 1e-10, hermitian=True)
        want[:, rows] += data[:, rows] @ part
        rest[rows] = False
    want[:, rest] += data[:, rest]
    found = inverse.precondition(data)
    assert np.linalg.norm(found - want) <= 1e-8 * np.linalg.norm(want)


@pytest.mark.parametrize("taps", [(7, 7), (15, 1)])
def test_few_iterations_around_a_box_of_data(taps):
    """Where the blur leaves little of many frequencies, and the penalty weighs less."""
    op = ConvLinearOperator(np.full((1, 1, *taps), 1 / 49), (1, 70, 66))
    stack = StackedOperator([op, 2e-3 * differences(op)])
    b = stack.forward(random(op.input_shape))
    found = solve(stack, b, "embedding", rtol=1e-7)
    assert found.success and found.nit <= 60


def test_large_inverses_are_left_out(monkeypatch):
    monkeypatch.setattr("convinv._inverse.added_slabs.SMALL", 0)
    op = layer((1, 1, 60), (80,))
    op = StackedOperator([op, differences(op)])
    assert Embedding(op, 0.0, op.dtype)._slabs is None
    b = random(op.output_shape)
    found = solve(op, b, "embedding", rtol=1e-11)
    want = minimizer(dense(op), b.ravel(), [])
    np.testing.assert_allclose(found.x.ravel(), want, atol=1e-8)


def test_what_is_on_no_torus():
    padded = layer(padding=1)
    folded = LaplacianOperator((1, *SIZE))
    weighted = WeightedConvolution(layer(), 0.5 + mask(layer()))
    for op in (padded, folded, weighted, StackedOperator([layer(), folded])):
        assert not is_embedded(op)
        with pytest.raises((TypeError, ValueError), match="'auto'|ConvLinear"):
            solve(op, random(op.output_shape), "embedding", damp=0.1)


def test_singular_frequencies_end_with_breakdown():
    op = DifferenceOperator((1, *SIZE), boundary="periodic")
    b = random(op.output_shape)
    found = solve(op, b, "embedding", on_failure="ignore")
    assert not found.success and found.status.name == "BREAKDOWN"
