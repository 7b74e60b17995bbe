"""Solves with block banded factors on the CPU against dense matrices."""

import numpy as np
import pytest

from convinv.kernels.sweeps import cpu
from support.arrays import every_dtype
from support.factors import SHAPES, random_factor, solved, values
from support.vector_calls import assert_close


@pytest.mark.parametrize("batch", [0, 1, 5])
@pytest.mark.parametrize("name", SHAPES)
@every_dtype
def test_equals_oracle(dtype, name, batch):
    shape = SHAPES[name]
    factor = random_factor(shape, dtype)
    plan, z = cpu.prepare(*factor), values([shape], batch, dtype)
    want = solved([shape], [factor], batch, z)
    assert plan.dtype == dtype and plan.groups == shape[0]
    assert batch * plan.size == z.size
    assert cpu.solve([plan], batch, z) is None
    assert_close(z, want, dtype, 300)


@every_dtype
def test_several_plans(dtype):
    shapes = list(SHAPES.values())
    factors = [random_factor(shape, dtype, seed) for seed, shape in enumerate(shapes)]
    z = values(shapes, 3, dtype)
    want = solved(shapes, factors, 3, z)
    cpu.solve([cpu.prepare(*factor) for factor in factors], 3, z)
    assert_close(z, want, dtype, 300)


def test_complex_values_of_a_real_factor():
    shape = SHAPES["groups"]
    factor = random_factor(shape, "float64")
    z = values([shape], 2, "complex128")
    want = solved([shape], [factor], 2, z)
    cpu.solve([cpu.prepare(*factor)], 2, z)
    assert_close(z, want, "complex128", 300)


def test_rows_that_serve_many_blocks_have_a_copy():
    rows, which, band = random_factor((1, 4, 30, 1), "float64")
    assert cpu.prepare(rows, which, band).nbytes == 0  # none serves four
    which = [0, *[1] * 29]
    joined = cpu.prepare(rows, which, band).nbytes
    assert joined == 2 * rows[0].inverse.nbytes


def test_rows_are_not_changed():
    rows, which, band = random_factor(SHAPES["tridiagonal"], "float64")
    before = [(row.lower.copy(), row.inverse.copy()) for row in rows]
    cpu.solve([cpu.prepare(rows, which, band)], 2, np.ones(2 * 63))
    for row, (lower, inverse) in zip(rows, before):
        np.testing.assert_array_equal(row.lower, lower)
        np.testing.assert_array_equal(row.inverse, inverse)
