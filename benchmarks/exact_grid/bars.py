"""What the exact inverse is held to: requirements, and the rows that miss them."""

import math

from ..support.tables import number
from .reference import ACCURACY

PIXEL_BAR = 1.5


class Bar:
    """One requirement: the figures that it asks for, and those that miss it."""

    def __init__(self, text, figures, limit, above=False):
        self.text, self.above = text, above
        self.figures = [
            (name, value, limit(row) if callable(limit) else limit)
            for name, value, row in figures
        ]

    def meets(self, value, limit):
        return value >= limit if self.above else value <= limit

    @property
    def missed(self):
        return [figure for figure in self.figures if not self.meets(*figure[1:])]

    def __str__(self):
        if not self.figures:
            return f"- {self.text}: not measured"
        total = len(self.figures)
        margin = (-1 if self.above else 1) * 1.0
        worst = max(self.figures, key=lambda f: margin * math.log(f[1] / f[2]))
        verdict = "missed" if self.missed else "met"
        lines = [
            f"- {self.text}: **{verdict}**, in {total - len(self.missed)} of {total}; "
            f"the worst {number(worst[1])} ({worst[0]})"
        ]
        lines += [f"  - {name}: {number(value)}" for name, value, _ in self.missed]
        return "\n".join(lines)


def bars(rows):
    """Every bar with its figures; those against STRIP hold for full column rank."""
    good = [row for row in rows if "label" in row and "error" not in row]
    tall = [row for row in good if row["tall"] and not row["damp"]]

    def figures(chosen, value):
        found = [(f"{r['label']}, {r['dtype']}", value(r), r) for r in chosen]
        return [figure for figure in found if figure[1] is not None]

    def against_strip(k):
        def value(row):
            strip = row["strip"]
            return strip and row["times"]["auto"][k] / strip["seconds"]

        return figures(tall, value)

    def faster(name):
        return figures(good, lambda row: row[name]["seconds"] / row["times"]["auto"][0])

    large = [r for r in good if (r["name"], r["size"]) == ("3to8", 1024)]
    large = [r for r in large if r["dtype"] == "float32"]
    pixel = [r for r in rows if "pixels" in r]
    return [
        Bar(
            f"at least {ACCURACY:g} dB",
            figures(good, lambda row: row["decibels"]),
            ACCURACY,
            above=True,
        ),
        Bar("with set-up at most one sweep of STRIP", against_strip(0), 1.0),
        Bar("without set-up at most half a sweep of STRIP", against_strip(1), 0.5),
        Bar(
            "10 times faster than CGLS (5 times for a condition below 3)",
            faster("cgls"),
            lambda row: 5 if row["condition"] < 3 else 10,
            above=True,
        ),
        Bar("20 times faster than SciPy's LSQR", faster("lsqr"), 20, above=True),
        Bar(
            "3->8 at 1024x1024, float32, without set-up: less than 0.5 s",
            figures(large, lambda row: row["times"]["auto"][1]),
            0.5,
        ),
        Bar(
            f"time of a pixel at the largest size at most {PIXEL_BAR:g} times that at "
            "256x256, one image, without set-up",
            [(r["pixels"], pixel_ratio(r), r) for r in pixel],
            PIXEL_BAR,
        ),
        Bar("at most 1.3 times the best method", figures(good, over_best), 1.3),
    ]


def over_best(row):
    """Time of "auto" over that of the fastest single method, set-up included."""
    known = set(row["times"]) - {"auto", *row["missed"]}
    single = [row["times"][k][0] for k in known]
    if not row["cgls"]["short"]:
        single.append(row["cgls"]["seconds"])
    return row["times"]["auto"][0] / min(single)


def pixel_ratio(row):
    small, *_, large = row["sizes"]
    return each_pixel(large) / each_pixel(small)


def each_pixel(entry):
    return entry["second"] / (entry["size"] ** 2 * entry["batch"])
