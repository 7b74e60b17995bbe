"""Products of layers beside those of cuDNN, on a GPU."""

from chart_style import dots, layer, value

SOURCE = "gpu.md"


def draw(tables):
    series = {"forward": [], "adjoint": []}
    rows = [row for row in tables["Products"] if value(row["cuDNN / convinv"])]
    for row in rows:
        series[row["product"]].append(value(row["cuDNN / convinv"]))
    labels = [layer(name) for name in dict.fromkeys(row["layer"] for row in rows)]
    ticks = [0.5, 1, 2, 3, 5]
    return dots(labels, series, "times as fast as cuDNN", reference=1, ticks=ticks)
