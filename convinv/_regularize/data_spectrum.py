"""Exact singular values of an operator, and the data's components along them."""

import math

import numpy as np
from scipy import fft

from .._closed_forms.separable import Basis
from .._core.arrays import namespace, placement, to_numpy
from ..operators._symbol import matrices_last
from .criteria import DataSpectrum


def spectrum_by_frequency(blocks, b) -> DataSpectrum:
    """The `DataSpectrum` of a layer with one small matrix per frequency, by SVDs.

    `b` is an array ``(B, m)``. The power of the residual is that of the transform with
    these frequencies.
    """
    b = to_numpy(b)
    groups, filters, channels = blocks.shape
    data = b.size
    if blocks.real and b.dtype.kind == "c":
        b = np.concatenate([b.real, b.imag])
    b = b.reshape(-1, groups, filters, *blocks.torus).astype(
        "float64" if blocks.real else "complex128", copy=False
    )
    parts = blocks.transform(b)
    parts = parts.reshape(*parts.shape[:3], -1, blocks.bins[2])
    frequencies, rank = parts.shape[3:], min(filters, channels)
    values = np.empty((*frequencies, groups, rank))
    energy, rest = np.empty_like(values), np.zeros(values.shape[:-1])
    for rows, columns, matrices in blocks.slabs():
        here = rows, columns
        u, values[here] = _left(matrices_last(matrices))
        own = np.moveaxis(parts[..., rows, columns], (3, 4), (0, 1)).swapaxes(2, 3)
        own = own.swapaxes(3, 4)  # frequencies, groups, filters, items
        along = np.conj(u.swapaxes(-2, -1)) @ own
        energy[here] = np.sum(np.abs(along) ** 2, axis=-1)
        if filters > rank:
            rest[here] = np.sum(np.abs(own - u @ along) ** 2, axis=(-2, -1))
    values[values <= blocks.tolerance] = 0
    weight = np.broadcast_to(blocks.multiplicity, frequencies)
    energy *= weight[..., None, None]
    rest *= weight[..., None]
    shells = Shells(blocks.squares().ravel(), weight.ravel())
    items = data // (groups * filters * math.prod(blocks.torus))
    counts = np.broadcast_to(items * weight[..., None, None], values.shape)
    found = DataSpectrum(
        values.reshape(-1, rank),
        energy.reshape(-1, rank),
        rest.ravel(),
        data,
        values.ravel(),
        counts.ravel(),
        share=shells.share,
    )

    def power(damp):
        left = (found.energy * found.passed(damp) ** 2).sum(1) + found.rest
        return shells.sums(left.reshape(-1, groups).sum(1))

    found.power = power
    return found


def _left(matrices):
    """Left singular vectors and singular values; of rows and columns without an SVD."""
    rows, columns = matrices.shape[-2:]
    if min(rows, columns) > 1:
        return np.linalg.svd(matrices, full_matrices=False)[:2]
    sizes = np.sqrt(np.sum(np.abs(matrices) ** 2, axis=(-2, -1)))[..., None]
    if rows == 1:
        return np.ones((*sizes.shape, 1)), sizes
    return matrices / np.where(sizes > 0, sizes, 1)[..., None], sizes


class Shells:
    """Frequencies of one size together, in increasing order, without 0.

    `squares` are the squared sizes, `weight` the number of frequencies that each
    represents; `share` is the power of white noise in each shell, up to a factor.
    """

    def __init__(self, squares, weight):
        _, self.shell = np.unique(np.round(squares, 12), return_inverse=True)
        self.share = self.sums(weight)

    def sums(self, power):
        """The power in each shell."""
        return np.bincount(self.shell, weights=power)[1:]


