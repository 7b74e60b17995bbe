"""An upper bound of a layer's norm, whatever its boundary."""

import math

import numpy as np

from .._core.geometry import axis_index
from ._convolution import ConvLinearOperator
from ._polyphase import Polyphase
from ._symbol import Symbol

ROUNDING = 1e-12  # by which a bound is made larger


def norm_bound(layer) -> float:
    """At least the largest singular value of a convolution on the host.

    The smaller of two bounds: that of a torus around the padded image times the norm of
    the padding, and ``sqrt(||A||_1 ||A||_inf)``.
    """
    bound = min(_around(layer), _of_sums(layer))
    return bound * (1 + ROUNDING)


def _of_sums(layer):
    """The root of the largest sums of magnitudes along columns and rows."""
    sizes = ConvLinearOperator(
        np.abs(layer.kernel).astype(float), layer.input_shape, **layer.options
    )
    rows = sizes.forward(np.ones(sizes.input_shape))
    columns = sizes.adjoint(np.ones(sizes.output_shape))
    return math.sqrt(float(rows.max()) * float(columns.max()))


def _around(layer):
    """From the layer as a part of one on a torus that is larger than the image.

    With zeros around the image it is a block of that layer's matrix. Other boundaries
    are a copy of samples before it, whose norm is the root of how often one is copied.
    """
    g, copies = layer.geometry, 1
    if g.boundary != "zero":
        copies = math.prod(_most_copies(g, axis) for axis in range(3))
        options = {**layer.options, "padding": 0, "boundary": "zero"}
        shape = (g.c_in, *g.padded[3 - g.ndim :])
        layer = ConvLinearOperator(layer.kernel, shape, **options)
    cells = Polyphase(layer.geometry)
    torus = []
    reads = zip(cells.offsets(), cells.cells, layer.geometry.output)
    for (ahead, _), size, outputs in reads:
        first, last = int(ahead.min()), int(ahead.max())
        torus.append(max(size - first, outputs + last, size, outputs))
    return math.sqrt(copies) * Symbol(layer, torus).largest()


def _most_copies(g, axis):
    """How often padding shows one sample of an axis, at most."""
    shown = axis_index(g, axis)
    return int(np.bincount(shown[shown >= 0]).max())
