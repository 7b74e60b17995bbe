"""How charts look: sizes that can be read on a phone, colors of the page."""

import re
from contextlib import contextmanager

WIDTH = 380  # of the drawing; a page shows it from 340 to 580 pixels wide
FONT = 10.5  # in the same units

# Matplotlib wants colors, the page has variables: these stand for each other.
INK, FAINT = "#010100", "#010101"
SERIES = ("#010201", "#010202", "#010203", "#010204", "#010205")
VARIABLES = {
    INK: "--chart-ink",
    FAINT: "--chart-faint",
    **{color: f"--chart-{n}" for n, color in enumerate(SERIES, 1)},
}
MARKERS = "osD^v"


@contextmanager
def style():
    """Settings of Matplotlib for a chart."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.use("Agg")
        matplotlib.rcParams.update(
            {
                "svg.fonttype": "none",  # text stays text
                "font.size": FONT,
                "axes.labelsize": FONT,
                "xtick.labelsize": FONT,
                "ytick.labelsize": FONT,
                "legend.fontsize": FONT,
                "legend.frameon": False,
                "text.color": INK,
                "axes.labelcolor": INK,
                "axes.edgecolor": FAINT,
                "axes.facecolor": "none",
                "figure.facecolor": "none",
                "savefig.facecolor": "none",
                "xtick.color": FAINT,
                "ytick.color": FAINT,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "grid.color": FAINT,
                "grid.alpha": 0.35,
                "axes.axisbelow": True,
                "lines.markersize": 6,
                "lines.linewidth": 1.8,
            }
        )
        yield


def axes(height):
    """A figure as wide as all charts, and its axes."""
    from matplotlib import pyplot

    figure, ax = pyplot.subplots(
        figsize=(WIDTH / 72, height / 72), layout="constrained"
    )
    return figure, ax


def dots(labels, series, title, *, reference=None, log=True, ticks=None, join=False):
    """A row per label, with a dot for each of the named series: ``{name: values}``.

    Values that are None have no dot. A line stands at `reference`; with `join` the dots
    of a row are joined.
    """
    from matplotlib.ticker import NullLocator

    two = any("\n" in label for label in labels)  # lines, in the space of all rows
    figure, ax = axes(64 + (33 if two else 21) * len(labels))
    rows = range(len(labels))
    if join:
        for row in rows:
            found = [v[row] for v in series.values() if v[row] is not None]
            ax.plot([min(found), max(found)], [row, row], color=FAINT, lw=1.5, zorder=1)
    for (name, values), color, marker in zip(series.items(), SERIES, MARKERS):
        shown = [(value, row) for row, value in zip(rows, values) if value is not None]
        ax.plot(*zip(*shown), marker, color=color, label=name, alpha=0.9)
    if reference is not None:
        ax.axvline(reference, color=INK, lw=1, zorder=1)
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    if ticks is not None:
        plain_ticks(ax.xaxis, ticks)
    ax.set_yticks(rows, labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(title)
    legend(figure, ax)
    return figure


def lines(x, series, across, up, *, xticks=None, yticks=None, logs="y", pairs=False):
    """Curves over `x`: ``{name: values}``, with gaps where a value is None.

    `across` and `up` are the titles of the axes, `logs` names those with a log scale.
    With `pairs` two curves each have a color in common, the second is dashed.
    """
    figure, ax = axes(250)
    for n, (name, values) in enumerate(series.items()):
        color = SERIES[n // 2 if pairs else n]
        dash = "--" if pairs and n % 2 else "-"
        shown = [(a, value) for a, value in zip(x, values) if value is not None]
        ax.plot(*zip(*shown), MARKERS[n] + dash, color=color, label=name, ms=4.5)
    for axis, ticks in (("x", xticks), ("y", yticks)):
        if axis in logs:
            getattr(ax, f"set_{axis}scale")("log")
        if ticks is not None:
            plain_ticks(getattr(ax, f"{axis}axis"), ticks)
    ax.set_xlabel(across)
    ax.set_ylabel(up)
    legend(figure, ax)
    return figure


def plain_ticks(axis, ticks):
    """Ticks at these values, written without powers of ten, and no others."""
    from matplotlib.ticker import NullLocator

    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_minor_locator(NullLocator())


def legend(figure, ax):
    """The names of the series above the axes."""
    handles, names = ax.get_legend_handles_labels()
    if len(names) > 1:
        figure.legend(
            handles,
            names,
            loc="outside upper center",
            ncols=2 if len(names) == 4 else min(len(names), 3),
            handletextpad=0.3,
            columnspacing=1.2,
            handlelength=1.6,
        )


def layer(label):
    """``3->8, 3x3, 64x64, batch 8`` in two lines, without the batch."""
    name, _, rest = label.split(", batch")[0].partition(", ")
    return f"{name.replace('->', '→')}\n{rest}"


def value(cell):
    """The number that a cell of a table begins with, None for others."""
    found = re.match(r"[~-]?(\d[\d.]*(e[+-]?\d+)?)", cell)
    return float(found[1]) if found else None
