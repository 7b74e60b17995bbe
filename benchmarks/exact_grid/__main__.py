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
import pathlib
import sys

from ..support.inversions import BLURS, LAYERS
from ..support.layers import DTYPES
from ..support.tables import line
from . import report
from .bars import bars
from .cases import QUICK, grid
from .measure import measure
from .pixels import pixel_times
from .rows import PIXELS, kept, key, put, write

OUTPUT = pathlib.Path(__file__).parents[1] / "results" / "exact.md"
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
    print(line(report.COLUMNS.split(","), WIDTHS), flush=True)
    for case in cases:
        row = measured(case, args.quick)
        shown = [case, case.dtype, row["error"]] if "error" in row else (
            report.times(row)
        )  # fmt: skip
        print(line(shown, WIDTHS), flush=True)
        put(rows, row)
        write(args, rows)
    if not args.size and not args.dtype and (not names or PIXELS in names):
        put(rows, {"key": PIXELS, **pixel_times(args.quick)})
        write(args, rows)
    print("\n" + report.tables(rows.values()))
    failed = [row for row in rows.values() if "error" in row]
    return 1 if failed or bars(rows.values())[0].missed else 0


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


def measured(case, quick):
    """The row of a case, or one that says why there is none."""
    limits = {"seconds": 0.5, "most": 2, "limit": 2.0} if quick else {}
    try:
        row = measure(case, **limits)
    except Exception as error:  # whatever it was, the other cases can be measured
        row = case._asdict() | {"label": str(case)}
        row["error"] = f"{type(error).__name__}: {error}"
    gc.collect()
    return row | {"key": key(case)}


if __name__ == "__main__":
    sys.exit(main())
