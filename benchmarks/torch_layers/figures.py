"""Lines of pictures with names."""

from matplotlib.figure import Figure


def pictures(lines, titles=None, side=1.3):
    """A line for each ``(name, tensors (channels, n, n))``, between black and white."""
    columns = max(len(found) for _, found in lines)
    size = (side * columns + 0.3, (side + 0.1 * bool(titles)) * len(lines) + 0.2)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for row, (name, found) in zip(axes, lines):
        for ax in row:
            ax.set(xticks=[], yticks=[], frame_on=False)
        row[0].set_ylabel(name, fontsize=8)
        for ax, x in zip(row, found):
            x = x.clamp(0, 1).permute(1, 2, 0).numpy()
            ax.imshow(x, cmap="gray", vmin=0, vmax=1)
    for ax, title in zip(axes[0], titles or []):
        ax.set_title(title, fontsize=8)
    return figure
