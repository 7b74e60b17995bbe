"""The tables of all parts, their summary, and the bars that they miss."""

from ..support.tables import number, section
from . import batches, large, resume, same

PARTS = ("blur", "layer", "batches", "same", "resume", "reach", "sweeps", "tiles")
SIMULATION = "simulation"


def tables(rows):
    """Markdown of all parts that are there, and the summary."""
    found = [table(part) for table, part in _filled(rows)]
    return "\n\n".join([*found, summary(rows)])


def _filled(rows):
    whole = [row for name in ("blur", "layer") for row in rows.get(name, ())]
    yield from ((_large, whole),) if whole else ()
    for name, table in (
        ("batches", _batches),
        ("same", _same),
        ("resume", _resume),
        ("reach", _reach),
        ("sweeps", _sweeps),
        ("costs", _costs),
        ("tiles", _tiles),
        ("compared", _compared),
        (SIMULATION, _simulated),
    ):
        if rows.get(name):
            yield table, rows[name]


def _large(rows):
    return section(
        "Larger than memory",
        "From a zarr store to another; the peak is that of all processes together, a "
        "page that they share counted once. In memory: whole calls by new operators on "
        "a smaller image, before and after it, the shortest; again: by an operator "
        "that has its set-up. The normal residual is computed from the stores by "
        "SciPy's transforms in double precision",
        "case,seconds,peak GB,normal residual,ns per pixel,in memory,ratio,again,"
        "sweeps,method,in memory by,data GB,image GB",
        (
            (
                row["case"],
                number(row["seconds"]),
                number(row["peak"] / 1e9),
                f"{row['normal residual']:.1e}",
                number(row["ns per pixel"]),
                number(row["in memory"]),
                number(row["ratio"]),
                number(row["in memory again"]),
                row["sweeps"],
                row["method"],
                row["method in memory"],
                number(row["data"] / 1e9),
                number(row["disk"] / 1e9),
            )
            for row in rows
        ),
    )


def _batches(rows):
    count, block = rows[0]["images"], rows[0]["block"]
    return section(
        "Batches",
        f"{count:,} images of 64x64 through a 3->8 layer in blocks of {block}, from a "
        "file; the least of some runs in turn, each in new processes, set-up included. "
        "Difference: of the sum of squares, relative to that of the solve in memory",
        "by,seconds,us per image,difference",
        (
            (
                row["case"],
                number(row["seconds"]),
                number(1e6 * row["seconds"] / count),
                f"{row['difference']:.1e}",
            )
            for row in rows
        ),
    )


def _same(rows):
    return section(
        "The same solution",
        "The relative difference of x of tiles in arrays of Dask to that of a solve "
        "in memory and in double precision with the same kernel and data",
        "case,difference,success,method,sweeps",
        (
            (
                row["case"],
                f"{row['difference']:.1e}",
                "yes" if row["success"] else "no",
                row["method"],
                row["sweeps"],
            )
            for row in rows
        ),
    )


def _resume(rows):
    return section(
        "Killed and resumed",
        "`convinv deblur` on a zarr store, killed by the system three times and called "
        "again; finished tiles are those that its journal has",
        "case,kills,tiles,done again,files identical,seconds unbroken",
        (
            (
                row["case"],
                row["kills"],
                row["tiles"],
                row["again"],
                "yes" if row["identical"] else "no",
                number(row["seconds"]),
            )
            for row in rows
        ),
    )


def _reach(rows):
    return section(
        "Reach",
        "Pixels beyond which a tenth, a thousandth and a millionth of a row of the "
        "inverse is left, and the tiles that are chosen for an image of 16384x16384 "
        "in float32 and a relative normal residual of 1e-6. Weights are those of the "
        "gradient",
        "inverse of,to 0.1,to 1e-3,to 1e-6,tile,halo,sweeps",
        (
            (
                row["case"],
                *(number(r) if r is None else r for r in row["reach"]),
                row["tile"],
                row["halo"],
                row["sweeps"],
            )
            for row in rows
        ),
    )


