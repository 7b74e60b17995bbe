"""Exact inverses in `solve`, on layers where their shortcuts might fail."""

import numpy as np
import pytest
from layer_cases import layer, matrix, random

from convinv import solve


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
