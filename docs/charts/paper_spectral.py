"""Errors of learned singular functions by their degree, in two inner products."""

from chart_style import lines, value

SOURCE = "papers/spectral/analytic.md"
COLUMNS = {"error of u": "weighted inner product", "plain: error of u": "plain"}


def draw(tables):
    rows = tables["All of them by degree"]
    series = {
        name: [value(row[column]) for row in rows] for column, name in COLUMNS.items()
    }
    degrees = [int(row["m"]) for row in rows]
    ticks = [0.001, 0.01, 0.1, 1]
    return lines(degrees, series, "degree", "largest relative error", yticks=ticks)
