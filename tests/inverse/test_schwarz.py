"""Refinement by `schwarz`; what it shares with `direct` is in test_direct.py."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, Status, solve
from convinv.solvers import METHODS
from support.arrays import random
from support.layers import layer, matrix


def make(dtype="float64", size=(36, 33)):
    return layer((8, 1, 3, 3), (1, *size), dtype)


def test_the_registry():
    method = METHODS["schwarz"]
    assert method.applies_inverse and method.convolution_only and method.minimum_norm
    assert [*method.options] == ["depth", "accuracy"] and method.damp


def test_deeper_bands_take_fewer_iterations():
    op = make()
    b = random(op.output_shape)
    results = [solve(op, b, "schwarz", depth=d, rtol=1e-12) for d in (5, 8, 12)]
    counts = [result.nit for result in results]
    assert all(r.success for r in results) and counts == sorted(counts)[::-1]
    assert counts[0] > counts[-1]
    for result, depth in zip(results, (5, 8, 12)):
        assert len(result.extra["depth"]) == 2 and min(result.extra["depth"]) >= depth
        np.testing.assert_allclose(result.x, results[0].x, atol=1e-10)


def test_each_iteration_contracts():
    op = make()
    result = solve(op, random(op.output_shape), "schwarz", depth=6, rtol=1e-12)
    assert result.nit > 2
    ratios = result.history[1:-1] / result.history[:-2]
    assert np.all(ratios < 0.2)


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_two_and_three_dimensions(dtype):
    rtol = 1e-11 if dtype == "float64" else 1e-5
    for shape, given, depth in (
        ((8, 1, 3, 3), (1, 25, 24), 5),
        ((6, 1, 2, 2, 2), (1, 15, 3, 16), 3),
        ((1, 3, 2, 2, 2), (3, 11, 11, 12), 2),
    ):
        op = layer(shape, given, dtype)
        b = op.forward(random(op.input_shape, dtype, 1))
        result = solve(op, b, "schwarz", rtol=rtol, depth=depth, damp=1.0)
        A = matrix(op)
        small = shape[0] < shape[1]
        N = A @ A.conj().T if small else A.conj().T @ A
        N = N + np.eye(len(N))
        if small:
            expected = A.conj().T @ np.linalg.solve(N, b.ravel())
        else:
            expected = np.linalg.solve(N, A.conj().T @ b.ravel())
        error = np.linalg.norm(result.x.ravel() - expected)
        assert result.success and error <= 10 * rtol * np.linalg.norm(expected)


def test_bands_that_are_too_shallow_end_as_stalled():
    """The inverse of a sharp blur's Gram matrix decays over many pixels."""
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0] = np.outer([1, 2, 1], [1, 2, 1]) / 16
    op = type(make())(kernel, (1, 40, 38), padding=1)
    b = random(op.output_shape)
    with pytest.warns(ConvergenceWarning, match="no further progress"):
        result = solve(op, b, "schwarz", depth=1, damp=1e-2)
    assert result.status is Status.STALLED and np.all(np.isfinite(result.x))
    assert result.residual_norm <= np.linalg.norm(b)
    assert solve(op, b, "cgls", damp=1e-2, preconditioner="schwarz").success


@pytest.mark.parametrize("depth", [0, -1, 2.5, "4", True])
def test_wrong_arguments(depth):
    op = make()
    with pytest.raises((TypeError, ValueError), match="depth must be"):
        solve(op, np.ones(op.output_shape), "schwarz", depth=depth)
