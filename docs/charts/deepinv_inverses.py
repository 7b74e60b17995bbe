"""Steps of ConvPhysics and of deepinv's Blur: milliseconds by blur and border."""

from chart_style import dots, value

SOURCE = "deepinv_inverses.md"


def draw(tables):
    groups, series = {}, {}
    for row in tables["Steps"]:
        label = f"{row['filter']}, {row['padding']}\n{row['step']}"
        groups.setdefault(label, {})[row["by"]] = value(row["ms"])
        series.setdefault(row["by"], [])
    for name, values in series.items():
        values.extend(times.get(name) for times in groups.values())
    ticks = [5, 10, 20, 50, 100, 200, 500]
    return dots(list(groups), series, "milliseconds", ticks=ticks, join=True)
