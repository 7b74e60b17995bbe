"""The power spectrum of pictures, by Welch's average over windowed tiles.

Welch, IEEE Trans. Audio Electroacoust. 15 (1967). The window makes the edges of a tile
harmless, the overlap uses the samples that it suppresses, and the average makes few
numbers of many, whatever the size of the picture.
"""

import itertools
import math

import numpy as np
from scipy import fft

LEAST = {1: 256, 2: 64, 3: 32}  # samples along a side of a tile, per number of axes
WIDTHS = 4  # of the point spread function in a tile
MOST = 1000  # tiles that are averaged; those of larger pictures lie further apart


def tile_side(size, psfs):
    """Samples of a tile along each axis: several widths of the PSF, if they exist.

    `size` is the picture's, `psfs` arrays without channels.
    """
    least = LEAST[len(size)]
    widths = np.max([_widths(psf) for psf in psfs], axis=0)
    return tuple(
        min(n, fft.next_fast_len(max(least, math.ceil(WIDTHS * width)), real=True))
        for n, width in zip(size, widths)
    )


def _widths(psf):
    """Six standard deviations of the PSF along each axis."""
    mass = np.abs(psf) / np.abs(psf).sum()
    found = []
    for axis, n in enumerate(psf.shape):
        along = mass.sum(axis=tuple(a for a in range(psf.ndim) if a != axis))
        at = np.arange(n)
        mean = along @ at
        found.append(1 + 6 * math.sqrt(max(along @ (at - mean) ** 2, 0.0)))
    return found


def sampled(images, side):
    """Tiles ``(count, *side)``, those of one row of an image at a time.

    They are half a side apart, or further in large images, so that not all is read of
    images that are no arrays in memory.
    """
    axes = len(side)
    size = images.shape[images.ndim - axes :]
    first, *rest = (_places(n, s, axes) for n, s in zip(size, side, strict=True))
    for image, row in itertools.product(range(images.shape[0]), first):
        corners = itertools.product([row], *rest)
        boxes = ([slice(a, a + s) for a, s in zip(c, side)] for c in corners)
        yield np.asarray(np.stack([images[(image, *box)] for box in boxes]))


def welch(images, side):
    """The mean power in tiles, so that white noise has its variance everywhere.

    Parameters
    ----------
    images : array, shape (N, *size)
        Real pictures of one size; their powers are averaged. Any object that has slices
        will do.
    side : tuple of int
        As `tile_side` gives.

    Returns
    -------
    ndarray
        In the order of ``scipy.fft.rfftn``. The mean of each tile is removed first.
    """
    window = np.ones(())
    for n in side:
        window = np.multiply.outer(window, hann(n))
    window = window.astype(images.dtype)
    axes = tuple(range(-len(side), 0))
    total, count = 0.0, 0
    for tiles in sampled(images, side):
        mean = (tiles * window).sum(axis=axes, keepdims=True) / window.sum()
        power = np.abs(fft.rfftn((tiles - mean) * window, axes=axes)) ** 2
        total, count = total + power.sum(axis=0, dtype=float), count + len(power)
    return total / (count * float(np.sum(window.astype(float) ** 2)))


def hann(n):
    """A Hann window without zeros; ones along an axis of one or two samples."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)


def smear(power):
    """What a window's main lobe does to a spectrum in the order of ``fft.fftn``."""
    for axis, n in enumerate(power.shape):
        if n > 2:
            beside = np.roll(power, 1, axis) + np.roll(power, -1, axis)
            power = (2 / 3) * power + (1 / 6) * beside
    return power


def _places(n, side, axes):
    """Where tiles begin: half a side apart, evenly, and not too many."""
    count = 1 + math.ceil(2 * (n - side) / side)
    count = min(count, int(MOST ** (1 / axes) + 1e-9))
    return np.round(np.linspace(0, n - side, max(count, 1))).astype(int)