def _costs(rows):
    return section(
        "Cost model",
        "Counted, not measured: bytes read and written for a pixel in a sweep, in "
        "float32 and without the rounding up to chunks, and unknowns worked on for "
        "each that is kept",
        "problem,tile,halo,bytes per pixel,of the halo,operations per pixel,"
        "unknowns worked on",
        (
            (
                row["problem"],
                row["tile"],
                row["halo"],
                number(row["bytes"]),
                number(row["halo bytes"]),
                number(row["operations"]),
                number(row["redundancy"]),
            )
            for row in rows
        ),
    )


def _sweeps(rows):
    count = len(rows[0]["errors"])
    return section(
        "Error by sweep",
        "Relative error of x, of a 3->8 layer with data that no x fits, in double "
        "precision. From data inside alone: each tile with its halo is solved by "
        "itself and its middle is kept, which more sweeps do not improve",
        ",".join(["tiles", *(f"sweep {n}" for n in range(1, count + 1))]),
        ((row["case"], *(f"{e:.1e}" for e in row["errors"])) for row in rows),
    )


def _tiles(rows):
    return section(
        "Tiles",
        "Sweeps over a periodic image in zarr by processes of one thread each: "
        "milliseconds of the parts of a tile's task in a sweep, means; seconds of the "
        "first sweep, two more and the check",
        "case,tiles,read ms,compute ms,write ms,ns per pixel and sweep,seconds",
        (
            (
                row["case"],
                row["tiles"],
                *(
                    number(1e3 * row["phases"][1][part])
                    for part in ("read", "compute", "write")
                ),
                number(1e9 * row["phases"][1]["seconds"] / row["side"] ** 2),
                number(sum(phase["seconds"] for phase in row["phases"])),
            )
            for row in rows
        ),
    )


def _compared(rows):
    return section(
        "Simulated and measured",
        "Seconds of all sweeps. The rates of a simulation come from runs by one worker "
        "with other tiles, so that no run has a part in its own forecast",
        "case,measured s,simulated s,simulated / measured,of each sweep and the check",
        (
            (
                row["case"],
                number(row["measured"]),
                number(row["simulated"]),
                number(row["ratio"]),
                ", ".join(map(number, row["phases"])),
            )
            for row in rows
        ),
    )


def _simulated(rows):
    count = max(row["pixels"] for row in rows)
    return section(
        "Simulation",
        f"A simulation, not a measurement: {count:.0e} pixels, with the rates of the "
        "table of tiles and the bandwidths that `benchmarks/scaling/forecast.py` "
        "takes; every line changes one thing. Bound: what would take longest alone. At "
        "work: the share of the workers' time in which they do not wait",
        "problem,what,workers,tile,halo,hours,bound,at work,TB moved,bytes per pixel "
        "and sweep,failures,tasks again",
        (
            (
                row["problem"],
                row["what"],
                f"{row['workers']:,}",
                row["tile"],
                row["halo"],
                number(row["seconds"] / 3600),
                row["bound"],
                f"{row['computing']:.0%}",
                number(row["terabytes"]),
                number(row["bytes per pixel"]),
                row["failures"],
                row["again"],
            )
            for row in rows
        ),
    )


def findings(rows):
    """``(text, whether the bar is met)`` of every bar that was measured."""
    for name, part in (
        ("blur", large),
        ("layer", large),
        ("batches", batches),
        ("same", same),
        ("resume", resume),
    ):
        yield from part.findings(rows.get(name, ()))


def missed(rows):
    """The bars that are missed, as text."""
    return [text for text, met in findings(rows) if not met]


def summary(rows):
    """What became of every bar, and the parts that failed."""
    lines = [
        f"- {text}: {'met' if met else '**missed**'}" for text, met in findings(rows)
    ]
    lines += [f"- {name} failed: {text}" for name, text in rows["errors"].items()]
    return "\n".join(["## Summary", "", *lines])
