"""Table of the exact inverse: accuracy and time beside STRIP, CGLS and SciPy's LSQR.

Run from the repository's root::

    python -m benchmarks.exact_grid

It writes benchmarks/results/exact.md anew after every row, and exact.json beside it.
Rows are chosen with ``--only`` and ``--size``; with ``--add`` they take their places
among those that the file has already. What is compared is measured in turn in one
process. Nothing else should run meanwhile: the load average in the heading tells.
"""

import argparse
import gc
import json
import pathlib
import sys

from ..support.machine import headed
from ..support.problems import BLURS, DTYPES, LAYERS, Inversion
from . import report
from .measure import measure, pixel_times

OUTPUT = pathlib.Path(__file__).parents[1] / "results" / "exact.md"
SIZES = {28: 200, 64: 200, 256: 20, 1024: 1}  # of layers, and the batch
BLUR_SIZES = (512, 2048)
DAMP = 1e-2
PIXELS = "pixels"
QUICK = (
    Inversion("3to8", 28, 20, "float32"),
    Inversion("3to8", 64, 4, "float64"),
    Inversion("8to3", 28, 4, "float64"),
    Inversion("gaussian", 64, 1, "float32", "reflect", DAMP),
)
WIDTHS = (44, 7, 5, 8, 3, 4, 6, 6, 6, 16, 7, 6, 6, 6)  # of what is printed


def main():
    args = parse()
    names = args.only
    cases = [
        case
        for case in (QUICK if args.quick else grid())
        if (not names or case.name in names)
        and (not args.size or case.size in args.size)
        and (not args.dtype or case.dtype in args.dtype)
    ]
    rows = kept(args)
    print(report.line(report.COLUMNS.split(","), WIDTHS), flush=True)
    for case in cases:
        row = measured(case, args.quick)
        shown = [case, case.dtype, row["error"]] if "error" in row else (
            report.times(row)
        )  # fmt: skip
        print(report.line(shown, WIDTHS), flush=True)
        put(rows, row)
        write(args, rows)
    if not args.size and not args.dtype and (not names or PIXELS in names):
        put(rows, {"key": PIXELS, **pixel_times(args.quick)})
        write(args, rows)
    print("\n" + report.tables(rows.values()))
    failed = [row for row in rows.values() if "error" in row]
    return 1 if failed or report.bars(rows.values())[0].missed else 0


def parse():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exact_grid", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few small cases, written only on demand"
    )
    known = [*LAYERS, *BLURS, PIXELS]
    parser.add_argument("--only", nargs="+", choices=known, help="these problems")
    parser.add_argument("--size", nargs="+", type=int, help="these sizes of images")
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, help="these dtypes")
    parser.add_argument("--output", type=pathlib.Path, help=f"default {OUTPUT.name}")
    parser.add_argument(
        "--add", action="store_true", help="keep the rows of the output's JSON"
    )
    args = parser.parse_args()
    if args.output is None and not args.quick:
        args.output = OUTPUT
    return args


def grid():
    """All cases: small ones first."""
    layers = [
        Inversion(name, size, batch, dtype)
        for size, batch in SIZES.items()
        for name in LAYERS
        for dtype in DTYPES
    ]
    blurs = [
        Inversion(name, size, 1, dtype, boundary, DAMP)
        for size in BLUR_SIZES
        for name in BLURS
        for boundary in ("zero", "reflect")
        for dtype in DTYPES
    ]
    return layers + blurs


def measured(case, quick):
    """The row of a case, or one that says why there is none."""
    limits = {"seconds": 0.5, "most": 2, "limit": 2.0} if quick else {}
    try:
        row = measure(case, **limits)
    except Exception as error:  # whatever it was, the other cases can be measured
        row = case._asdict() | {"label": str(case)}
        row["error"] = f"{type(error).__name__}: {error}"
    gc.collect()
    return row | {"key": f"{case}, {case.dtype}"}


def kept(args):
    """Rows by their keys, those in the output's JSON with --add."""
    if not args.add or args.output is None:
        return {}
    found = args.output.with_suffix(".json")
    if not found.exists():
        return {}
    return {row["key"]: row for row in json.loads(found.read_text(encoding="utf-8"))}


def put(rows, row):
    rows[row["key"]] = row


def write(args, rows):
    """The Markdown and the JSON of all rows so far."""
    if args.output is None:
        return
    order = [f"{case}, {case.dtype}" for case in (*QUICK, *grid())] + [PIXELS]
    rows = sorted(rows.values(), key=lambda row: order.index(row["key"]))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    text = heading() + "\n\n" + report.tables(rows) + "\n"
    args.output.write_text(text, encoding="utf-8")
    data = json.dumps(rows, indent=1) + "\n"
    args.output.with_suffix(".json").write_text(data, encoding="utf-8")


def heading():
    """What was measured where, and by which command."""
    return headed(
        "Exact inverses",
        "exact_grid",
        "3x3 valid layers with torch's default weights and blurs with padding "
        '"same" of photographs, 1 % noise',
    )


if __name__ == "__main__":
    sys.exit(main())
