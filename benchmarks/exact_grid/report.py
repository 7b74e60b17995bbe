"""The tables of exact_grid.py and the bars, from the rows that it measured."""

import math

from ..kernel_table.__main__ import section

ACCURACY = 120.0  # dB
PIXEL_BAR = 1.5
GUESS = "~"  # before what is extrapolated


def tables(rows):
    """Markdown of the times, the ratios and the bars."""
    rows = list(rows)
    cases = [row for row in rows if "label" in row]
    good = [row for row in cases if "error" not in row]
    parts = []
    if good:
        parts = [
            section("Times", TIMES, COLUMNS, [times(row) for row in good]),
            section("Ratios", RATIOS, RATIO_COLUMNS, [ratios(row) for row in good]),
        ]
    parts += [pixels(row) for row in rows if "pixels" in row]
    failed = [
        f"- {row['label']}, {row['dtype']}: {row['error']}"
        for row in cases
        if "error" in row
    ]
    if failed:
        parts.append("\n".join(["## Not measured", "", *failed]))
    parts.append("\n".join(["## Bars", "", *(str(bar) for bar in bars(rows))]))
    return "\n\n".join(parts)


TIMES = (
    "dB: peak over root mean square of the error against the float64 solution, the "
    "worst of up to three items; rtol: the power of ten, from 1e-6 down, with which "
    f"`auto` reaches {ACCURACY:g} dB; cond: of the layer on a torus, damping included; "
    "first: with set-up, second: the same operator again; STRIP: one sweep with its "
    f"set-up, the fastest of several windows, and its dB; CGLS: until {ACCURACY:g} dB "
    "or what `auto` has, with its iterations, counted in float64; LSQR: SciPy's time "
    f"of an iteration times CGLS's iterations and the batch; {GUESS}: extrapolated; "
    "(dB): where CGLS stopped short of them; kept: by the set-up"
)
COLUMNS = (
    "problem,dtype,cond,rtol,method,iterations,dB,first s,second s,STRIP s,STRIP,"
    "CGLS s,CGLS,LSQR s,kept MB"
)
RATIOS = (
    "first / STRIP and second / STRIP: faster than a sweep where below 1; CGLS and "
    "LSQR over first and second: how much slower they are; direct and schwarz: "
    "seconds with set-up, and without, in brackets where the method misses the "
    "tolerance; best: first over the fastest of the others and CGLS"
)
RATIO_COLUMNS = (
    "problem,dtype,first / STRIP,second / STRIP,CGLS / first,CGLS / second,"
    "LSQR / first,LSQR / second,direct s,schwarz s,best"
)


def times(row):
    strip, cgls = row["strip"], row["cgls"]
    nbytes = row["nbytes"]
    return (
        row["label"],
        row["dtype"],
        number(row["condition"]),
        f"{row['rtol']:g}",
        row["method"],
        row["nit"],
        f"{row['decibels']:.0f}",
        *(number(t) for t in row["times"]["auto"]),
        number(strip and strip["seconds"]),
        f"{size(strip['window'])}, {strip['decibels']:.0f} dB" if strip else "-",
        guess(cgls) + number(cgls["seconds"]),
        steps(cgls),
        number(row["lsqr"]["seconds"]),
        "-" if nbytes is None else number(nbytes / 1e6),
    )


def ratios(row):
    first, second = row["times"]["auto"]
    strip = row["strip"] and row["strip"]["seconds"]
    cgls, lsqr = row["cgls"]["seconds"], row["lsqr"]["seconds"]
    return (
        row["label"],
        row["dtype"],
        *(number(t / strip) if strip else "-" for t in (first, second)),
        *(guess(row["cgls"]) + number(cgls / t) for t in (first, second)),
        *(number(lsqr / t) for t in (first, second)),
        *(several(row, name) for name in ("direct", "schwarz")),
        number(over_best(row)),
    )


def several(row, name):
    """Times of a method with set-up and without, or that there are none."""
    if name not in row["times"]:
        return "-"
    text = " / ".join(number(t) for t in row["times"][name])
    return f"({text})" if name in row["missed"] else text


def over_best(row):
    """Time of "auto" over that of the fastest single method, set-up included."""
    known = set(row["times"]) - {"auto", *row["missed"]}
    single = [row["times"][k][0] for k in known]
    if not row["cgls"]["short"]:
        single.append(row["cgls"]["seconds"])
    return row["times"]["auto"][0] / min(single)


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


def pixel_ratio(row):
    small, *_, large = row["sizes"]
    return each_pixel(large) / each_pixel(small)


def each_pixel(entry):
    return entry["second"] / (entry["size"] ** 2 * entry["batch"])


def pixels(row):
    cells = [
        (
            f"{e['size']}x{e['size']}",
            e["batch"],
            number(e["first"]),
            number(e["second"]),
            number(1e9 * each_pixel(e)),
        )
        for e in row["sizes"]
    ]
    names = "size,batch,first s,second s,second ns per pixel"
    return section("Time of a pixel", row["pixels"], names, cells)


def steps(entry):
    short = f" ({entry['decibels']:.0f} dB)" if entry["short"] else ""
    return f"{entry['iterations']}{short}"


def guess(entry):
    return GUESS if entry["extrapolated"] else ""


def size(window):
    return "x".join(map(str, window))


def number(value):
    """Three digits, without an exponent where that is readable; "-" for None."""
    if value is None:
        return "-"
    if value == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{digits}f}"


def line(row, widths):
    cells = (str(cell).ljust(w) for cell, w in zip(row, widths))
    return "| " + " | ".join(cells) + " |"
