"""Tables of the CPU kernels' speed: against torch, a floor, and zero padding.

Run from the repository's root::

    python -m benchmarks.kernel_table --output benchmarks/results/kernels.md

Calls that are compared are measured in turn in one process, on the same arrays and the
same number of threads. Pairs of figures are the shortest time and the median. Nothing
else should run meanwhile: the load average in the heading tells.
"""

import argparse
import pathlib

from ..support import machine
from ..support.results import show
from ..support.threads import restart_with
from . import against_floor, against_torch, boundaries, channels, iterations, plan

TABLES = (against_torch, against_floor, boundaries, iterations)


def main():
    args = parse()
    if args.plan:
        text = plan.table(args)
    else:
        restart_with(args.threads, "kernel_table")
        tables = (channels,) if args.channels else TABLES
        text = "\n\n".join([heading(args), *(part.table(args) for part in tables)])
    show(text, args.output)


def parse():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kernel_table", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="few rounds of each call")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    parser.add_argument("--output", type=pathlib.Path, help="also write the text here")
    section = parser.add_mutually_exclusive_group()
    section.add_argument(
        "--channels",
        action="store_true",
        help="GFlop/s by number of channels, beside im2col and BLAS",
    )
    section.add_argument(
        "--plan", action="store_true", help="operations and bytes only, no measurement"
    )
    return parser.parse_args()


def heading(args):
    return machine.heading(
        "Speed of the CPU kernels",
        machine.command("kernel_table"),
        threads=f"{args.threads} threads",
        packages=(*machine.PACKAGES, "torch"),
    )


if __name__ == "__main__":
    main()
