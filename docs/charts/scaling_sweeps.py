"""The error of x after each sweep, by the width of the halo."""

from chart_style import lines

SOURCE = "scaling.json"


def draw(parts):
    rows = parts["sweeps"]
    series = {row["case"]: row["errors"] for row in rows if "," not in row["case"]}
    recipe = next(row for row in reversed(rows) if "," in row["case"])
    series[f"recipe, {recipe['case'].split(',')[0]}"] = recipe["errors"]
    count = len(recipe["errors"])
    return lines(
        range(1, count + 1),
        series,
        "sweep",
        "relative error of x",
        xticks=range(1, count + 1),
    )
