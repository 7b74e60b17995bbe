"""Small layers of one to three axes with every boundary, for adapters' tests."""

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv._core.boundaries import BOUNDARIES

from .arrays import normal

SIZES = {1: (2, 9), 2: (2, 5, 6), 3: (1, 3, 4, 5)}


def layer(ndim=2, boundary="zero", dtype="float64", **options):
    """A layer of twice as many outputs as inputs, padded unequally."""
    shape = SIZES[ndim]
    rng = np.random.default_rng(50 + ndim)
    kernel = normal(rng, (2 * shape[0], shape[0], *(3, 2, 2)[:ndim]), dtype)
    padding = ((1, 2), (1, 0), (0, 1))[:ndim]
    options = {"padding": padding, "boundary": boundary, **options}
    return ConvLinearOperator(kernel, shape, **options)


every_layer = pytest.mark.parametrize(
    "op",
    [
        pytest.param(layer(ndim, boundary, dtype), id=f"{ndim}-{boundary}-{dtype}")
        for ndim in SIZES
        for boundary in BOUNDARIES
        for dtype in ("float64", "complex128")
    ],
)
