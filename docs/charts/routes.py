"""Milliseconds of both routes of a product by the length of the kernel."""

import re

from chart_style import lines, value

SOURCE = "products.md"
ROUTES = {"direct": "tap by tap", "FFT": "FFT"}


def draw(tables):
    series, taps = {}, set()
    for channels in ("1->1", "3->3"):
        pattern = re.compile(rf"{channels}, (\d+)x\1 on 256x256$")
        rows = {
            int(pattern.match(row["layer"])[1]): row
            for row in tables["Around the crossover"]
            if pattern.match(row["layer"]) and row["dtype"] == "float32"
        }
        taps |= set(rows)
        for column, name in ROUTES.items():
            series[f"{channels.replace('->', '→')}, {name}"] = {
                n: value(row[column]) for n, row in rows.items()
            }
    taps = sorted(taps)
    return lines(
        taps,
        {name: [times.get(n) for n in taps] for name, times in series.items()},
        "taps along an axis, images of 256x256",
        "milliseconds of both products",
        logs="xy",
        pairs=True,
        xticks=taps,
        yticks=[0.3, 1, 3, 10, 30, 100],
    )
