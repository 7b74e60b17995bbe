"""The rate of products by the number of channels."""

from chart_style import lines, value

SOURCE = "channels.md"
COLUMNS = {"convinv": "convinv", "im2col + BLAS": "im2col, BLAS", "torch": "torch"}


def draw(tables):
    rows = [row for row in tables["By channels"] if row["dtype"] == "float32"]
    channels = [int(row["layer"].split("->")[0]) for row in rows]
    series = {
        name: [value(row[column]) for row in rows] for column, name in COLUMNS.items()
    }
    return lines(
        channels,
        series,
        "channels in and out",
        "GFlop/s, float32",
        logs="xy",
        xticks=channels,
        yticks=[1, 2, 5, 10, 20, 50, 100, 200],
    )
