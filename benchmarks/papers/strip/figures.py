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


def draw(ax, picture):
    if picture.ndim == 2:
        ax.imshow(picture, cmap="gray", vmin=-1, vmax=1)
    else:
        ax.imshow(shown(picture).squeeze(), cmap="gray", vmin=0, vmax=1)


def reconstructions(pictures):
    """Figures 8 and 9: an item of every method, below each its error map.

    `pictures` has items of every method, the pseudoinverse's first.
    """
    reference = pictures["PINV"][0]
    images = [(name, items[0]) for name, items in pictures.items()]
    errors = [
        (f"{psnr(image, reference):.1f} dB", error(image - reference))
        for _, image in images[1:]
    ]
    errors.insert(0, ("errors:", np.zeros_like(errors[0][1])))
    return rows(images, errors, columns=7, width=1.1)


def rows(*named, columns=None, width=1.3):
    """Rows of titles and pictures; with `columns` each goes on below."""
    columns = columns or len(named[0])
    lines = [
        list(pictures)[start : start + columns]
        for start in range(0, len(named[0]), columns)
        for pictures in named
    ]
    size = columns * width, len(lines) * (width + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for ax in axes.ravel():
        ax.set_axis_off()
    for row, line in zip(axes, lines):
        for ax, (title, picture) in zip(row, line):
            ax.set_title(title, fontsize=8, pad=2)
            draw(ax, picture)
    return figure
