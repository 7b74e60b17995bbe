"""Simulated over measured seconds of sweeps on this machine."""

from chart_style import dots

SOURCE = "scaling.json"


def draw(parts):
    series, labels = {}, {}
    for row in parts["compared"]:
        name, _, tile, halo, workers = row["case"].split(", ")
        labels.setdefault(f"{name}, {tile}\n{halo}", {})[workers] = row["ratio"]
    for workers in ("1 worker", "2 workers"):
        series[workers] = [found.get(workers) for found in labels.values()]
    return dots(
        list(labels),
        series,
        "simulated over measured time",
        reference=1,
        ticks=[0.3, 0.5, 0.7, 1, 1.5, 2],
    )
