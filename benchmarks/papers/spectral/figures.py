"""Pictures of functions on the disk and of their data."""

import numpy as np
from matplotlib.figure import Figure


def functions(named, columns=7):
    """Small pictures, each with its own largest value as white or black."""
    rows = -(-len(named) // columns)
    figure = Figure(figsize=(1.0 * columns, 1.22 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (title, picture) in zip(axes, named):
        most = np.abs(picture).max() or 1
        ax.imshow(picture, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        ax.set_title(title, fontsize=8, pad=2)
    return figure


def pictures(lines, width=1.35):
    """Rows of pictures, each with the grays of its first one."""
    columns = len(lines[0])
    figure = Figure(figsize=(width * columns, (width + 0.25) * len(lines)))
    axes = figure.subplots(len(lines), columns, squeeze=False)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.22 / len(lines), 0.04, 0.2)
    for row, line in zip(axes, lines):
        low, high = np.percentile(line[0][1], [0.5, 99.5])
        for ax, (title, picture) in zip(row, line):
            ax.set_axis_off()
            ax.imshow(picture, cmap="gray", vmin=low, vmax=high)
            ax.set_title(title, fontsize=7, pad=2)
    return figure


def curves(named, analytic):
    """Singular values by their number: crosses are the analytic ones."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    ax = figure.subplots()
    ax.plot(np.arange(1, len(analytic) + 1), analytic, "k+", label="analytic")
    for name, values in named.items():
        ax.plot(np.arange(1, len(values) + 1), values, ".-", markersize=4, label=name)
    ax.set(xlabel="number", ylabel="singular value", ylim=(0, None))
    ax.legend(fontsize="small")
    return figure
