"""Seconds of other methods over those of the first call of auto."""

import re

from chart_style import dots

SOURCE = "exact.json"
SHOWN = re.compile(
    r"(\d+->\d+, (64x64|1024x1024)|(gaussian|motion), zero .*, 2048x2048), .*float32"
)


def draw(rows):
    rows = [row for row in rows if SHOWN.match(row["key"])]
    firsts = [row["times"]["auto"][0] for row in rows]
    series = {
        "second call": [row["times"]["auto"][1] for row in rows],
        # a sweep does not find the solution of least norm of a wide layer
        "STRIP, a sweep": [row["tall"] and row["strip"]["seconds"] for row in rows],
        "CGLS, 120 dB": [row["cgls"]["seconds"] for row in rows],
        "LSQR, 120 dB": [row["lsqr"]["seconds"] for row in rows],
    }
    series = {
        name: [taken / first if taken else None for taken, first in zip(found, firsts)]
        for name, found in series.items()
    }
    return dots(
        [label(row) for row in rows],
        series,
        "time over that of the first call of auto",
        reference=1,
        ticks=[0.2, 0.5, 1, 2, 5, 10, 20],
    )


def label(row):
    name = row["name"].replace("to", "→") if "->" in row["key"] else row["name"]
    batch = f", batch {row['batch']}" if row["batch"] > 1 else ""
    return f"{name}\n{row['size']}x{row['size']}{batch}"
