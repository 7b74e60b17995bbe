"""A stack of convolutions as some rows of one on a torus, where N is inverted by FFT.

A convolution without padding has the rows of one on a larger torus that do not wrap
around it. With S the stack on the torus, E the rows that the torus adds (or a mask
takes away) and ``N = S^H S``, the least-squares solution for data b in the other rows
is that for data w in E that agree with it,

    x = N^-1 (A^H b + S_E^H w),   (I - S_E N^-1 S_E^H) w = S_E N^-1 A^H b .

The matrix of the second equation has eigenvalues between 0 and 1.
"""

import math

import numpy as np

from .. import kernels
from .._core.arrays import to_numpy
from .._core.errors import Singular
from .._linalg.small_inverses import inverted
from ..kernels.products.fft_axes import fast_length
from ..operators._cells import coarsened, difference_axes
from ..operators._polyphase import Polyphase
from ..operators._symbol import whole_symbol
from .added_slabs import AddedSlabs

SINGULAR = 50 * 2.0**-52  # reciprocal condition number that rounding may leave


def is_embedded(op) -> bool:
    """Whether the rows of all convolutions are rows of convolutions on a torus."""
    pairs = op.weighted_convolutions
    return bool(pairs) and all(
        (weights is None or part_is_mask(weights)) and _is_part(convolution)
        for convolution, weights in pairs
    )


def part_is_mask(weights) -> bool:
    """Whether all weights are 0 or 1."""
    return bool(((weights == 0) | (weights == 1)).all())


def _is_part(op):
    g = op.geometry
    if not any(g.before + g.after):
        return True
    if g.boundary == "periodic":
        return Polyphase(g).is_torus
    return difference_axes(op) is not None


def torus_of(op) -> tuple[int, ...]:
    """The samples of the torus: those of the image where a convolution wraps."""
    geometries = [convolution.geometry for convolution, _ in op.weighted_convolutions]
    size = geometries[0].input
    if any(g.wraps for g in geometries):
        return size
    return tuple(
        fast_length(n, even=axis == 2) if n > 1 else 1 for axis, n in enumerate(size)
    )


def added_filters(op) -> int:
    """The channels of the data in which the torus has rows that `op` does not have."""
    found = 0
    torus = torus_of(op)
    for convolution, weights in op.weighted_convolutions:
        g = convolution.geometry
        whole = weights is None and g.output == torus and g.wraps
        found += 0 if whole else g.c_out
    return found


