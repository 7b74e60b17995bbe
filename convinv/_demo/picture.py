"""The pictures of ``convinv demo``."""

import numpy as np

COLUMNS = 6  # at most
INCHES = 2.2  # width of a column


def draw(path, name, x, b, rows):
    """Write the photograph, feature maps, reconstructions and their errors to a file.

    Parameters
    ----------
    path : str
    name : str
        The name of the photograph.
    x : ndarray, shape (C, H, W)
        The photograph.
    b : ndarray, shape (C_out, H', W')
        The output of the layer.
    rows : list of Row
    """
    from matplotlib.figure import Figure

    columns = max(4, min(len(rows), COLUMNS))
    bands = -(-len(rows) // columns)  # of reconstructions above errors
    height = 0.3 + INCHES * x.shape[1] / x.shape[2]
    figure = Figure(
        figsize=(INCHES * columns + 0.9, height * (1 + 2 * bands)), layout="constrained"
    )
    axes = figure.subplots(1 + 2 * bands, columns)
    for ax in axes.flat:
        ax.set_axis_off()
    _top(axes[0], name, x, b)
    errors = [np.abs(row.picture - x).mean(axis=0) for row in rows]
    finite = [error[np.isfinite(error)] for error in errors]
    largest = max((np.quantile(e, 0.98) for e in finite if e.size), default=1)
    for i, (row, error) in enumerate(zip(rows, errors)):
        above, below = axes[1 + 2 * (i // columns) :, i % columns][:2]
        _picture(above, row.picture)
        taken = row.result.method
        name = row.method if row.method == taken else f"{row.method} ({taken})"
        above.set_title(f"{name}: {row.psnr:.1f} dB", fontsize="medium")
        shown = below.imshow(error, cmap="magma", vmin=0, vmax=largest or 1)
        steps = f"{row.result.nit} iteration{'s' if row.result.nit != 1 else ''}"
        below.set_title(f"error after {steps}", fontsize="medium")
    bar = figure.colorbar(shown, ax=axes[2::2], extend="max", pad=0.01)
    bar.set_label("error, mean of the channels")
    figure.savefig(path, dpi=120)


def draw_deblurred(path, name, x, rows):
    """Write the photograph, its blurred picture and those that deblurring made.

    Parameters
    ----------
    path : str or Path
    name : str
        The name of the photograph.
    x : ndarray, shape (C, H, W)
        The photograph.
    rows : list of Row
        Of `convinv._demo.deblur`.
    """
    from matplotlib.figure import Figure

    height = 0.35 + 3 * x.shape[1] / x.shape[2]
    figure = Figure(figsize=(9.2, 2 * height), layout="constrained")
    axes = figure.subplots(2, 3).flat
    _picture(axes[0], x)
    axes[0].set_title(f"photograph: {name}", fontsize="medium")
    for ax, row in zip(axes[1:], rows, strict=True):
        _picture(ax, row.picture)
        title = f"{row.name}: {row.psnr:.1f} dB, SSIM {row.ssim:.2f}"
        ax.set_title(title, fontsize="medium")
    for ax in figure.axes:
        ax.set_axis_off()
    figure.savefig(path, dpi=120)


def _top(axes, name, x, b):
    """The photograph and the first feature maps."""
    _picture(axes[0], x)
    axes[0].set_title(f"photograph: {name}", fontsize="medium")
    for channel, (ax, feature) in enumerate(zip(axes[1:], b), start=1):
        low, high = np.quantile(feature, (0.005, 0.995))
        ax.imshow(feature, cmap="gray", vmin=low, vmax=high)
        ax.set_title(f"output {channel} of {len(b)}", fontsize="medium")


def _picture(ax, x):
    x = np.clip(np.nan_to_num(x), 0, 1).transpose(1, 2, 0)
    if x.shape[2] == 3:
        ax.imshow(x)
    else:
        ax.imshow(x[:, :, 0], cmap="gray", vmin=0, vmax=1)
