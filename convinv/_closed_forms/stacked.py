"""Stacks of convolutions that one transform takes apart together.

Each convolution is one small matrix per frequency of a Fourier or a cosine transform,
up to phases on the side of the data, which their Gram matrices do not have. The sum of
these is inverted, so that ``x = N^-1 A^H b``.
"""

import math

import numpy as np

from .._core.arrays import to_numpy
from .._linalg.small_inverses import inverted
from ..operators._cells import cells_of, coarsened, difference_axes
from ..operators._polyphase import Polyphase
from ..operators._symbol import Symbol
from .cosine import CosineSymbol, cosine_type

ZERO = 16  # rounding errors of the taps that a zero singular value may have
EPS = 2.0**-52


class CosineDifferences:
    """Differences of neighbors at the frequencies of the cosine transform.

    ``x[i + 1] - x[i]`` of all neighbors along an axis has the size ``2 sin(pi f / 2
    n)`` at the frequency f of the DCT-II of n samples.
    """

    def __init__(self, op, axes):
        g = op.geometry
        self.shape = (g.groups, g.c_out // g.groups, 1)
        self._weights = to_numpy(op.weights).reshape(g.groups, -1, math.prod(g.kernel))
        self._axes, self._torus = axes, g.input

    @property
    def scale(self):
        """The largest size of a matrix, about."""
        return 2 * float(np.abs(self._weights).max()) * math.sqrt(self.shape[1])

    def normal(self):
        """``B^H B`` at all frequencies, ``(groups, 1, 1, *torus)``."""
        sizes = np.abs(self._weights).max(axis=2).reshape(-1) ** 2
        total = np.zeros((self.shape[0], 1, 1, *self._torus))
        for number, axis in enumerate(self._axes):
            n = self._torus[axis]
            along = np.arange(n).reshape([n if a == axis else 1 for a in range(3)])
            wave = 4 * np.sin(np.pi * along / (2 * n)) ** 2
            total[number // self.shape[1], 0, 0] += sizes[number] * wave
        return total


def symbols_of(op):
    """A symbol of each convolution, all of one transform; None if none suits."""
    for find in (_on_torus, _in_cosines):
        symbols = [find(part.astype(op.dtype)) for part in op.convolutions]
        whole = [symbol for symbol in symbols if isinstance(symbol, Symbol)]
        strides = {symbol.layer.geometry.stride for symbol in whole}
        if None not in symbols and len(strides) == 1:
            return symbols
    return None


def common_transform(op):
    """A symbol whose transform takes all convolutions of a stack apart, or None."""
    symbols = symbols_of(op)
    if symbols is None:
        return None
    return next(symbol for symbol in symbols if isinstance(symbol, Symbol))


def _on_torus(op):
    return Symbol(op) if Polyphase(op.geometry).is_torus else None


def _in_cosines(op):
    if op.xp is not np:
        return None  # the CUDA kernels have no cosine transform
    type, departure = cosine_type(op) or (None, 0.0)
    if type == 2:
        return CosineSymbol(op, 2, departure)
    axes = difference_axes(op)
    return None if axes is None else CosineDifferences(op, axes)


def normal_of(symbol):
    """``B^H B`` at all frequencies, ``(groups, channels, channels, *bins)``."""
    if isinstance(symbol, CosineDifferences):
        return symbol.normal()
    groups, _, channels = symbol.shape
    rows, columns = symbol.bins[0] * symbol.bins[1], symbol.bins[2]
    found = np.empty((groups, channels, channels, rows, columns), symbol.kind)
    for down, across, slab in symbol.slabs():
        product = np.einsum("gfprc,gfqrc->gpqrc", slab.conj(), slab)
        found[..., down, across] = product
    return found.reshape((groups, channels, channels, *symbol.bins))


class StackInverse:
    """``(A^H A + damp^2)^-1`` of a stack, at every frequency; see `FrequencyMap`."""

    def __init__(self, op, damp=0.0, factor=1.0, from_data=True):
        symbols, symbol = symbols_of(op), common_transform(op)
        self._layer, self._kind = cells_of(op), op.dtype
        normal = sum(coarsened(normal_of(s), self._layer.groups) for s in symbols)
        scale = sum(s.scale**2 for s in symbols)
        zero = (ZERO * normal.shape[1] * float(np.finfo(op.dtype).eps)) ** 2 * scale
        self.count = symbol.frequencies * normal.shape[0] * normal.shape[1]
        matrices, self.zeros = _inverted(normal, damp, zero)
        matrices = matrices.reshape((*normal.shape[:3], *symbol.bins)) * factor
        self._multiply = symbol.multiplication(_like(symbol, matrices))
        self._adjoint = op.apply_adjoint if from_data else None
        self._output_shape = op.output_shape

    def apply(self, v):
        """``(B, m)`` or ``(B, n)`` vectors -> ``(B, n)``."""
        if self._adjoint is not None:
            v = self._adjoint(v.reshape((v.shape[0], *self._output_shape)))
            v = v.reshape((v.shape[0], -1))
        found = self._multiply(self._layer.pack(v).astype(self._kind, copy=False))
        return self._layer.unpack(found).astype(v.dtype, copy=False)


def _like(symbol, matrices):
    """Matrices in the dtype and the two axes of frequencies of a symbol."""
    shape = (*matrices.shape[:3], symbol.bins[0] * symbol.bins[1], symbol.bins[2])
    return np.ascontiguousarray(matrices.reshape(shape), dtype=symbol.kind)


def _inverted(normal, damp, tolerance):
    """Inverses of Hermitian matrices plus ``damp^2``, and how many zeros there are.

    Eigenvalues up to `tolerance` count as zero where there is no damp.
    """
    groups, size = normal.shape[:2]
    flat = normal.reshape(groups, size, size, -1)
    if size == 1:
        zero = flat.real <= tolerance
        inverse = 1 / np.where(zero & (damp == 0), 1, flat.real + damp**2)
        inverse = np.where(zero & (damp == 0), 0, inverse)
        return inverse, int(zero.sum()) if not damp else 0
    shifted = flat + damp**2 * np.eye(size)[:, :, None]
    inverse = inverted(shifted.copy())
    with np.errstate(all="ignore"):
        condition = _norms(shifted) * _norms(inverse)
    bad = ~(condition * EPS < 1e-6)
    zeros = 0
    if bad.any():
        group, place = np.nonzero(bad)
        values, vectors = np.linalg.eigh(flat[group, :, :, place])
        zero = (values <= tolerance) & (damp == 0)
        gain = np.where(zero, 0, 1 / np.where(zero, 1, values + damp**2))
        found = (vectors * gain[:, None, :]) @ vectors.conj().swapaxes(1, 2)
        inverse[group, :, :, place] = found
        zeros = int(zero.sum())
    return inverse, zeros


def _norms(matrices):
    return np.sqrt(np.sum(np.abs(matrices) ** 2, axis=(1, 2)))


def refuse_rcond(rcond):
    """Singular values of a stack are not computed, so none can be left out."""
    if rcond is not None:
        raise ValueError(
            "rcond truncates singular values, which method 'spectral' does not compute "
            f"for a stack of convolutions; use damp, got rcond={rcond!r}"
        )
