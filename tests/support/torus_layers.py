"""Layers that are invariant under shifts around a torus."""

import numpy as np

from convinv import ConvLinearOperator

from .arrays import random

# name: (kernel shape, input shape, options)
LAYERS = {
    "tall": ((8, 3, 3, 3), (3, 6, 8), {}),
    "wide": ((2, 3, 3, 3), (3, 6, 7), {}),
    "square": ((3, 3, 3, 3), (3, 5, 5), {}),
    "many channels": ((6, 6, 3, 3), (6, 4, 4), {}),
    "many, tall": ((8, 6, 3, 3), (6, 4, 3), {}),
    "stride, groups": ((4, 2, 3, 3), (4, 6, 8), {"stride": 2, "groups": 2}),
    "strides, dilation": (
        (14, 2, 3, 3),
        (2, 6, 6),
        {"stride": (2, 3), "dilation": (1, 2)},
    ),
    "one dimension": ((3, 2, 4), (2, 15), {}),
    "three dimensions": ((2, 1, 2, 3, 2), (1, 4, 3, 4), {"stride": (2, 1, 2)}),
    "wider than the image": ((1, 1, 9, 9), (1, 5, 6), {"flip": True}),
    "no overlap": (
        (3, 1, 2, 2),
        (1, 6, 4),
        {"stride": (3, 2), "padding": 0, "boundary": "zero"},
    ),
}


def halves(taps, dilation=1):
    """The padding that "same" is with stride 1, for any stride."""
    dilation = (dilation,) * len(taps) if np.ndim(dilation) == 0 else dilation
    totals = [d * (k - 1) for d, k in zip(dilation, taps)]
    return tuple((t // 2, t - t // 2) for t in totals)


def layer(name, dtype="float64"):
    shape, input_shape, options = LAYERS[name]
    padding = halves(shape[2:], options.get("dilation", 1))
    options = {"padding": padding, "boundary": "periodic", **options}
    return ConvLinearOperator(random(shape, dtype), input_shape, **options)


def deficient(dtype="float64"):
    """Differences of two channels: what is constant over the image is not seen."""
    kernel = random((4, 2, 3, 3), dtype)
    kernel -= kernel.mean(axis=(2, 3), keepdims=True)
    return ConvLinearOperator(kernel, (2, 6, 6), padding="same", boundary="periodic")


def repeated(dtype="float64"):
    """Four filters that are combinations of two, on three channels."""
    kernel = np.tensordot(random((4, 2), dtype, 1), random((2, 3, 3, 3), dtype), 1)
    return ConvLinearOperator(kernel, (3, 4, 6), padding="same", boundary="periodic")


NAMES = [*LAYERS, "deficient", "repeated"]


def named(name, dtype="float64"):
    """A layer of `NAMES`."""
    special = {"deficient": deficient, "repeated": repeated}
    return special[name](dtype) if name in special else layer(name, dtype)
