"""Norms and determinants of layers beside those of PyTorch: errors and times.

Run from the repository's root::

    python -m benchmarks.spectral_tools --output benchmarks/results/spectral_tools.md

`torch.nn.utils.parametrizations.spectral_norm` divides a weight by the norm of the
weight reshaped to a matrix, by steps of a power iteration; `SpectralNormalized` divides
by the norm of the layer. A step of training is the forward and the backward pass of the
layer with a batch, and one of plain gradient descent. For the times nothing else should
run meanwhile. Ctrl-C prints what there is.
"""

import argparse
import pathlib
import sys

from ..support import machine, threads
from ..support.results import show, write_rows
from . import determinants, norms, report


def main(argv=None):
    args = parse(argv)
    measured, others = [], []
    seconds = 0.05 if args.quick else 2.0
    with threads.one_torch_thread():
        try:
            for case in norms.CASES[:2] if args.quick else norms.CASES:
                measured.append(norms.measure(case, seconds))
            for case in determinants.CASES[:2] if args.quick else determinants.CASES:
                others.append(determinants.measure(case, seconds))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
    text = "\n\n".join([heading(), report.tables(measured, others)])
    show(text)
    if args.output is not None:
        write_rows(text, {"norms": measured, "determinants": others}, args.output)
    return int(args.check and bool(report.missed(measured, others)))


def heading():
    return machine.heading(
        "Spectral tools beside PyTorch's",
        machine.command("spectral_tools"),
        threads="one thread for PyTorch",
        packages=(*machine.PACKAGES, "torch"),
    )


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spectral_tools",
        description=__doc__.split("\n")[0],
    )
    parser.add_argument("--quick", action="store_true", help="a few small cases")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where an error is too large"
    )
    parser.add_argument(
        "--output", type=pathlib.Path, help="Markdown file; a JSON file goes beside it"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
