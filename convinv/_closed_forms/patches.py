"""Layers whose windows do not overlap: the same matrix for every window.

Patch embeddings are of this kind. Samples under no window do not influence the output:
they are zero in the solution of least norm.
"""

import copy
import math

import numpy as np

from .._core.arrays import to_numpy
from .._core.geometry import tap_samples
from ..operators._symbol import Symbol


class PatchSymbol(Symbol):
    """The matrix of a window, as that of a single frequency.

    The pixels of a window are channels, ordered as (channel, tap, tap, tap).
    """

    def __init__(self, op):
        self.adjoint, op = op is not op.layer, op.layer
        self.xp, self.dtype = op.xp, op.dtype
        self.geometry = g = op.geometry
        weights = to_numpy(op.weights)
        self.kind = np.result_type(weights.dtype, np.float64)
        matrix = weights.astype(self.kind).reshape(g.groups, g.c_out // g.groups, -1)
        self.shape, self._matrix = matrix.shape, matrix
        self.bins, self.multiplicity = (1, 1, 1), np.full(1, math.prod(g.output))
        self.scale = float(np.linalg.norm(matrix, axis=(1, 2)).max())
        eps = float(np.finfo(op.dtype).eps)
        self.tolerance = self.scale * (eps + 10 * max(matrix.shape[1:]) * 2.0**-52)
        if self.adjoint:
            self.shape = (self.shape[0], *self.shape[:0:-1])
        self._places = [_place(g, axis) for axis in range(3)]
        if any(isinstance(place, np.ndarray) for place in self._places):
            index = np.ix_(*(np.r_[p] for p in self._places))
            self._places = [op.xp.asarray(i) for i in index]
        self._covers = all(o * k == n for o, k, n in zip(g.output, g.kernel, g.input))

    def without_matrices(self):
        bare = copy.copy(self)
        del bare._matrix
        return bare

    def slabs(self):
        matrix = self._matrix[..., None, None]
        matrix = matrix.conj().swapaxes(1, 2) if self.adjoint else matrix
        yield slice(1), slice(1), matrix

    def pack(self, v, data):
        g, batch = self.geometry, len(v)
        if data is not self.adjoint:
            return v.reshape((batch, self.shape[0], -1, math.prod(g.output)))
        x = v.reshape((batch, g.c_in, *g.input))[(..., *self._places)]
        split = [n for pair in zip(g.output, g.kernel) for n in pair]
        x = x.reshape((batch, g.c_in, *split)).transpose(0, 1, 3, 5, 7, 2, 4, 6)
        return x.reshape((batch, g.groups, -1, math.prod(g.output)))

    def unpack(self, v, given=None, factor=0.0):
        g, batch = self.geometry, len(v)
        if self.adjoint:
            return v.reshape((batch, -1))
        v = v.reshape((batch, g.c_in, *g.kernel, *g.output))
        v = v.transpose(0, 1, 5, 2, 6, 3, 7, 4)
        v = v.reshape((batch, g.c_in, *(o * k for o, k in zip(g.output, g.kernel))))
        shape = (batch, g.c_in, *g.input)
        if self._covers and isinstance(self._places[0], slice):
            return v.reshape((batch, -1))
        if self._covers or not factor:
            x = self.xp.zeros(shape, dtype=v.dtype)
        else:
            x = (factor * given).reshape(shape)
        x[(..., *self._places)] = v
        return x.reshape((batch, -1))

    @property
    def frequencies(self):
        return math.prod(self.geometry.output)

    def multiplication(self, matrices):
        matrices = self.xp.asarray(matrices[..., 0, 0].astype(self.dtype))
        return lambda v: matrices @ v


def is_patches(g) -> bool:
    """Whether every window lies in the image and no two share a sample."""
    if any(o * k > n for o, k, n in zip(g.output, g.kernel, g.input)):
        return False
    samples = [tap_samples(g, axis) for axis in range(3)]
    return all(
        table.min() >= 0 and len(np.unique(table)) == table.size for table in samples
    )


def _place(g, axis):
    """The samples of one axis in the order of the windows, a slice where it can be."""
    samples = tap_samples(g, axis).ravel()
    first = int(samples[0])
    if np.array_equal(samples, np.arange(first, first + samples.size)):
        return slice(first, first + samples.size)
    return samples
