"""Random arrays, and the dtypes and boundaries that tests go through."""

import numpy as np
import pytest

from convinv._core import boundaries

DTYPES = ["float32", "float64", "complex64", "complex128"]
BOUNDARIES = list(boundaries.BOUNDARIES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
doubles = pytest.mark.parametrize("dtype", ["float64", "complex128"])


def normal(rng, shape, dtype="float64"):
    """Standard normal numbers; complex ones have such real and imaginary parts."""
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def random(shape, dtype="float64", seed=0):
    """The same numbers every time."""
    return normal(np.random.default_rng(seed), shape, dtype)
