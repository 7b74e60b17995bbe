"""Parts in processes of their own: what spoils a device's context ends with it."""

import datetime
import subprocess
import sys
import time

from .record import Record, read
from .settings import ALLOWED, LONGEST, START

MODULE = "benchmarks.gpu"
NOTHING = "ended before anything was written"


def run(args, where, folder, titles):
    """Measure the parts of `args`, and return what the folder then holds.

    A process that ends otherwise than by itself, or writes nothing, is written down as
    a failure of its part, and the next part has a new one.
    """
    Record(where, folder, keep=args.keep).write()
    end = time.perf_counter() + LONGEST
    for name in args.only:
        # a part ends by itself when its time is over, but for the case that it is in
        seconds = min(2 * ALLOWED[name] + START, end - time.perf_counter())
        start, options = time.perf_counter(), ["--quick"] * args.quick
        words = [*options, "--only", name, "--output", str(folder)]
        before = read(folder)["parts"].get(name)
        reason = process(words, None if args.quick else max(seconds, 1.0))
        if reason is None and read(folder)["parts"].get(name) == before:
            reason = NOTHING  # no two results have the same seconds
        if reason:
            Record(where, folder, keep=True).add_failure(
                name,
                reason,
                title=titles[name],
                command=" ".join(["python -m", MODULE, *options, "--only", name]),
                seconds=time.perf_counter() - start,
                date=str(datetime.date.today()),
            )
    return read(folder)


def process(words, seconds):
    """Run the command with these words; why it did not end by itself, or None."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", MODULE, *words],
            timeout=seconds,
            stdout=subprocess.DEVNULL,  # the tables, which are in the folder
        )
    except subprocess.TimeoutExpired:
        return f"ended after {seconds:.0f} s, the longest that it may take"
    # all is well, or what failed is written down; an error that nobody caught is 1, too
    known = (0, 1)
    return None if done.returncode in known else f"exit status {done.returncode}"
