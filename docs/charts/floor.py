"""Products of layers beside what arithmetic and memory allow."""

from chart_style import dots, layer, value

SOURCE = "kernels.md"


def draw(tables):
    rows = tables["Against a floor"]
    series = {}
    for row in rows:
        for product in ("forward", "adjoint"):
            ratio = value(row[f"{product}/floor"])
            series.setdefault(f"{row['dtype']}, {product}", []).append(ratio)
    labels = [layer(name) for name in dict.fromkeys(row["layer"] for row in rows)]
    return dots(labels, series, "time over the floor", reference=1, log=False)
