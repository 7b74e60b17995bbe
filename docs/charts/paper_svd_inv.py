"""Errors of gradients through one thresholding, by the kind of matrices."""

from chart_style import dots, value

SOURCE = "papers/svd_inv/unrolled.md"
VARIANTS = {"exact": "divided differences", "inv": "inv (the paper's)", "tf": "tf"}


def draw(tables):
    rows = tables["One thresholding"]
    labels = [row["matrices"].replace(": ", "\n") for row in rows]
    series = {name: [value(row[key]) for row in rows] for key, name in VARIANTS.items()}
    return dots(labels, series, "largest relative error of a gradient")