def separable_spectrum(op, decomposition, b) -> DataSpectrum:
    """The `DataSpectrum` of a layer with a separable kernel, from small SVDs.

    `b` is an array ``(B, m)``. The power of the residual is that of its cosine
    transform, if the operator's output is an image.
    """
    basis, xp = Basis(decomposition, data=True), decomposition.xp
    parts = basis.parts(b)
    beyond = 0.0 if basis.complete else b - basis.sum(parts)
    rest = np.zeros(1) if basis.complete else np.array([_energy(beyond).sum()])
    values = decomposition.values.copy()
    values[values <= decomposition.tolerance] = 0
    found = DataSpectrum(
        values.reshape(1, -1),
        _energy(parts).sum(axis=0).reshape(1, -1),
        rest,
        math.prod(b.shape),
        values.ravel(),
        np.full(values.size, float(len(b))),
    )
    periodogram = Periodogram.of(op)
    if periodogram is not None:

        def power(damp):
            passed = xp.asarray(found.passed(damp).reshape(values.shape))
            return periodogram.power(to_numpy(beyond + basis.sum(parts * passed)))

        found.power, found.share = power, periodogram.share
    return found


def _energy(array):
    """The squares of the entries, on the host."""
    array = to_numpy(array)
    return np.abs(array.astype(np.result_type(array.dtype, np.float64))) ** 2


def dense_spectrum(op, b) -> DataSpectrum:
    """The `DataSpectrum` of a small operator, whose matrix is formed by products.

    `b` is an array ``(B, m)``. The power of the residual is that of its cosine
    transform, if the operator's output is an image.
    """
    matrix, b = dense_matrix(op, b), to_numpy(b)
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    rounding = max(matrix.shape) * np.finfo(float).eps * values[0]
    values[values <= rounding] = 0
    parts = b @ left.conj()
    beyond = b - parts @ left.T if len(matrix) > values.size else np.zeros_like(b)
    found = DataSpectrum(
        np.broadcast_to(values, parts.shape),
        np.abs(parts) ** 2,
        np.sum(np.abs(beyond) ** 2, axis=1),
        b.size,
        values,
        np.full(values.size, float(len(b))),
    )
    periodogram = Periodogram.of(op)
    if periodogram is not None:

        def power(damp):
            return periodogram.power(beyond + (parts * found.passed(damp)) @ left.T)

        found.power, found.share = power, periodogram.share
    return found


def dense_matrix(op, b):
    """A on the host, in double precision if op computes in it."""
    m, n = op.shape
    xp = namespace(b)
    size, shape = (n, op.input_shape) if n <= m else (m, op.output_shape)
    identity = xp.eye(size, dtype=xp.float64, **placement(b))
    apply = op.apply if n <= m else op.apply_adjoint
    rows = to_numpy(apply(xp.reshape(identity, (size, *shape)))).reshape(size, -1)
    return rows.T if n <= m else rows.conj()


class Periodogram:
    """Power of images by cosine transforms, in shells of increasing frequency.

    The power is summed over channels and items. The transform is orthogonal, so that
    white noise has the same power everywhere.
    """

    def __init__(self, shape):
        self.shape = shape
        square = np.zeros(shape[1:])
        for axis, size in enumerate(shape[1:]):
            along = [1] * len(shape[1:])
            along[axis] = size
            square = square + (np.arange(size).reshape(along) / size) ** 2
        self.shells = Shells(square.ravel(), np.ones(square.size))
        self.share = self.shells.share

    @classmethod
    def of(cls, op):
        """The periodogram of an operator's output, None if it is no image."""
        if not op.weighted_convolutions or math.prod(op.output_shape[1:]) < 2:
            return None
        return cls(op.output_shape)

    def power(self, images):
        images = images.reshape(-1, *self.shape)
        images = images.astype(np.result_type(images.dtype, np.float64), copy=False)
        axes = tuple(range(2, images.ndim))
        parts = fft.dctn(images, axes=axes, norm="ortho")
        return self.shells.sums(np.sum(np.abs(parts) ** 2, axis=(0, 1)).ravel())
