"""Tables of the rows and columns of a convolution, for the loops that act on them."""

import functools
import math

import numpy as np

from ..._core.geometry import Geometry, tap_samples

# Weights of a row are padded by zeros to a multiple of this many bytes, four vectors of
# 32 bytes: loops over a row then have no remainder.
ROW_BYTES = 128


class Plan:
    """A layer as its rows, one per output sample.

    Attributes
    ----------
    weights : ndarray, shape (c_out, width)
        The taps of each filter, ordered ``(channel of the group, *tap)``, then zeros.
    offsets : ndarray of uint64, shape (width,)
        Distance of the taps' samples from that of the first tap in an item of x, if
        nothing folds or is missing; 0 beyond the taps.
    table, first, start : tuple of three int64 arrays, one per axis
        For every output and tap the sample, and the first tap with the same sample, -1
        if there is none; for every output the first tap's sample if the taps have one
        sample each, in order, else -1.
    together : ndarray, shape (c_out, taps + filters), both up to a multiple of four
        The taps of each filter, then its products with all filters of its group if
        nothing folds.
    backward : ndarray, shape (groups, taps, filters up to a multiple of four)
        The conjugate taps of a group's filters, negative.
    begin, output, tap : tuple of three int64 arrays, one per axis
        The inverse of `table`: output ``output[f]`` depends on sample p by ``tap[f]``
        for ``begin[p] <= f < begin[p + 1]``.
    """

    def __init__(self, kernel, geometry: Geometry):
        g = self.geometry = geometry
        self.dtype = kernel.dtype
        self.real = np.empty(0, kernel.dtype).real.dtype
        self.channels = g.c_in // g.groups
        self.taps = self.channels * math.prod(g.kernel)
        multiple = ROW_BYTES // kernel.dtype.itemsize
        self.width = -(-self.taps // multiple) * multiple
        self.weights = np.zeros((g.c_out, self.width), kernel.dtype)
        self.weights[:, : self.taps] = kernel.reshape(g.c_out, self.taps)
        self.offsets = np.zeros(self.width, np.uint64)
        self.offsets[: self.taps] = self._offsets()
        self.table = _each_axis(g, tap_samples)
        self.first = tuple(map(_first, self.table))
        self.start = tuple(_start(t, step) for t, step in zip(self.table, g.dilation))
        lists = (_inverse(t, n) for t, n in zip(self.table, g.input))
        self.begin, self.output, self.tap = zip(*lists)

    @functools.cached_property
    def together(self):
        rows = self._grouped()
        groups, filters, taps = rows.shape
        whole, most = _fours(taps), _fours(filters)
        table = np.zeros((groups, filters, whole + most), self.dtype)
        table[..., : self.taps] = rows
        wide = rows.astype(np.result_type(self.dtype, np.float64))
        products = wide @ wide.conj().swapaxes(1, 2)
        table[..., whole : whole + filters] = products
        return table

    @functools.cached_property
    def backward(self):
        rows = self._grouped()
        groups, filters, taps = rows.shape
        table = np.zeros((groups, taps, _fours(filters)), self.dtype)
        table[..., :filters] = -rows.conj().swapaxes(1, 2)
        return table

    def _grouped(self):
        """The taps of each filter, (group, filter, tap)."""
        g = self.geometry
        rows = self.weights[:, : self.taps]
        return rows.reshape(g.groups, g.c_out // g.groups, self.taps)

    def _offsets(self):
        g = self.geometry
        sizes = (self.channels, *g.input)
        steps = (1, *g.dilation)
        offset = 0
        for n, k, step in zip(sizes, (self.channels, *g.kernel), steps):
            offset = np.add.outer(offset * n, step * np.arange(k))
        return offset.ravel()

    @property
    def sizes(self):
        """The sizes that the loops unpack."""
        g = self.geometry
        shape = (*g.input, *g.output, *g.kernel, self.taps, self.width)
        return (g.groups, self.channels, g.c_out // g.groups, *shape)

    @property
    def multiplications(self):
        return self.geometry.multiplications * (4 if self.dtype.kind == "c" else 1)


def _fours(count):
    return -(-count // 4) * 4


def _each_axis(g, make):
    return tuple(make(g, axis) for axis in range(3))


def _first(table):
    same = (table[:, :, None] == table[:, None, :]) & (table[:, :, None] >= 0)
    return np.where(same.any(2), same.argmax(2), -1).astype(np.int64)


def _start(table, step):
    plain = table == table[:, :1] + step * np.arange(table.shape[1])
    plain &= table >= 0
    return np.where(plain.all(1), table[:, 0], -1).astype(np.int64)


def _inverse(table, samples):
    output, tap = np.nonzero(table >= 0)
    sample = table[output, tap]
    order = np.argsort(sample, kind="stable")
    begin = np.zeros(samples + 1, np.int64)
    np.cumsum(np.bincount(sample, minlength=samples), out=begin[1:])
    return begin, output[order].astype(np.int64), tap[order].astype(np.int64)
