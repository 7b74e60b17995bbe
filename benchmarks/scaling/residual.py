"""The normal residual of a large image, by SciPy alone, some rows at a time."""

import numpy as np
from scipy import fft


def relative_normal_residual(kernel, b, x, damp=0.0, rows=256):
    """``||A^T (b - A x) - damp^2 D^T D x|| / ||A^T b||`` in double precision.

    A is the correlation with a kernel where it needs no padding, D the differences of
    neighbors along both axes. b and x are arrays or stores; only some rows of them are
    read at a time.
    """
    taps, height = kernel.shape[-1], x.shape[-2]
    squares = np.zeros(2)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        below, above = max(start - taps + 1, 0), min(stop, b.shape[-2])
        data = np.asarray(b[:, below:above], dtype=float)
        strip = np.asarray(x[:, below : above + taps - 1], dtype=float)
        here = slice(start - below, stop - below)
        layer = _Strip(kernel, strip.shape)
        gradient = layer.adjoint(data - layer.forward(strip))[:, here]
        if damp:
            gradient -= damp**2 * _roughness(x, start, stop)
        squares += np.sum(gradient**2), np.sum(layer.adjoint(data)[:, here] ** 2)
    return float(np.sqrt(squares[0] / squares[1]))


class _Strip:
    """The layer on some rows, by Fourier transforms that nothing wraps around in."""

    def __init__(self, kernel, shape):
        self.taps, self.shape = kernel.shape[-1], shape[-2:]
        self.lengths = [fft.next_fast_len(n, real=True) for n in self.shape]
        self.spectra = fft.rfft2(kernel, self.lengths)

    def forward(self, x):
        spectrum = fft.rfft2(x, self.lengths, workers=2)
        product = np.einsum("oi...,i...->o...", self.spectra.conj(), spectrum)
        rows, columns = (n - self.taps + 1 for n in self.shape)
        return fft.irfft2(product, self.lengths, workers=2)[:, :rows, :columns]

    def adjoint(self, r):
        spectrum = fft.rfft2(r, self.lengths, workers=2)
        product = np.einsum("oi...,o...->i...", self.spectra, spectrum)
        rows, columns = self.shape
        return fft.irfft2(product, self.lengths, workers=2)[:, :rows, :columns]


def _roughness(x, start, stop):
    """``D^T D x`` on some rows: the sum of the differences to all neighbors."""
    first, last = max(start - 1, 0), min(stop + 1, x.shape[-2])
    strip = np.asarray(x[:, first:last], dtype=float)
    found = np.zeros_like(strip)
    for axis in (1, 2):
        steps = np.diff(strip, axis=axis)
        ends = [(0, 0)] * 3
        ends[axis] = (1, 0)
        found += np.pad(steps, ends)
        ends[axis] = (0, 1)
        found -= np.pad(steps, ends)
    return found[:, start - first : stop - first]
