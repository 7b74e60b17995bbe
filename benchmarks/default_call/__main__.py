"""The default call beside every method that it could have taken, first and second call.

Run from the repository's root::

    python -m benchmarks.default_call --output benchmarks/results/default_call.md

``solve(op, b)`` and its candidates solve the same problem to the same tolerance, in
turn and in one process, each with a new operator for every first call; short calls are
repeated, and their shortest times count. A candidate has to end with success in 3 times
the seconds of the best before it (0.3 s at least, 6 s at most); what takes longer is
stopped. Ctrl-C prints what there is. Nothing else should run meanwhile.
"""

import argparse
import pathlib
import sys
import time

from ..support import machine
from ..support.results import write_rows
from ..support.tables import line
from ..support.worker import Worker
from . import report
from .grid import QUICK, cases
from .measure import RTOL, measure


def main(argv=None):
    args = parse(argv)
    chosen = chosen_cases(args)
    if args.list:
        print("\n".join(map(str, chosen)))
        return 0
    rows, begin = [], time.perf_counter()
    print(line(report.COLUMNS.split(","), report.WIDTHS), flush=True)
    try:
        with Worker(measure) as worker:
            for case in chosen:
                rows.append(worker.row(case))
                print(line(report.shown(rows[-1]), report.WIDTHS), flush=True)
                write(args.output, rows)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    print(f"\n{report.summary(rows)}")
    print(f"\n{len(rows)} of {len(chosen)} cases, {time.perf_counter() - begin:.0f} s")
    complete = len(rows) == len(chosen)
    return int(args.check and (not complete or bool(report.missed(rows))))


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.default_call", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="a few small cases")
    parser.add_argument("--only", metavar="SUBSTRING", help="cases with it in the name")
    parser.add_argument(
        "--damp", type=float, help="damping of all cases, instead of their own"
    )
    parser.add_argument("--list", action="store_true", help="print the names of cases")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where a bar is missed"
    )
    parser.add_argument(
        "--output", type=pathlib.Path, help="Markdown file; a JSON file goes beside it"
    )
    args = parser.parse_args(argv)
    if args.damp is not None and not args.damp >= 0:
        parser.error(f"--damp must be a number that is not negative, got {args.damp}")
    if not chosen_cases(args):
        parser.error(f"--only {args.only!r} names no case; --list shows all")
    return args


def chosen_cases(args):
    """The cases that were asked for; with one damping for all, some are the same."""
    found = QUICK if args.quick else cases()
    if args.damp is not None:
        found = dict.fromkeys(case._replace(damp=args.damp) for case in found)
    return [case for case in found if not args.only or args.only in str(case)]


def write(output, rows):
    """The Markdown and the JSON of all rows so far."""
    if output is None:
        return
    heading = machine.heading(
        "The default call",
        machine.command("default_call"),
        f"`solve(op, b)` with rtol {RTOL:g}; photographs, without noise or, where the "
        "problem is regularized, with 1 %",
    )
    write_rows(f"{heading}\n\n{report.tables(rows)}", rows, output)


if __name__ == "__main__":
    sys.exit(main())
