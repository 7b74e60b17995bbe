"""The matrix of one group of a square layer as a block tridiagonal one.

Outputs and inputs are sorted by their place along one axis. Samples that meet in a
window are then near each other, for every kernel and every boundary but a periodic one;
periodic layers that are square but no torus are rare, and are one block.
"""

import math

import numpy as np
from scipy import sparse

from .._core.geometry import tap_samples
from ..operators._sparse_rows import sparse_rows

LEAST = 64  # rows of a block below which calls cost more than they do
WHOLE = 400  # rows up to which the matrix is one block


class Lines:
    """Block rows of the matrix, and sums over the places of each tap.

    Attributes
    ----------
    geometry : Geometry
        Of one group alone.
    edges : list of int
        Where blocks begin, and the size of the matrix.
    """

    def __init__(self, geometry):
        g = geometry
        self.geometry = g
        self.size = g.c_in * math.prod(g.input)
        axis, width = _best_axis(g, self.size)
        self.edges = [*range(0, self.size, width), self.size]
        self.rows = _sorted(axis, g.c_out, g.output)
        self.place = np.argsort(_sorted(axis, g.c_in, g.input))
        taps = g.c_out * g.c_in * math.prod(g.kernel)
        self._numbers = np.arange(taps).reshape(g.c_out, g.c_in, *g.kernel)

    def block_row(self, weights):
        """A function for `BlockQR`, of a kernel like ``op.weights`` of the group."""
        flat = weights.ravel()

        def dense(i):
            tap, row, column = self._entries(i)
            first, last = self._columns(i)
            shape = (self.edges[i + 1] - self.edges[i], last - first)
            matrix = sparse.coo_array((flat[tap], (row, column - first)), shape)
            return matrix.toarray()  # taps that a boundary folds together add up

        return dense

    def sums(self, columns):
        """For each tap, the sum of ``inverse.conj().T`` where it stands in the matrix.

        `columns` are those of `BlockQR.inverse_columns`.
        """
        total: np.ndarray | float = 0.0
        count = self._numbers.size
        for i, part in columns:
            tap, row, column = self._entries(i)
            values = part[column - self._columns(i)[0], row].conj()
            found = np.bincount(tap, values.real, count)
            if np.iscomplexobj(values):
                found = found + 1j * np.bincount(tap, values.imag, count)
            total = total + found
        return np.reshape(total, self._numbers.shape)

    def _columns(self, i):
        return self.edges[max(i - 1, 0)], self.edges[min(i + 2, len(self.edges) - 1)]

    def _entries(self, i):
        """The tap, the row in its block, and the column of all entries of a row."""
        rows = self.rows[self.edges[i] : self.edges[i + 1]]
        matrix = sparse_rows(self.geometry, self._numbers, rows)
        row = np.repeat(np.arange(len(rows)), np.diff(matrix.indptr))
        return matrix.data, row, self.place[matrix.indices]


def _best_axis(g, size):
    """The axis with the smallest blocks, and their size."""
    if size <= WHOLE:
        return 2, size
    width, axis = min((_width(g, axis, size), axis) for axis in range(3))
    return axis, width if 2 * width < size else size


def _width(g, axis, size):
    """The smallest size of blocks that makes the matrix block tridiagonal."""
    m, n = g.output[axis], g.input[axis]
    line_out, line_in = size // m, size // n
    samples = tap_samples(g, axis)
    keep = samples >= 0
    row = np.broadcast_to(np.arange(m)[:, None], samples.shape)[keep] * line_out
    column = samples[keep] * line_in
    unit = max(line_out, line_in)
    for width in range(-(-LEAST // unit) * unit, size, unit):
        above = (column + line_in - 1) // width - row // width
        below = (row + line_out - 1) // width - column // width
        if max(above.max(initial=0), below.max(initial=0)) <= 1:
            return width
    return size


def _sorted(axis, channels, spatial):
    """The numbers of samples in their new order."""
    numbers = np.arange(channels * math.prod(spatial)).reshape(channels, *spatial)
    return np.moveaxis(numbers, 1 + axis, 0).ravel()
