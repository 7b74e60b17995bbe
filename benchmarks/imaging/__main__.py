"""Deblurring beside scikit-image: quality on photographs and stacks, and time.

Run from the repository's root::

    python -m benchmarks.imaging --output benchmarks/results/imaging.md

Every case blurs a photograph or a simulated stack that goes on beyond the frame, adds
noise, and restores it by `convinv.imaging.deconvolve` with all its defaults and by
`wiener`, `unsupervised_wiener` and `richardson_lucy` of scikit-image, which get the
setting that is best on the truth. Richardson-Lucy iterations stand beside those of
scikit-image, total variation beside a textbook splitting. Ctrl-C prints what there is.
For the times nothing else should run meanwhile.
"""

import argparse
import pathlib
import sys
import time

from ..support import machine
from ..support.results import write_rows
from ..support.tables import line
from . import lucy, quality, report, speed, total_variation
from .cases import QUICK, cases

PSFS = ("Gaussian", "disc", "motion")
SECONDS = 5.0  # of repetitions of a call whose time counts


def main(argv=None):
    args = parse(argv)
    rows, speeds, others, begin = [], [], [], time.perf_counter()
    grid = () if args.no_quality else QUICK if args.quick else cases()
    chosen = [case for case in grid if wanted(case, args)]
    print(line(report.QUALITY_COLUMNS.split(","), report.WIDTHS), flush=True)
    try:
        for case in chosen:
            rows.append(quality.measure(case))
            print(line(report.shown(rows[-1]), report.WIDTHS), flush=True)
            write(args.output, rows, speeds, others)
        if not args.no_times:
            for row in times(args.quick):
                speeds.append(row)
                print(line(report.shown_speed(row), report.WIDTHS), flush=True)
                write(args.output, rows, speeds, others)
            for row in other_methods(args.quick):
                others.append(row)
                print(line(report.shown_other(row), report.WIDTHS), flush=True)
                write(args.output, rows, speeds, others)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    print(f"\n{report.summary(rows, speeds, others)}")
    print(f"\n{time.perf_counter() - begin:.0f} s")
    return int(args.check and bool(report.missed(rows, speeds, others)))


def times(quick):
    """The rows of the table of times."""
    pictures = speed.QUICK if quick else speed.PICTURES
    for name in pictures:
        for psf in PSFS[:1] if quick else PSFS:
            yield speed.measure(name, pictures, psf, 0.1 if quick else SECONDS)


def other_methods(quick):
    """The rows of the table of other methods."""
    side, seconds = (64, 0.1) if quick else (512, SECONDS)
    for psf in PSFS[:1] if quick else PSFS:
        yield lucy.measure(psf, side, seconds)
    yield from total_variation.measure(side if quick else 256, seconds)


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.imaging", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="a few small cases")
    parser.add_argument("--only", metavar="SUBSTRING", help="cases with it in the name")
    parser.add_argument("--no-times", action="store_true", help="quality alone")
    parser.add_argument("--no-quality", action="store_true", help="times alone")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where a bar is missed"
    )
    parser.add_argument(
        "--output", type=pathlib.Path, help="Markdown file; a JSON file goes beside it"
    )
    return parser.parse_args(argv)


def wanted(case, args):
    return not args.only or args.only in str(case)


def write(output, rows, speeds, others):
    """The Markdown and the JSON of all rows so far."""
    if output is None:
        return
    heading = machine.heading(
        "Deblurring beside scikit-image",
        machine.command("imaging"),
        packages=(*machine.PACKAGES, "scikit-image"),
    )
    found = {"quality": rows, "time": speeds, "other methods": others}
    text = report.tables(rows, speeds, others)
    write_rows(f"{heading}\n\n{text}", found, output)


if __name__ == "__main__":
    sys.exit(main())
