"""Transforms in which layers and differences of neighbors are small matrices."""

import numpy as np
import scipy.fft

from .._closed_forms.cosine import CosineSymbol
from .._core.threads import thread_count
from ..operators._convolution import ConvLinearOperator
from ..operators._symbol import Symbol

SPATIAL = (-3, -2, -1)


class Cosines:
    """The orthonormal cosine transform of images ``(..., d, h, w)``.

    Differences of neighbors, without one after the last sample, and even layers with
    the boundary "symmetric" are diagonal.
    """

    def __init__(self, size, xp, dtype):
        self.size, self.bins, self.xp = size, size, xp
        self.axes = [axis for axis in SPATIAL if size[axis] > 1]
        self.dtype = dtype
        self._matrices = {}

    def forward(self, x):
        """The transform of an array."""
        if self.xp is np:
            how = {"axes": self.axes, "norm": "ortho", "workers": thread_count()}
            return scipy.fft.dctn(x, **how) if self.axes else x
        return self._by_matrices(x, transposed=False)

    def backward(self, x):
        """The inverse transform; the array may be overwritten."""
        if self.xp is np:
            how = {"axes": self.axes, "norm": "ortho", "workers": thread_count()}
            return scipy.fft.idctn(x, overwrite_x=True, **how) if self.axes else x
        return self._by_matrices(x, transposed=True)

    def squares(self, axes):
        """``D^H D`` of differences along some axes, negative numbers."""
        return _squares(self.size, self.bins, axes, period=2)

    def symbol(self, layer):
        """The matrices ``(groups, filters, channels, *bins)`` of an even layer."""
        return _whole(CosineSymbol(layer, 2), self.bins)

    def _by_matrices(self, x, transposed):
        """Of a device, which has fast products and no cosine transform."""
        for axis in self.axes:
            matrix = self._matrix(self.size[axis])
            matrix = matrix.T if transposed else matrix
            moved = self.xp.moveaxis(x, axis, -1) @ matrix.T
            x = self.xp.moveaxis(moved, -1, axis)
        return self.xp.ascontiguousarray(x)

    def _matrix(self, n):
        if n not in self._matrices:
            matrix = scipy.fft.dct(np.eye(n), axis=0, norm="ortho")
            self._matrices[n] = self.xp.asarray(matrix.astype(self.dtype))
        return self._matrices[n]


class Waves:
    """The Fourier transform of images ``(..., d, h, w)`` on a torus.

    Of real images it has half of the frequencies. Differences of neighbors, those
    between the last sample and the first among them, and periodic layers are diagonal.
    """

    def __init__(self, size, xp, dtype):
        self.size, self.xp = size, xp
        self.is_complex = dtype.kind == "c"
        last = size[2] if self.is_complex else size[2] // 2 + 1
        self.bins = (*size[:2], last)
        axes = [axis for axis in SPATIAL[:2] if size[axis] > 1]
        self.axes = [*axes, -1]  # the last one also if it has one sample
        name = "fftn" if self.is_complex else "rfftn"
        module, how = (scipy.fft, {"workers": thread_count()})
        if xp is not np:
            module, how = xp.fft, {}
        self._forward, self._how = getattr(module, name), how
        self._backward = getattr(module, f"i{name}")
        self._sizes = [size[axis] for axis in self.axes]

    def forward(self, x):
        """The transform of an array."""
        return self._forward(x, axes=self.axes, **self._how)

    def backward(self, x):
        """The inverse transform."""
        return self._backward(x, s=self._sizes, axes=self.axes, **self._how)

    def squares(self, axes):
        """``D^H D`` of differences along some axes, negative numbers."""
        return _squares(self.size, self.bins, axes, period=1)

    def symbol(self, layer):
        """The matrices ``(groups, filters, channels, *bins)`` of a periodic layer."""
        if self.is_complex:
            layer = layer.astype(np.result_type(layer.dtype, np.complex64))
        return _whole(Symbol(layer), self.bins)


def torus_layer(layer, size) -> ConvLinearOperator:
    """The same correlation, without stride, on a torus of that size per axis.

    Its output at a place is that of a window which begins there.
    """
    g = layer.geometry
    reach = [d * (k - 1) for d, k in zip(g.dilation, g.kernel)]
    return ConvLinearOperator(
        layer.weights,
        (g.c_in, *size),
        padding=[(0, r) for r in reach],
        dilation=g.dilation,
        groups=g.groups,
        boundary="periodic",
    )


def _whole(symbol, bins):
    """The matrices of all slabs, on the host."""
    matrices = np.empty((*symbol.shape, bins[0] * bins[1], bins[2]), symbol.kind)
    for down, across, slab in symbol.slabs():
        matrices[..., down, across] = slab
    return matrices.reshape(*symbol.shape, *bins)


def _squares(size, bins, axes, period):
    """The sum over some axes of ``2 - 2 cos(2 pi k / (period n))``, on the host."""
    total = np.zeros(bins)
    for axis in axes:
        angle = 2 * np.pi * np.arange(bins[axis]) / (period * size[axis])
        along = [1, 1, 1]
        along[axis] = bins[axis]
        total = total + (2 - 2 * np.cos(angle)).reshape(along)
    return total
