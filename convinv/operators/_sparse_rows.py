"""Rows of a convolution's matrix, as a sparse matrix."""

import math

import numpy as np
from scipy import sparse

from .._core.geometry import tap_samples


def sparse_rows(geometry, weights, rows):
    """The rows of a layer's matrix with these numbers, as a csr_array.

    `weights` is a host array like ``op.weights``. Every tap inside the image has an
    entry: those that a boundary folds onto one sample stand side by side, to be added
    up by ``sum_duplicates``.
    """
    g = geometry
    channel, place = np.divmod(rows, math.prod(g.output))
    at = np.unravel_index(place, g.output)
    d, h, w = (tap_samples(g, axis)[i] for axis, i in enumerate(at))  # (row, tap)
    d, h, w = d[:, :, None, None], h[:, None, :, None], w[:, None, None, :]
    sample = (d * g.input[1] + h) * g.input[2] + w
    sample = np.where((d >= 0) & (h >= 0) & (w >= 0), sample, -1)
    sample = sample.reshape(len(rows), 1, math.prod(g.kernel))
    c_in = g.c_in // g.groups
    first = channel // (g.c_out // g.groups) * c_in
    column = (first[:, None] + np.arange(c_in))[:, :, None] * math.prod(g.input)
    column = column + sample
    keep = np.broadcast_to(sample >= 0, column.shape)
    counts = keep.sum(axis=(1, 2))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    values = weights.reshape(g.c_out, c_in, -1)[channel][keep]
    shape = (len(rows), g.c_in * math.prod(g.input))
    return sparse.csr_array((values, column[keep], indptr), shape=shape)
