"""Bytes that a pixel costs in a sweep, by the size of the tile and of the halo."""

from chart_style import lines

SOURCE = "scaling.json"


def draw(parts):
    rows = [row for row in parts["costs"] if row["problem"] == "blur"]
    tiles = sorted({row["tile"] for row in rows})
    series = {}
    for row in rows:
        series.setdefault(f"halo {row['halo']}", []).append(row["bytes"])
    return lines(
        tiles,
        series,
        "tile, pixels along an axis",
        "bytes per pixel and sweep",
        logs="xy",
        xticks=tiles,
        yticks=[10, 20, 50, 100, 200, 500],
    )
