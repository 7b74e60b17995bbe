"""Random vectors on the host, the starts of power and Lanczos iterations and tests."""

import numpy as np


def standard_normal(rng, shape, dtype):
    """Normal numbers in double precision, with an imaginary part for a complex dtype.

    The real parts are drawn first, then all of the imaginary ones.
    """
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values


def unit_vector(rng, n, dtype):
    """A vector of norm 1 whose direction is uniformly distributed, in that dtype."""
    v = standard_normal(rng, n, dtype)
    return (v / np.linalg.norm(v)).astype(dtype)
