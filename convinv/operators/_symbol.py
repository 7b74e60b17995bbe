"""The matrices of a layer at the frequencies of a torus.

A layer that is invariant under shifts of a torus of cells is block-diagonal after a
discrete Fourier transform of the cells: one small dense matrix per frequency and group,
whose singular values together are those of the layer.
"""

import copy
import math

import numpy as np
import scipy.fft

from .. import kernels
from ._polyphase import Polyphase

SLAB = 2**23  # bytes of the matrices that are treated at once; several such live
# Taps from which on they are transformed, if all matrices fit so many bytes.
MANY, WHOLE = 256, 2**26
FEW = 64  # taps on the first two axes up to which their waves are multiplied out


class Symbol:
    """A layer's symbol: its matrices at all frequencies of a torus, made by slabs.

    The frequencies are those of `numpy.fft.rfftn` over the torus for real weights, of
    `numpy.fft.fftn` for complex ones; in a slab they have two axes, the first two axes
    of the torus together and the last. Subclasses have those of other transforms.

    Attributes
    ----------
    layer : Polyphase
    xp : module
    dtype : dtype
        The library and the dtype of the layer.
    kind : dtype
        That of the matrices.
    shape : tuple of int
        ``(groups, filters, channels)`` of the matrices of one frequency; ``(groups,
        channels, filters)`` for the adjoint of a convolution.
    bins : tuple of int
        Frequencies per axis.
    multiplicity : ndarray, shape (bins[2],)
        How many of all frequencies each stands for, 2 where a conjugate is left out.
    scale : float
        The sum of the norms of the taps: no matrix has a larger norm.
    tolerance : float
        What a singular value of zero may become by rounding, of the kernel in its dtype
        and of the transform.
    """

    def __init__(self, op, torus=None):
        self.adjoint, op = op is not op.layer, op.layer
        self.xp, self.dtype = op.xp, op.dtype
        self.layer = Polyphase(op.geometry)
        self.torus = tuple(torus or self.layer.cells)
        self._kernel = op.weights
        first, table = self.layer.stencil(self._kernel)
        self.real, self.shape = not np.iscomplexobj(table), table.shape[:3]
        self._count_frequencies()
        spans = table.shape[3:]
        offsets = [q + np.arange(span) for q, span in zip(first, spans)]
        self._waves = [self._wave(*pair) for pair in enumerate(offsets)]
        self.kind = np.result_type(self._waves[0], table)
        table = table.astype(self.kind)
        self._table = table.reshape(*self.shape, -1, spans[2])
        table = np.moveaxis(table, (0, 1, 2), (3, 4, 5))
        norms = np.linalg.norm(table, axis=(-2, -1)).reshape(-1, self.shape[0])
        self.scale = float(norms.sum(axis=0).max())
        eps = float(np.finfo(op.dtype).eps)
        self.tolerance = self.scale * (eps + 10 * max(self.shape[1:]) * 2.0**-52)
        if self.adjoint:
            self.shape = (self.shape[0], *self.shape[:0:-1])

    def _count_frequencies(self):
        """Set `bins` and `multiplicity`."""
        *first, last = self.torus
        self.bins = (*first, last // 2 + 1 if self.real else last)
        self.multiplicity = np.ones(self.bins[2])
        if self.real:
            self.multiplicity[1 : (last + 1) // 2] = 2

    def _wave(self, axis, offsets):
        """What a tap at each offset contributes to each frequency of an axis."""
        n = self.torus[axis]
        turns = np.outer(np.arange(self.bins[axis]), offsets) % n
        return np.exp(2j * np.pi * turns / n)

    def without_matrices(self):
        """What tells how vectors are packed, and no more."""
        bare = copy.copy(self)
        del bare._table, bare._waves, bare._kernel
        return bare

    def slabs(self):
        """``(rows, columns, matrices)`` of one slab after the other.

        `rows` and `columns` are slices of the two axes of frequencies; the matrices
        have shape ``(groups, filters, channels, rows, columns)``, the other way round
        for the adjoint of a convolution.
        """
        count = max(SLAB // (16 * math.prod(self.shape)), 1)
        rows, columns = self.bins[0] * self.bins[1], self.bins[2]
        width = min(count, columns)
        whole = self._whole()
        if whole is not None:
            whole = whole.reshape(*whole.shape[:3], rows, columns)
        planes, lines = (wave.shape[1] for wave in self._waves[:2])
        in_turn = planes > 1 and planes * lines > FEW
        if in_turn:  # of fewer columns, since all rows are held
            width = max(width // (planes * self.bins[1] // FEW + 1), 1)
        height = max(count // width, 1)
        for left in range(0, columns, width):
            across = slice(left, min(left + width, columns))
            if whole is not None:
                part = whole[..., across]
                yield slice(0, rows), across, self._turned(part)
                continue
            along = self._table @ self._waves[2][across].T
            if in_turn:
                along = along.reshape(*along.shape[:3], planes, lines, -1)
                along = self._waves[1] @ along
            for top in range(0, rows, height):
                down = slice(top, min(top + height, rows))
                place = np.divmod(np.arange(down.start, down.stop), self.bins[1])
                first, second = (w[i] for w, i in zip(self._waves, place))
                if in_turn:
                    slab = np.einsum("rt,gfctrw->gfcrw", first, along[..., place[1], :])
                else:
                    wave = first[:, :, None] * second[:, None, :]
                    slab = wave.reshape(len(wave), -1) @ along
                yield down, across, self._turned(slab)

    def _whole(self):
        """All matrices by a transform of the taps, where these are many."""
        taps = math.prod(wave.shape[1] for wave in self._waves)
        if taps <= MANY or 16 * math.prod(self.shape) * math.prod(self.bins) > WHOLE:
            return None
        return whole_symbol(self.layer, self._kernel, self.torus)

    def _turned(self, matrices):
        """The matrices of the adjoint, if that is what is wanted."""
        return matrices.conj().swapaxes(1, 2) if self.adjoint else matrices

    def pack(self, v, data):
        """Flat data or unknowns ``(B, size)`` as ``(B, groups, channels, *torus)``."""
        if data is self.adjoint:  # the input of the convolution
            return self.layer.pack(v)
        rows = self.shape[1 if data else 2]
        return v.reshape((v.shape[0], self.shape[0], rows, *self.torus))

    def unpack(self, v, given=None, factor=0.0):
        """Unknowns as ``(B, n)`` again; those of no frequency are ``factor * given``.

        On a torus there are none.
        """
        return v.reshape((len(v), -1)) if self.adjoint else self.layer.unpack(v)

    @property
    def frequencies(self):
        """The number of frequencies, with those that conjugates stand for."""
        return math.prod(self.torus)

    def empty(self, rows, columns):
        """Matrices of that size at every frequency, as the slabs are indexed."""
        frequencies = (self.bins[0] * self.bins[1], self.bins[2])
        return np.empty((self.shape[0], rows, columns, *frequencies), self.kind)

    def transform(self, v):
        """The orthonormal transform of ``(..., *torus)`` arrays of the host."""
        function = scipy.fft.rfftn if self.real else scipy.fft.fftn
        return function(v, axes=(-3, -2, -1), norm="ortho")

    def squares(self):
        """The squared size of each frequency, ``(rows, columns)`` as in a slab."""
        last = scipy.fft.rfftfreq if self.real else scipy.fft.fftfreq
        first, second = (scipy.fft.fftfreq(n) ** 2 for n in self.torus[:2])
        return (first[:, None] + second).reshape(-1, 1) + last(self.torus[2]) ** 2

    def multiplication(self, matrices):
        """A function that multiplies at every frequency, by matrices as in `empty`.

        It maps ``(B, groups, columns, *torus)`` to ``(B, groups, rows, *torus)``.
        """
        kernel = kernels.load("circulant", self.xp)
        matrices = matrices.reshape(*matrices.shape[:3], *self.bins)
        plan = kernel.prepare(matrices, self.torus, self.dtype)
        return lambda v: kernel.apply(plan, v)

    def largest(self):
        """The largest singular value."""
        found = [
            np.linalg.svd(matrices_last(slab), compute_uv=False).max()
            for _, _, slab in self.slabs()
        ]
        return float(max(found))


def whole_symbol(layer, weights, torus):
    """The symbol of a `Polyphase` layer on a torus of cells, by one transform.

    Returns ``(groups, filters, channels, *frequencies)`` in complex128 on the host.
    The frequencies are those of `numpy.fft.rfftn` over a torus of shape `torus` for
    real weights (the last axis halved), of `numpy.fft.fftn` for complex ones; with
    ``v^ = rfftn(v)`` the layer on that torus is ``y^ = symbol @ v^``.
    """
    first, matrices = layer.stencil(weights)
    for axis, (start, n) in enumerate(zip(first, torus)):
        matrices = _wrapped(matrices, 3 + axis, start, n)
    axes = (3, 4, 5)
    if np.iscomplexobj(matrices):
        return scipy.fft.fftn(matrices, axes=axes)
    return scipy.fft.rfftn(matrices, axes=axes)


def taps_of_symbol(layer, symbol, torus, real):
    """The adjoint of `whole_symbol`, divided by the number of frequencies.

    Where no two taps meet on the torus it is its inverse: weights like ``op.weights``.
    For matrices that are no symbol of such a kernel it gives the weights whose symbol
    is nearest.
    """
    axes = (3, 4, 5)
    if real:
        entries = scipy.fft.irfftn(symbol, s=tuple(torus), axes=axes)
    else:
        entries = scipy.fft.ifftn(symbol, axes=axes)
    ahead, _ = zip(*layer.offsets())
    return layer.taps(entries, [-q % n for q, n in zip(ahead, torus)])


def _wrapped(matrices, axis, start, n):
    """What lies `start`, `start` + 1 ... ahead, where the transform of n cells looks.

    A look ahead is a negative shift: offset q goes to place ``-q mod n``.
    """
    matrices = np.moveaxis(matrices, axis, 0)
    wrapped = np.zeros((n, *matrices.shape[1:]), matrices.dtype)
    for first in range(0, len(matrices), n):  # at most once around at a time
        part = matrices[first : first + n]
        places = -(start + first + np.arange(len(part))) % n
        wrapped[places] += part
    return np.moveaxis(wrapped, 0, axis)


def matrices_last(slab):
    """``(groups, p, q, rows, columns)`` as ``(rows, columns, groups, p, q)``."""
    return np.moveaxis(slab, (3, 4), (0, 1))


def by_frequency(blocks, vectors=True):
    """The singular values at every frequency, and what the unknowns make of noise.

    Returns values of shape ``(groups, *bins, k)`` and, with `vectors`, the mean over
    all frequencies of the diagonal of ``(B^H B)^+``, of shape ``(groups, channels)``:
    the variance of the cells' unknowns in ``A^+ b`` for white noise b.
    """
    groups, filters, channels = blocks.shape
    bins = (blocks.bins[0] * blocks.bins[1], blocks.bins[2])
    values = np.empty((groups, *bins, min(filters, channels)))
    variance = np.zeros((groups, channels))
    for down, across, slab in blocks.slabs():
        matrices = matrices_last(slab)
        found = np.linalg.svd(matrices, full_matrices=False, compute_uv=vectors)
        s = found[1] if vectors else found
        values[:, down, across] = np.moveaxis(s, 2, 0)
        if vectors:
            gain = inverse_squares(s, blocks.tolerance)
            gain *= blocks.multiplicity[across][:, None, None]
            size = np.abs(found[2]) ** 2
            variance += np.einsum("rcgk,rcgkq->gq", gain, size)
    values = values.reshape(groups, *blocks.bins, -1)
    return values, variance / blocks.frequencies


def inverse_squares(values, tolerance):
    """``1 / values**2``, and 0 for those that count as zero."""
    keep = values > tolerance
    return np.where(keep, 1 / np.where(keep, values, 1) ** 2, 0)


def every_frequency(blocks, values):
    """Values at the frequencies of a full transform, of as many axes as the layer's.

    A real kernel does the same to conjugate frequencies.
    """
    d, h, w = blocks.torus
    if blocks.real:
        turn = (-np.arange(d)[:, None, None] % d, -np.arange(h)[:, None] % h)
        mirrored = values[:, *turn, w - np.arange(blocks.bins[2], w)]
        values = np.concatenate([values, mirrored], axis=3)
    axes = blocks.layer.geometry.ndim
    return values.reshape(values.shape[0], *blocks.torus[3 - axes :], -1)


def why_not_torus(geometry) -> str:
    """What keeps a layer from being invariant under shifts of a torus."""
    first = 3 - geometry.ndim
    for axis in range(3):
        sizes = geometry.input, geometry.output, geometry.stride
        n, m, s = (size[axis] for size in sizes)
        name = f"spatial axis {axis - first}"
        if n % s:
            return f"its stride {s} does not divide the {n} samples of {name}"
        if m * s != n:
            return f"it has {m} outputs for {n} samples at stride {s} on {name}"
    return f"its boundary is {geometry.boundary!r} and its kernel reaches over it"
