"""Upper bounds of a layer's norm, whatever its boundary."""

import math

import numpy as np

from .._core.blas_threads import one_blas_thread
from .._core.geometry import axis_index
from ._convolution import ConvLinearOperator
from ._polyphase import Polyphase
from ._symbol import Symbol

ROUNDING = 1e-12  # by which a bound is made larger
POINTS = 8  # samples of the symbol for each degree of the polynomial and axis
LEAST = 16


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


def kernel_norm_bound(op, weights):
    """At least the norm of a layer like `op` with other weights, a host array.

    From samples of the kernel's own polynomial, as many as it needs: the size of the
    image has no part in the cost, as it has in that of `norm_bound`, which is tighter.
    """
    g = op.geometry
    weights = weights.reshape(g.groups, g.c_out // g.groups, -1, *g.kernel)
    symbol, factor = weights.astype(complex), 1.0
    axes = [axis for axis, taps in enumerate(g.kernel) if taps > 1]
    for axis in axes:
        taps = g.kernel[axis]
        degree = taps // 2  # of a polynomial in cosines and sines about the middle
        count = max(LEAST, POINTS * degree)
        symbol = np.fft.fft(symbol, count, axis=3 + axis)
        factor /= math.cos(math.pi * degree / count)
    matrices = np.moveaxis(symbol, (1, 2), (-2, -1))
    if axes and not np.iscomplexobj(weights):  # the others are their conjugates
        half = matrices.shape[1 + axes[0]] // 2 + 1
        matrices = np.take(matrices, range(half), axis=1 + axes[0])
    with one_blas_thread:
        norm = float(np.linalg.svd(matrices, compute_uv=False).max())
    rounding = 1 + 1e3 * 2.0**-52 * matrices.shape[-1]
    return norm * factor * rounding * _repetition(g)


def _repetition(g):
    """How much longer the boundary makes a vector, at most."""
    if g.boundary == "zero":
        return 1.0
    product = 1.0
    for axis in range(3):
        # each output is a row of the layer on the torus
        start = np.arange(g.output[axis]) * g.stride[axis] % g.input[axis]
        if g.boundary == "periodic":
            most = np.bincount(start).max()
        else:
            most = _most_copies(g, axis)
        product *= math.sqrt(float(most))
    return product


def _most_copies(g, axis):
    """How often padding shows one sample of an axis, at most."""
    shown = axis_index(g, axis)
    return int(np.bincount(shown[shown >= 0]).max())
