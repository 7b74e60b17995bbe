"""An upper bound of a layer's norm from its kernel alone."""

import math

import numpy as np

from .._core.blas_threads import one_blas_thread
from .._core.geometry import axis_index

POINTS = 8  # samples of the symbol for each degree of the polynomial and axis
LEAST = 16


def kernel_norm(op, weights):
    """At least the norm of a layer like `op` with other weights, a host array."""
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
            index = axis_index(g, axis)
            most = np.bincount(index[index >= 0]).max()
        product *= math.sqrt(float(most))
    return product