class Embedding:
    """The maps between the unknowns and the added rows, by matrices per frequency.

    Attributes
    ----------
    torus : tuple of three ints
    added : array, shape (1, length)
        1 for the added rows, in the dtype of the data; None if there is none.
    largest : float
        A bound of the norm of the added rows.
    nbytes : int
    """

    def __init__(self, op, damp, dtype):
        self.xp, self.dtype = op.xp, np.dtype(dtype)
        geometries = [conv.geometry for conv, _ in op.weighted_convolutions]
        self.groups = math.gcd(*(g.groups for g in geometries))
        self.torus, self.grid = torus_of(op), geometries[0].input
        self.channels = geometries[0].c_in // self.groups
        normal, rows, masks = self._matrices(op)
        inverse = _inverted(normal, damp)
        self.added, self._slabs = None, None
        # the rows that strides leave out are everywhere, and not in slabs
        in_slabs = all(max(g.stride) == 1 for g in geometries)
        self._prepare(inverse, rows, masks, in_slabs, damp > 0)

    def _matrices(self, op):
        """``S^H S``, the matrices of all parts with added rows, and what is kept."""
        normal, rows, masks = 0.0, [], []
        for convolution, weights in op.weighted_convolutions:
            g = convolution.geometry
            layer = Polyphase(g._replace(stride=(1, 1, 1)))
            taps = convolution.weights.astype(self.dtype, copy=False)
            matrices = whole_symbol(layer, taps, self.torus)
            matrices = coarsened(matrices, self.groups)
            normal = normal + np.einsum(
                "gfpdhw,gfqdhw->gpqdhw", matrices.conj(), matrices
            )
            kept = _kept(convolution, weights, self.torus)
            if not kept.all():
                rows.append(matrices)
                masks.append(kept.reshape(self.groups, -1, *self.torus))
        return normal, rows, masks

    def _prepare(self, inverse, rows, masks, in_slabs, is_damped):
        kernel = kernels.load("circulant", self.xp)

        def plan(blocks):
            return kernel.prepare(np.ascontiguousarray(blocks), self.torus, self.dtype)

        self._kernel, self._inverse, self.filters = kernel, plan(inverse), 0
        plans = [self._inverse]
        self.largest = 0.0
        if rows:
            rows = np.concatenate(rows, axis=1)
            self.filters = rows.shape[1]
            sizes = np.sum(np.abs(rows) ** 2, axis=(1, 2))
            self.largest = math.sqrt(float(sizes.max()))
            to_rows = np.einsum("gfpdhw,gpqdhw->gfqdhw", rows, inverse)
            self._to_rows = plan(to_rows)
            between = np.einsum("gfpdhw,gepdhw->gfedhw", to_rows, rows.conj())
            self._between = plan(between)
            self._from_rows = plan(to_rows.conj().swapaxes(1, 2))
            plans += [self._to_rows, self._between, self._from_rows]
            kept = np.concatenate(masks, axis=1)
            real = np.empty(0, self.dtype).real.dtype
            self.added = self.xp.asarray((~kept).reshape(1, -1).astype(real))
            spectra = sum(plan.nbytes for plan in plans)
            if in_slabs and AddedSlabs.fits(kept, self.dtype.kind == "f", spectra):
                self._slabs = AddedSlabs(
                    between, rows, kept, self.grid, is_damped, self.xp, self.dtype
                )
                plans.append(self._slabs)
        self.nbytes = sum(plan.nbytes for plan in plans)

    def start(self, gradient):
        """The right-hand side ``S_E N^-1 gradient``, flat."""
        found = self._kernel.apply(self._to_rows, self._image(gradient), self.torus)
        return found.reshape((len(found), -1)) * self.added

    def project(self, w):
        """``(I - S_E N^-1 S_E^H) w`` for flat w, zero outside E."""
        shape = (len(w), self.groups, self.filters, *self.torus)
        found = self._kernel.apply(self._between, w.reshape(shape))
        found = found.reshape(w.shape)
        found *= self.added
        return self.xp.subtract(w, found, out=found)

    def precondition(self, r):
        """An approximate inverse of `project`, on E; r itself where there is none."""
        if self._slabs is None:
            return r
        found = self._slabs(r)
        found *= self.added
        return found

    def solution(self, gradient, w=None):
        """``N^-1 (gradient + S_E^H w)``, flat; w None is zero."""
        x = self._kernel.apply(self._inverse, self._image(gradient), self.grid)
        if w is not None:
            shape = (len(w), self.groups, self.filters, *self.torus)
            x += self._kernel.apply(self._from_rows, w.reshape(shape), self.grid)
        return x.reshape((len(x), -1))

    def _image(self, v):
        v = v.reshape((len(v), self.groups, self.channels, *self.grid))
        return self.xp.ascontiguousarray(v.astype(self.dtype, copy=False))


def _kept(op, weights, torus):
    """Which outputs of the convolution on the torus the layer has, ``(C_out, *torus)``.

    Of differences only those inside the image count: the others vanish.
    """
    g = op.geometry
    kept = np.zeros((g.c_out, *torus), dtype=bool)
    places = [s * np.arange(m) % n for s, m, n in zip(g.stride, g.output, torus)]
    given = np.ones((g.c_out, *g.output), dtype=bool)
    if weights is not None:
        given = to_numpy(weights != 0).reshape(given.shape)
    if any(g.before + g.after) and not g.wraps:
        given = given & _inside(op)
    kept[:, *np.ix_(*places)] = given
    return kept


def _inside(op):
    """Which outputs of each filter read samples of the image only."""
    g, taps = op.geometry, to_numpy(op.weights)[:, 0] != 0
    found = np.ones((g.c_out, *g.output), dtype=bool)
    for axis in range(3):
        others = tuple(1 + a for a in range(3) if a != axis)
        used = taps.any(axis=others)
        offsets = g.dilation[axis] * np.arange(g.kernel[axis]) - g.before[axis]
        reads = np.arange(g.output[axis])[:, None] + offsets
        outside = (reads < 0) | (reads >= g.input[axis])
        bad = np.any(outside[None] & used[:, None, :], axis=2)
        shape = [g.c_out, *(g.output[a] if a == axis else 1 for a in range(3))]
        found &= ~bad.reshape(shape)
    return found


def _inverted(normal, damp):
    """The inverses of Hermitian matrices plus ``damp^2``; Singular if one is not."""
    groups, size = normal.shape[:2]
    flat = normal.reshape(groups, size, size, -1)
    flat = flat + damp**2 * np.eye(size)[:, :, None]
    inverse = inverted(flat.copy())
    with np.errstate(all="ignore"):
        condition = _norm(flat) * _norm(inverse)
    if not condition * SINGULAR < 1:
        raise Singular("the stack is singular at a frequency of the torus", [])
    return inverse.reshape(normal.shape)


def _norm(matrices):
    return float(np.sqrt(np.sum(np.abs(matrices) ** 2, axis=(1, 2))).max())
