"""What convinv does on a GPU: whether it is right, and how fast it is.

Run from the repository's root::

    python -m benchmarks.gpu

The first part compares with the CPU, the others time. Each part runs in a process of
its own, so that an error that leaves the device unusable ends with its part, and is
then written to benchmarks/results/gpu.json and gpu.md; a part leaves out the cases for
which it has no time left, so that all take less than 8 minutes. At the end the bars are
printed beside what was measured, and what failed: if results did not agree, or a part
ended early, the exit status is 1. ``--only`` takes some parts and leaves the results of
the others. ``--quick`` takes small sizes, and writes nothing unless ``--output`` is
given. ``--plan`` needs no device: it prints what one could do at best. Without a device
the exit status is 2.
"""

import argparse
import contextlib
import math
import pathlib
import sys
import tempfile
import time
from typing import NamedTuple

from . import apart
from .settings import ALLOWED, FULL, QUICK

RESULTS = pathlib.Path(__file__).parents[1] / "results"
MODULE = "python -m benchmarks.gpu"
TITLES = {
    "check": "The device computes what the CPU does",
    "ceilings": "What the device can do",
    "products": "Products",
    "methods": "Methods",
    "strip": "The problems of the paper on STRIP",
    "gmres": "The problems of the document on GMRES",
    "peers": "CuPy's solvers",
    "graphs": "Iterations as CUDA graphs",
    "busy": "The device's share of a solve's time",
}


class Run(NamedTuple):
    """A session, its record, the device's name on the bus, and the command."""

    session: object
    record: object
    bus: str
    command: str
    quick: bool


def main(argv=None):
    args = parse(argv)
    if args.plan:
        from . import plan

        print(plan.text(args.bandwidth, args.flops))
        return 0
    from . import device
    from .record import failed, markdown

    xp, reason = device.find()
    if xp is None:
        print(f"no CUDA device that CuPy can use: {reason}", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        folder = args.output
        if len(args.only) == 1:
            found = here(xp, args)
        else:
            if folder is None:
                temporary = stack.enter_context(tempfile.TemporaryDirectory())
                folder = pathlib.Path(temporary)
            found = apart.run(args, device.describe(xp), folder, TITLES)
    print(markdown(found))
    some = {"parts": {name: found["parts"][name] for name in args.only}}
    for words in failed(some):
        print(f"failed: {words}")
    return 1 if failed(some) else 0


def here(xp, args):
    """Measure one part in this process, and return what there is then."""
    from . import ceilings, device
    from .record import Record
    from .session import Session

    (name,) = args.only
    record = Record(device.describe(xp), args.output, keep=True)
    session = Session(xp, QUICK if args.quick else FULL)
    written = record.found["parts"].get("ceilings")
    if name != "ceilings" and written:  # by a process before this one
        session.ceilings = ceilings.measured(written) or session.ceilings
    command = " ".join([MODULE, *["--quick"] * args.quick, "--only", name])
    measure(Run(session, record, device.bus(xp), command, args.quick), name)
    return record.found


def parse(argv):
    about = __doc__.split("\n")[0]
    parser = argparse.ArgumentParser(prog=MODULE, description=about)
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    parser.add_argument("--only", nargs="+", choices=TITLES, help="these parts")
    parser.add_argument(
        "--output", type=pathlib.Path, help="folder of gpu.json and gpu.md"
    )
    parser.add_argument(
        "--plan", action="store_true", help="operations and bytes only, no device"
    )
    from .plan import BANDWIDTH, FLOPS

    parser.add_argument(
        "--bandwidth", type=float, default=BANDWIDTH, metavar="TB/S",
        help=f"for --plan, default {BANDWIDTH:g}: published for the H200",
    )  # fmt: skip
    parser.add_argument(
        "--flops", type=float, nargs=2, default=FLOPS, metavar=("SINGLE", "DOUBLE"),
        help="for --plan, TFlop/s, default "
        f"{FLOPS[0]:g} and {FLOPS[1]:g}: published for the H200",
    )  # fmt: skip
    args = parser.parse_args(argv)
    args.keep = bool(args.only)  # the results of other parts
    args.only = [name for name in TITLES if name in (args.only or TITLES)]
    if args.output is None and not args.quick:
        args.output = RESULTS
    return args


def measure(run, name):
    """Measure a part, and write it down."""
    from ..support.outcome import Outcome
    from . import device
    from .session import Part

    print(f"{name} ...", file=sys.stderr, flush=True)
    part = Part(run.session, math.inf if run.quick else ALLOWED[name])
    before, start = device.state(run.bus), time.perf_counter()
    outcome = Outcome([], [], [], {})
    with part.case(name):
        outcome = functions()[name](run.session, part)
    seconds = time.perf_counter() - start
    run.record.add(
        name,
        outcome._replace(notes=[*outcome.notes, *part.notes]),
        title=TITLES[name],
        command=run.command,
        seconds=seconds,
        before=before,
        after=device.state(run.bus),
        failures=[failure._asdict() for failure in part.failures],
    )
    for failure in part.failures:
        print(failure.trace, file=sys.stderr)


def functions():
    """The function of every part."""
    from . import busy, ceilings, checks, graphs, methods, papers, peers, products

    return {
        "check": checks.run,
        "ceilings": ceilings.run,
        "products": products.run,
        "methods": methods.run,
        "strip": papers.strip,
        "gmres": papers.gmres,
        "peers": peers.run,
        "graphs": graphs.run,
        "busy": busy.run,
    }


if __name__ == "__main__":
    sys.exit(main())
