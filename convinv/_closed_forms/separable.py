"""A separable layer inverted by one small SVD per axis.

The singular vectors of a Kronecker product are the products of those of its factors,
and so are the singular values (Hansen, Numerical Algorithms 29, 2002). One set-up
serves every damp.
"""

import contextlib
import math

import numpy as np

from .._core.blas_threads import one_blas_thread
from .._linalg.pseudoinverse import THREADED_WORK
from .separable_kernel import axis_matrices


class Decomposition:
    """The singular values and vectors of a separable layer.

    Attributes
    ----------
    values : ndarray, shape (groups, channels, d, h, w)
        The singular values, as many on each axis as its matrix has.
    tolerance : float
        Size up to which rounding may change a singular value of zero.
    """

    def __init__(self, op, factors):
        self.geometry, self.xp, self.dtype = op.geometry, op.xp, op.dtype
        g = op.geometry
        matrices = [factors.channels]
        matrices += [axis_matrices(g, a, t) for a, t in enumerate(factors.taps)]
        scalar, self.values = np.ones(1), np.ones((g.groups, 1, 1, 1, 1))
        self.left: dict = {}  # by axis of (channel, d, h, w), (groups or 1, m, rank)
        self.right: dict = {}
        found: list = []
        for axis, matrix in enumerate(matrices):
            if matrix.shape[1:] == (1, 1):
                scalar = scalar * matrix[:, 0, 0]
                continue
            u, s, vh = _svd(matrix, found)
            shape = [len(s), 1, 1, 1, 1]
            shape[1 + axis] = s.shape[1]
            self.values = self.values * s.reshape(shape)
            self.left[axis] = self._placed(u)
            self.right[axis] = self._placed(vh.conj().swapaxes(1, 2))
        size = np.abs(scalar)
        self.values = self.values * size.reshape(-1, 1, 1, 1, 1)
        phase = np.where(size > 0, scalar / np.where(size > 0, size, 1), 1)
        self.phase = phase.reshape(-1, 1, 1, 1, 1)  # of the left vectors
        widest = max(max(m.shape[1:]) for m in matrices)
        eps = float(np.finfo(op.dtype).eps) + 2.0**-52 * widest
        self.tolerance = eps * float(self.values.max()) + factors.departure
        self.nbytes = self.values.nbytes + sum(
            m.nbytes for side in (self.left, self.right) for m in side.values()
        )

    def _placed(self, matrix):
        matrix = np.ascontiguousarray(matrix.astype(self.dtype))
        return self.xp.asarray(matrix)

    def shape(self, data):
        """``(groups, channels, d, h, w)`` of the layer's data or unknowns."""
        g = self.geometry
        if data:
            return (g.groups, g.c_out // g.groups, *g.output)
        return (g.groups, g.c_in // g.groups, *g.input)


def _svd(matrix, found):
    """The thin SVD, of an earlier axis if that has the same matrix."""
    for earlier, result in found:
        if np.array_equal(earlier, matrix):
            return result
    few = matrix.size * min(matrix.shape[1:]) < THREADED_WORK
    with one_blas_thread if few else contextlib.nullcontext():
        result = np.linalg.svd(matrix, full_matrices=False)
    found.append((matrix, result))
    return result


class Basis:
    """The singular vectors on one side of a layer.

    Parameters
    ----------
    decomposition : Decomposition
    data : bool
        Whether they are those of the layer's data; else of its unknowns.
    """

    def __init__(self, decomposition, data):
        self.shape = decomposition.shape(data)
        self.matrices = decomposition.left if data else decomposition.right
        self.adjoints = {a: m.conj().swapaxes(1, 2) for a, m in self.matrices.items()}
        self.complete = decomposition.values.size == math.prod(self.shape)

    def parts(self, v):
        """Coefficients in the singular vectors, ``(B, *values.shape)``."""
        v = v.reshape((len(v), *self.shape))
        for axis, matrix in self.adjoints.items():
            v = _along(matrix, v, axis)
        return v

    def sum(self, parts):
        """The flat vectors with these coefficients."""
        for axis, matrix in self.matrices.items():
            parts = _along(matrix, parts, axis)
        return parts.reshape((len(parts), -1))


def _along(matrix, v, axis):
    """Each group's matrix on one axis of ``(B, groups, channels, d, h, w)``."""
    shape, axis = v.shape, 2 + axis
    before, after = math.prod(shape[2:axis]), math.prod(shape[axis + 1 :])
    if after == 1:
        v = v.reshape((*shape[:2], before, shape[axis])) @ matrix.swapaxes(1, 2)
    else:
        v = matrix[:, None] @ v.reshape((*shape[:2], before, shape[axis], after))
    return v.reshape((*shape[:axis], matrix.shape[1], *shape[axis + 1 :]))


class SeparableMap:
    """A map that multiplies the component along each singular vector by its own gain.

    The component orthogonal to all of them is multiplied by `rest`.

    Attributes
    ----------
    zeros, count : int
        How many singular values were treated as zero, and how many there are.
    """

    def __init__(self, decomposition, given, wanted, gain, zeros, rest=0.0):
        self._given, self._wanted = given, wanted
        dtype = np.dtype(decomposition.dtype)
        dtype = dtype if gain.dtype.kind == "c" else np.empty(0, dtype).real.dtype
        self._gain = decomposition.xp.asarray(gain.astype(dtype))
        self._rest = 0.0 if given.complete else rest
        self.zeros, self.count = zeros, gain.size

    def apply(self, v):
        """``(B, m)`` or ``(B, n)`` vectors -> ``(B, n)``."""
        parts = self._given.parts(v)
        found = self._wanted.sum(self._gain * parts)
        if self._rest:
            found = found + self._rest * (v - self._given.sum(parts))
        return found


def inverse(decomposition, adjoint, damp=0.0, rcond=None) -> SeparableMap:
    """The pseudoinverse of a layer or of its adjoint; see `by_frequency`."""
    d = decomposition
    cut = d.tolerance if rcond is None else rcond * float(d.values.max())
    keep = d.values > cut
    size = np.where(keep, np.hypot(d.values, damp), 1)
    gain = np.where(keep, d.values, 0) / size / size
    phase = d.phase if adjoint else d.phase.conj()
    given, wanted = Basis(d, not adjoint), Basis(d, adjoint)
    return SeparableMap(d, given, wanted, gain * phase, int(np.sum(~keep)))


def remainder(decomposition, adjoint, damp=0.0) -> SeparableMap:
    """The error of a damped inversion; see `by_frequency`."""
    d, basis = decomposition, Basis(decomposition, adjoint)
    keep = d.values > d.tolerance
    size = np.where(keep, np.hypot(d.values, damp), 1)
    gain = np.where(keep, damp / size, 1) ** 2
    return SeparableMap(d, basis, basis, gain, int(np.sum(~keep)), rest=1.0)
