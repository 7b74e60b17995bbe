"""Products of layers beside those of torch, on a CPU."""

from chart_style import dots, layer, value

SOURCE = "kernels.md"


def draw(tables):
    rows = tables["Against torch"]
    series = {}
    for row in rows:
        faster = value(row["torch ms"]) / value(row["convinv ms"])
        series.setdefault(f"{row['dtype']}, {row['product']}", []).append(faster)
    labels = [layer(name) for name in dict.fromkeys(row["layer"] for row in rows)]
    ticks = [0.5, 1, 2, 5, 10, 20, 50, 100]
    return dots(labels, series, "times as fast as torch", reference=1, ticks=ticks)
