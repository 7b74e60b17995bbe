"""Squared norms of an operator's rows and columns, exact for every boundary."""

import numpy as np
from scipy import sparse

from .._core.arrays import to_numpy
from .._core.geometry import tap_samples


def row_norms(op):
    """The squared norms of the rows, the diagonal of ``A A^H``.

    Of a convolution or a matrix; a host array of shape ``(m,)`` in double precision.
    """
    if op.is_convolution:
        return _sums(op, lambda g, axis: _same(g, axis).astype(float), of_rows=True)
    if op.layer is not None:
        return column_norms(op.layer)
    return _matrix_norms(op, 1)


def column_norms(op):
    """The squared norms of the columns, the diagonal of ``A^H A``; see `row_norms`."""
    if op.is_convolution:
        return _sums(op, _pair_counts, of_rows=False)
    if op.layer is not None:
        return row_norms(op.layer)
    return _matrix_norms(op, 0)


def _sums(op, pairs_on, of_rows):
    """Sums over pairs of taps that meet in a sample.

    Taps that fold onto the same sample add up before they are squared, so pairs of taps
    count: on each axis, those that an output sees in the same sample.
    """
    g = op.geometry
    weights = to_numpy(op.weights)
    wide = weights.astype(np.result_type(weights.dtype, np.float64))
    shape = (g.groups, g.c_out // g.groups, g.c_in // g.groups, *g.kernel)
    wide = wide.reshape(shape)
    kept = "go" if of_rows else "gc"
    product = f"gocuvw,gocUVW->{kept}uvwUVW"
    pairs = np.einsum(product, wide, wide.conj(), optimize=True).real
    pairs = pairs.reshape(-1, *g.kernel, *g.kernel)
    for axis in range(3):  # contract one axis at a time: c,u,v,w,U,V,W -> ...,p
        pairs = np.tensordot(pairs, pairs_on(g, axis), ([1, 4 - axis], [1, 2]))
    return pairs.ravel()


def _same(g, axis):
    """Whether output i sees the same sample under tap u and tap U: (i, u, U)."""
    sample = tap_samples(g, axis)
    return (sample[:, :, None] == sample[:, None, :]) & (sample[:, :, None] >= 0)


def _pair_counts(g, axis):
    """Outputs that reach sample p by tap u and by tap U: an array (p, u, U)."""
    sample, same = tap_samples(g, axis), _same(g, axis)
    count = np.zeros((g.input[axis], g.kernel[axis], g.kernel[axis]))
    output, first, second = np.nonzero(same)
    np.add.at(count, (sample[output, first], first, second), 1)
    return count


def _matrix_norms(op, axis):
    """Of a matrix, which is neither changed nor squared in its own dtype."""
    matrix = op.matrix
    double = np.result_type(op.dtype, np.float64)
    if not sparse.issparse(matrix):
        return np.sum(np.abs(np.asarray(matrix, dtype=double)) ** 2, axis=axis)
    matrix = matrix.tocsr(copy=True).astype(double, copy=False)
    matrix.sum_duplicates()
    places = matrix.indices
    if axis == 1:
        places = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    squares = np.abs(matrix.data) ** 2
    return np.bincount(places, weights=squares, minlength=matrix.shape[1 - axis])
