"""Residuals after 2000 steps by the length of a cycle, the document's and ours."""

from chart_style import dots, value

SOURCE = "papers/gmres/gaussian.md"


def draw(tables):
    rows = tables["Deblurring"]
    labels = [f"restart {row['steps of a cycle']}" for row in rows]
    series = {
        "the document": [value(row["document residual^2"]) for row in rows],
        "here": [value(row["residual^2"]) for row in rows],
    }
    return dots(labels, series, "squared residual after 2000 steps", join=True)
