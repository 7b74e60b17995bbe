"""Kernels that are outer products, and the matrices of their factors.

With ``kernel[o, c, u, v, w] = M[o, c] a[u] b[v] c[w]`` the layer is the Kronecker
product of M and of one matrix per axis, whatever its boundary, padding, stride and
dilation are.
"""

from typing import NamedTuple

import numpy as np

from .._core.arrays import to_numpy
from .._core.geometry import tap_samples
from .kernel_rounding import departure

LONGEST = 1024  # samples of an axis, and channels: the cost of an SVD is its cube
MOST = 2**25  # numbers in all singular vectors, of all groups with own kernels
FEW = 8  # filters of the first group that are tested before the whole kernel
SAME = 4 * 2.0**-52  # largest difference of taps that count as the same


class Factors(NamedTuple):
    """``channels[g, o, c]`` and ``taps[axis][g, u]``, one g where groups share them.

    `departure` is the norm of the layer's difference from them, due to rounding.
    """

    channels: np.ndarray
    taps: list[np.ndarray]
    departure: float


def factors_of(op) -> Factors | None:
    """The factors of a layer's kernel, None if it is no outer product.

    Also None if the matrices of the axes are too large to decompose.
    """
    g = op.layer.geometry
    if longest_side(g) > LONGEST:
        return None
    kernel = to_numpy(op.layer.weights)
    kernel = kernel.astype(np.result_type(kernel.dtype, np.float64))
    if np.iscomplexobj(kernel) and not kernel.imag.any():  # cast for complex data
        kernel = kernel.real
    kernel = kernel.reshape(g.groups, -1, *g.kernel)
    largest, rounding = np.abs(kernel).max(), 0.0
    for part in (kernel[:1, :FEW], kernel):  # the first part refuses most kernels
        filters, taps = _cross(part)
        model = filters
        for rows in taps:
            ones = [1] * (model.ndim - 1)
            model = model[..., None] * rows.reshape(len(rows), *ones, -1)
        found = departure(part, model, largest)
        if found is None:
            return None
        rounding = found
    channels = filters.reshape(g.groups, g.c_out // g.groups, -1)
    factors = Factors(channels, [_shared(t, channels) for t in taps], rounding)
    return factors if count_vectors(g, factors) <= MOST else None


def longest_side(g) -> int:
    """Rows or columns of the largest of the matrices of a separable layer."""
    return max(*g.input, *g.output, g.c_in // g.groups, g.c_out // g.groups)


def count_vectors(g, factors) -> int:
    """Numbers in the singular vectors of all matrices of a layer with such factors."""
    sides = [(g.groups, g.c_out // g.groups, g.c_in // g.groups)]
    sides += zip(map(len, factors.taps), g.output, g.input)
    return sum(groups * min(m, n) * (m + n) for groups, m, n in sides)


def _cross(kernel):
    """The fibers of each group's kernel through its largest entry, that of taps 1."""
    groups, filters, *sizes = kernel.shape
    group = np.arange(groups)
    peak = np.abs(kernel).reshape(groups, -1).argmax(axis=1)
    f, u, v, w = np.unravel_index(peak, (filters, *sizes))
    pivot = kernel[group, f, u, v, w][:, None]
    pivot = np.where(pivot == 0, 1, pivot)
    taps = [
        kernel[group, f, :, v, w] / pivot,
        kernel[group, f, u, :, w] / pivot,
        kernel[group, f, u, v, :] / pivot,
    ]
    return kernel[group, :, u, v, w], taps


def _shared(taps, channels):
    """The taps of one group if all others have the same, or no kernel at all."""
    alive = np.abs(channels).reshape(len(channels), -1).max(axis=1) > 0
    first = taps[int(np.argmax(alive))]
    same = (np.abs(taps - first) <= SAME).all(axis=1) | ~alive
    return first[None] if same.all() else taps


def axis_matrices(g, axis, taps):
    """The matrices of taps on one axis, ``(groups, output, input)``."""
    samples = tap_samples(g, axis)
    matrices = np.zeros((len(taps), g.output[axis], g.input[axis]), taps.dtype)
    output = np.arange(g.output[axis])
    for row, at in zip(taps.T, samples.T):
        inside = at >= 0
        matrices[:, output[inside], at[inside]] += row[:, None]
    return matrices
