"""The measured rows by their keys, and the files that hold them."""

import json

from ..support import machine, results
from . import report
from .cases import QUICK, grid

PIXELS = "pixels"  # the key of the times of a pixel


def key(case):
    return f"{case}, {case.dtype}"


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
    order = [*map(key, QUICK), *map(key, grid()), PIXELS]
    rows = sorted(rows.values(), key=lambda row: order.index(row["key"]))
    results.write_rows(f"{heading()}\n\n{report.tables(rows)}", rows, args.output)


def heading():
    """What was measured where, and by which command."""
    return machine.heading(
        "Exact inverses",
        machine.command("exact_grid"),
        "3x3 valid layers with torch's default weights and blurs with padding "
        '"same" of photographs, 1 % noise',
    )
