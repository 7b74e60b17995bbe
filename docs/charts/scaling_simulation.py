"""Hours for 10^12 pixels in the simulation, one change at a time."""

from chart_style import dots

SOURCE = "scaling.json"


def draw(parts):
    rows = parts["simulation"]
    labels = list(dict.fromkeys(row["what"] for row in rows))
    series = {}
    for row in rows:
        series.setdefault(row["problem"], {})[row["what"]] = row["seconds"] / 3600
    return dots(
        labels,
        {
            name: [found.get(label) for label in labels]
            for name, found in series.items()
        },
        "simulated hours for 10^12 pixels",
        ticks=[0.1, 1, 10, 100],
    )
