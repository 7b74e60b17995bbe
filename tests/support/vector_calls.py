"""Arguments of the vector kernels, and arrays that are close."""

import numpy as np

from .arrays import random


def assert_close(got, expected, dtype, terms=1):
    """Equal to a few rounding errors of `dtype`."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    eps = np.finfo(dtype).eps
    scale = np.max(np.abs(expected), initial=0)
    assert np.max(np.abs(got - expected), initial=0) <= 4 * eps * terms * (scale + 1)


# the arguments of every function: vectors, also in double precision (w), coefficients
CALLS = {
    "sumsq": "v",
    "extent": "v",
    "dot": "vv",
    "axpy": "cvv",
    "axpby": "cvcv",
    "subtract": "vw",
    "step": "cvvvc",
    "three_term": "vcvcvvc",
    "scale": "cv",
}


def arguments(name, batch, n, dtype):
    """Random arguments of a vector function, and copies for the oracle."""
    made = []
    for i, kind in enumerate(CALLS[name]):
        wide = np.result_type(dtype, "float64")
        shape, kind_of = {
            "v": ((batch, n), dtype),
            "w": ((batch, n), wide),
            "c": (batch, "float64"),
        }[kind]
        made.append(random(shape, kind_of, i))
    return made


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)
