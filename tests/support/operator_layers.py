"""Layers for the operator contract, their matrices by definition, and close arrays."""

import numpy as np
import pytest

from convinv import ConvLinearOperator

from . import oracles
from .arrays import normal
from .random_layers import full_options, spelt_out

# kernel shape, input shape, options
LAYERS = {
    "2-D": ((3, 2, 3, 3), (2, 6, 7), {"padding": 1}),
    "1-D": ((2, 3, 4), (3, 11), {"padding": ((1, 2),), "boundary": "reflect"}),
    "3-D": (
        (2, 1, 2, 3, 2),
        (1, 3, 4, 5),
        {"stride": (1, 2, 1), "padding": (1, 0, 2), "boundary": "periodic"},
    ),
    "groups": ((4, 1, 3, 2), (2, 7, 5), {"groups": 2, "stride": 2, "dilation": (1, 2)}),
    "wide padding": ((2, 2, 2, 3), (2, 3, 2), {"padding": 7, "boundary": "symmetric"}),
    "flip": ((2, 2, 2, 3), (2, 5, 4), {"padding": "same", "flip": True}),
    "square": ((2, 2, 3, 3), (2, 5, 4), {"padding": "same", "boundary": "replicate"}),
}
layers = pytest.mark.parametrize("layer", LAYERS)


def make(layer, dtype="float64", seed=0):
    shape, input_shape, options = LAYERS[layer]
    kernel = normal(np.random.default_rng(seed), shape, dtype)
    op = ConvLinearOperator(kernel, input_shape, **options)
    assert op.options == spelt_out(options, shape[2:])
    return op


def eps(*arrays):
    return np.finfo(np.result_type(*arrays)).eps


def assert_close(got, expected, scale=None, tolerance=None):
    """Equal to `tolerance` rounding errors of got's dtype, relative to `scale`."""
    scale = np.max(np.abs(expected), initial=0) if scale is None else scale
    bound = (200 if tolerance is None else tolerance) * eps(got) * (scale + 1e-300)
    assert got.shape == expected.shape
    assert np.max(np.abs(got - expected), initial=0) <= bound


def dense(op):
    """The matrix, entry by entry, from the definition."""
    kernel = op.kernel
    if op.flip:
        kernel = np.flip(kernel, range(2, kernel.ndim))
    o = full_options(op)
    c_out, c_in = kernel.shape[0] // o["groups"], kernel.shape[1]
    index = [
        np.pad(np.arange(1, n + 1), pair, mode=oracles.MODES[o["boundary"]]) - 1
        for n, pair in zip(op.input_shape[1:], o["padding"])
    ]
    matrix = np.zeros((*op.output_shape, *op.input_shape), kernel.dtype)
    for out in np.ndindex(*op.output_shape):
        group = out[0] // c_out
        for tap in np.ndindex(*kernel.shape[2:]):
            place = [
                index[a][o["stride"][a] * out[1 + a] + o["dilation"][a] * tap[a]]
                for a in range(len(tap))
            ]
            if min(place) < 0:
                continue
            for c in range(c_in):
                entry = (*out, group * c_in + c, *place)
                matrix[entry] += kernel[(out[0], c, *tap)]
    return matrix.reshape(op.shape)
