"""Pictures and curves of the experiments."""

import numpy as np
from matplotlib.figure import Figure


def grid(lines, width=1.35):
    """Rows of pictures between 0 and 1, each with a title."""
    columns = len(lines[0])
    size = width * columns, (width + 0.2) * len(lines)
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for row, line in zip(axes, lines):
        for ax, (title, picture) in zip(row, line):
            ax.set_axis_off()
            ax.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1)
            ax.set_title(title, fontsize=9, pad=2)
    return figure


def curves(named, xlabel, ylabel, log=False):
    """Lines by their names."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    ax = figure.subplots()
    for name, values in named.items():
        ax.plot(np.arange(1, len(values) + 1), values, linewidth=1, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    ax.legend(fontsize="small")
    return figure
