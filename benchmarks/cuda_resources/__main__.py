"""Registers, spills and shared memory of every CUDA kernel, without a GPU.

Run from the repository's root::

    python -m benchmarks.cuda_resources --output benchmarks/results/cuda_resources.md

NVRTC or nvcc compiles every ``.cu`` file of the package for every dtype and for the
`architectures` that it knows; what it reports of each kernel becomes a table, with the
blocks that a multiprocessor can hold.
"""

import argparse
import pathlib

from ..support.results import show
from .report import report


def main():
    args = parse()
    show(report(), args.output)


def parse():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuda_resources", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--output", type=pathlib.Path, help="also write the text here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
