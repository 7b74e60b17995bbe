"""Measure commits with asv, publish its pages, look for ratios that became worse."""

import argparse
import importlib.util
import sys

from . import commits
from .check import NothingToCompare, check
from .defaults import BENCH, FACTOR, OUTPUT
from .machine import generic_name
from .measure import AsvFailed, measure
from .publish import NotPublishable, publish


def parser():
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.dashboard", description=__doc__
    )
    chosen = made.add_argument_group("commits (by default the present one)")
    one = chosen.add_mutually_exclusive_group()
    one.add_argument("--commits", type=positive, metavar="N", help="the last N")
    one.add_argument("--tags", action="store_true", help="all that have a tag")
    one.add_argument("--range", metavar="A..B", help="those after A up to B")
    one.add_argument("names", nargs="*", default=[], metavar="COMMIT", help="these")
    made.add_argument(
        "--bench",
        action="append",
        metavar="REGEX",
        help=f"benchmarks to run, may be repeated (default {' '.join(BENCH)})",
    )
    made.add_argument(
        "--again", action="store_true", help="measure what has results once more"
    )
    made.add_argument(
        "--machine",
        default=generic_name(),
        help="name that the results get (default %(default)s)",
    )
    made.add_argument(
        "--output", default=OUTPUT, metavar="FOLDER", help="of the pages (%(default)s)"
    )
    made.add_argument(
        "--publish-only", action="store_true", help="pages of the results there are"
    )
    made.add_argument(
        "--check",
        action="store_true",
        help="exit with 1 if a ratio to a peer became worse between its last two "
        "results; without commits nothing is measured or published",
    )
    made.add_argument(
        "--factor",
        type=factor,
        default=FACTOR,
        help="by which a ratio may grow, for --check (default %(default)s)",
    )
    return made


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


def factor(text):
    number = float(text)
    if not 1 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 1, got {text}")
    return number


def selection(options):
    """Hashes of the commits that the options name, None if they name none."""
    if options.commits:
        return commits.last(options.commits)
    if options.tags:
        return commits.tagged()
    if options.range:
        return commits.between(options.range)
    return commits.named(options.names) if options.names else None


def run(options):
    """The exit status of the command."""
    hashes = selection(options)
    if hashes == []:
        raise commits.NoCommit("no commit has been selected")
    if options.publish_only and hashes:
        raise commits.NoCommit("--publish-only measures nothing: leave the commits out")
    if hashes is None and not (options.check or options.publish_only):
        hashes = commits.last(1)
    if hashes:
        measure(hashes, options.bench or BENCH, options.machine, options.again)
    if hashes or options.publish_only:
        print(publish(options.output))
    return bool(options.check and check(options.machine, options.factor))


def main(arguments=None):
    made = parser()
    options = made.parse_args(arguments)
    if importlib.util.find_spec("asv") is None:
        made.error('asv is missing: python -m pip install "convinv[bench]"')
    try:
        return int(run(options))
    except (commits.NoCommit, NotPublishable, NothingToCompare) as error:
        made.error(str(error))
    except AsvFailed as error:
        print(error, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
