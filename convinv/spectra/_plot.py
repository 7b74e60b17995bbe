"""Drawings of singular values by frequency."""

import numpy as np


def draw(result, ax):
    """Draw a `Spectrum` on matplotlib's axes, depending on its number of axes."""
    curves = {1: _plot_curves, 2: _plot_image}
    curves.get(len(result.frequencies), _plot_all)(result, ax)


def _plot_curves(result, ax):
    order = np.argsort(result.frequencies[0])
    for values in result.values:
        ax.semilogy(result.frequencies[0][order], values[order])
    ax.set(xlabel="cycles per sample", ylabel="singular values")


def _plot_image(result, ax):
    smallest = np.fft.fftshift(result.values.min(axis=(0, -1)))
    floor = np.maximum(smallest, max(result.tolerance, np.finfo(float).tiny))
    ends = [edge for f in result.frequencies[::-1] for edge in (f.min(), f.max())]
    image = ax.imshow(np.log10(floor), extent=ends, origin="lower", aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="log10 of the smallest singular value")
    ax.set(xlabel="cycles per sample", ylabel="cycles per sample")


def _plot_all(result, ax):
    ax.semilogy(np.sort(result.values, axis=None)[::-1])
    ax.set(xlabel="number", ylabel="singular value")
