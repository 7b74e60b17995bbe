"""The tables of the measured rows, with the bars that they meet or miss."""

from ..support.tables import extent, number, section
from .bars import bars, each_pixel, over_best
from .reference import ACCURACY

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
        f"{extent(strip['window'])}, {strip['decibels']:.0f} dB" if strip else "-",
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
