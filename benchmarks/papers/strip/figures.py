"""Pictures of reconstructions and of what they miss."""

import numpy as np
from matplotlib.figure import Figure

from ...support.quality import psnr

CONTRAST = 0.5  # black and white of error maps


def shown(picture):
    """Channels last and between 0 and 1, for imshow."""
    return np.clip((picture.transpose(1, 2, 0) + 1) / 2, 0, 1)


def error(picture):
    """A map of signed errors: gray is none."""
    return np.clip(picture.mean(axis=0) / CONTRAST, -1, 1)


def grid(rows, columns, width=1.1, title=0.22):
    """A figure of squares without axes."""
    figure = Figure(figsize=(width * columns, (width + title) * rows))
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.25 / (rows + 0.5), 0.03, 0.1)
    for ax in axes.ravel():
        ax.set_axis_off()
    return figure, axes


def draw(ax, picture):
    if picture.ndim == 2:
        ax.imshow(picture, cmap="gray", vmin=-1, vmax=1)
    else:
        ax.imshow(shown(picture).squeeze(), cmap="gray", vmin=0, vmax=1)


def reconstructions(pictures):
    """Figures 8 and 9: two items of every method, below each its error map.

    `pictures` has two items of every method, the pseudoinverse's first.
    """
    figure, axes = grid(4, len(pictures))
    reference = pictures["PINV"]
    for column, (name, items) in zip(axes.T, pictures.items()):
        column[0].set_title(name, fontsize=8)
        for i in range(2):
            draw(column[2 * i], items[i])
            if name != "PINV":
                draw(column[2 * i + 1], error(items[i] - reference[i]))
                level = f"{psnr(items[i], reference[i]):.1f} dB"
                column[2 * i + 1].set_title(level, fontsize=6, pad=1)
    return figure


def rows(*named, width=1.3):
    """Rows of pictures, each with its title."""
    figure = Figure(figsize=(width * len(named[0]), (width + 0.3) * len(named)))
    axes = figure.subplots(len(named), len(named[0]), squeeze=False)
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.9, 0.03, 0.22)
    for line, pictures in zip(axes, named):
        for ax, (title, picture) in zip(line, pictures.items()):
            ax.set_axis_off()
            ax.set_title(title, fontsize=7, pad=2)
            draw(ax, picture)
    return figure
