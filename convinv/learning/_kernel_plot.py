"""Drawings of estimated kernels."""

import numpy as np


def draw_kernel(kernel, stderr, ax):
    """Draw a kernel ``(C_out, C_in, *k)`` on matplotlib's axes."""
    if np.iscomplexobj(kernel):
        kernel, what = np.abs(kernel), "modulus of the weight"
    else:
        what = "weight"
    if kernel.ndim == 3:
        _curves(kernel, stderr, ax, what)
    else:
        _tiles(kernel, ax, what)


def _curves(kernel, stderr, ax, what):
    taps = np.arange(kernel.shape[2])
    bars = np.where(np.isfinite(stderr), 2 * stderr, 0.0)
    for i, j in np.ndindex(*kernel.shape[:2]):
        name = f"{j} to {i}"
        ax.errorbar(taps, kernel[i, j], bars[i, j], marker=".", capsize=2, label=name)
    if kernel.shape[0] * kernel.shape[1] <= 8:
        ax.legend(title="channel", fontsize="small")
    ax.set(xlabel="tap", ylabel=what)
    ax.xaxis.get_major_locator().set_params(integer=True)


def _tiles(kernel, ax, what):
    """Filters side by side, with a blank line between them."""
    c_out, c_in, *planes, height, width = kernel.shape
    planes = int(np.prod(planes, dtype=int))
    tiles = kernel.reshape(c_out, c_in * planes, height, width)
    framed = np.pad(tiles, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=np.nan)
    sheet = framed.swapaxes(1, 2).reshape(c_out * (height + 1), -1)[:-1, :-1]
    largest = np.abs(kernel).max() or 1.0
    least = -largest if kernel.min() < 0 else 0.0
    colors = "RdBu_r" if least else "viridis"
    ax.set_facecolor("0.75")  # of the lines between the filters
    image = ax.imshow(sheet, cmap=colors, vmin=least, vmax=largest)
    ax.figure.colorbar(image, ax=ax, label=what)
    step = planes * (width + 1)
    across, down = np.arange(c_in) * step, np.arange(c_out) * (height + 1)
    ax.set_xticks(across + (step - 2) / 2, range(c_in))
    ax.set_yticks(down + (height - 1) / 2, range(c_out))
    ax.set(xlabel="input channel of the group", ylabel="output channel")
    ax.tick_params(length=0)
