"""Factors of ill-conditioned layers in single precision: made once, kept in double."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._inverse.accuracy import NARROW
from convinv._inverse.block_cholesky import BlockCholesky
from convinv._inverse.gram import Gram
from convinv._inverse.recursion import Recursion
from support.layers import matrix

LINES = 10


@pytest.fixture
def advanced(monkeypatch):
    """The block rows of every recursion that runs."""
    blocks, advance = [], Recursion.advance

    def noted(self, block, entries):
        blocks.append(block)
        return advance(self, block, entries)

    monkeypatch.setattr(Recursion, "advance", noted)
    return blocks


def square(rng, spread=1.0):
    """A layer of 4 channels, ill-conditioned unless `spread` is small."""
    kernel = (spread * rng.standard_normal((4, 4, 3, 3)) / 6).astype("float32")
    kernel[np.arange(4), np.arange(4), 1, 1] += 1 - spread
    return ConvLinearOperator(kernel, (4, LINES, LINES), padding=1)


def solved(spread, **options):
    """The result, and the error relative to the condition number of the layer."""
    op = square(np.random.default_rng(4), spread)
    s = np.linalg.svd(matrix(op).astype(float), compute_uv=False)
    assert ((s[-1] / s[0]) ** 2 < NARROW) == (spread == 1)
    x = np.random.default_rng(5).standard_normal(op.input_shape).astype("float32")
    result = solve(op, op.forward(x), "direct", **options)
    return result, np.linalg.norm(result.x - x) / np.linalg.norm(x) * s[-1] / s[0]


def test_a_factor_is_made_once(advanced):
    ill, error = solved(1.0)
    rows = len(advanced)
    assert ill.success and error < 1e-5
    assert advanced == list(range(rows))
    well, error = solved(0.1)
    assert well.success and error < 1e-5
    assert advanced[rows:] == advanced[:rows]
    assert ill.extra["nbytes"] == 2 * well.extra["nbytes"]


@pytest.mark.parametrize(
    "options, dtype",
    [
        ({"widen": NARROW}, "float64"),
        ({"widen": NARROW, "memory": 200_000}, "float32"),  # 256 kB in double precision
        ({"widen": NARROW, "compute": "float32"}, "float32"),
        ({"widen": 1e-14}, "float32"),
        ({}, "float32"),
    ],
)
def test_where_a_factor_stays(options, dtype):
    gram = Gram(square(np.random.default_rng(4)), "input")
    factor = BlockCholesky(gram, 1, dtype="float32", **options)
    assert factor.dtype == dtype
    kept = {part.dtype.name for row in factor.rows for part in row}
    assert kept == {dtype}
