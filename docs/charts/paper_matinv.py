"""Errors of approximate inverses: series, and trained networks."""

from chart_style import dots, value

SOURCE = "papers/matinv/accuracy.md"
NAMES = {
    "linear (Taylor)": "linear",
    "series of order 2": "second order",
    "2-FC": "network, 2 layers",
    "3-FC": "network, 3 layers",
}


def draw(tables):
    errors = {}
    for row in tables["Errors"]:
        errors.setdefault(row["matrices"], {})[row["approximation"]] = row["mean error"]
    series = {
        name: [value(found[key]) for found in errors.values()]
        for key, name in NAMES.items()
    }
    labels = [name.replace(", ", "\n") for name in errors]
    return dots(labels, series, "mean error of an entry")
