"""Seconds of the default call over those of the best method, case by case."""

import math

from chart_style import INK, SERIES, axes, legend, plain_ticks

SOURCE = "default_call.json"
CALLS = ("first call", "second call")


def draw(rows):
    figure, ax = axes(250)
    for call, name in enumerate(CALLS):
        ratios = sorted(filter(None, (ratio(row, call) for row in rows)))
        shares = [100 * (n + 0.5) / len(ratios) for n in range(len(ratios))]
        finite = [(a, b) for a, b in zip(shares, ratios) if math.isfinite(b)]
        ax.plot(*zip(*finite), "os"[call], color=SERIES[call], label=name, ms=3)
    for level in (1, 1.3):
        ax.axhline(level, color=INK, lw=1, zorder=1)
    ax.set_yscale("log")
    plain_ticks(ax.yaxis, [0.5, 1, 1.3, 2, 3, 5, 10])
    ax.set_xlabel("share of the cases, %")
    ax.set_ylabel("time over the best method's")
    legend(figure, ax)
    return figure


def ratio(row, call):
    """As in the table; None where nothing else succeeds, inf where auto does not."""
    times = dict(row.get("times", {}))
    auto = times.pop("auto", None)
    if not times:
        return None
    return auto[call] / min(t[call] for t in times.values()) if auto else math.inf
