"""Products tap by tap and by FFT, the route that is taken, and SciPy's convolutions.

Run from the repository's root::

    python -m benchmarks.products --output benchmarks/results/products.md
    python -m benchmarks.products --quick

Both products of a layer are measured by both routes, in turn in one process; times are
the shortest of a forward and an adjoint product together. SciPy's functions, of layers
with one channel and no stride, do half of that: their time counts twice.
"""

import argparse
import itertools
import math
import pathlib

import numpy as np

from convinv.kernels.products import routes
from convinv.kernels.products.fft import Plan
from convinv.kernels.products.route_costs import (
    count_taps,
    direct_nanoseconds,
    fft_torus,
)

from .support import machine
from .support.layers import DTYPES
from .support.measure import interleaved
from .support.results import show
from .support.routes import BLURS, QUICK, Case, both, scipy_calls
from .support.tables import extent, section
from .support.threads import restart_with

# Multiplications of a product that is measured tap by tap, and of one of the grid.
MOST, SOME = 40e9, 3e9


def grid():
    """Layers on both sides of the crossover."""
    sizes = [
        *itertools.product([2], (3, 7, 11, 15, 31, 63, 127), (64, 256, 1024)),
        *itertools.product([3], (3, 5, 7, 15), (24, 64)),
    ]
    cases = [
        Case(channels, (taps,) * ndim, (size,) * ndim, dtype, stride)
        for dtype, stride, channels, (ndim, taps, size) in itertools.product(
            DTYPES, (1, 2), ((1, 1), (3, 3), (8, 3), (16, 16)), sizes
        )
    ]
    return [case for case in cases if case.geometry.multiplications <= SOME]


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.products", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="six layers, 20 seconds")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    parser.add_argument("--output", type=pathlib.Path, help="also write to a file")
    args = parser.parse_args()
    restart_with(args.threads, "products")
    parts = [
        machine.heading(
            "Products by both routes",
            machine.command("products"),
            threads=f"{args.threads} threads",
        )
    ]
    if args.quick:
        parts.append(measured("Products", QUICK, seconds=0.1))
    else:
        parts.append(measured("Large PSFs", BLURS, seconds=1.0))
        parts.append(measured("Around the crossover", grid(), seconds=0.15))
    show("\n\n".join(parts), args.output)


def measured(title, cases, seconds):
    """The table of some layers."""
    rows = [row(case, seconds) for case in cases]
    text = (
        "Milliseconds of a forward and an adjoint product, and in brackets what the "
        "model of the choice says for one core; the last columns are SciPy's time over "
        "that of the route taken, and that over the faster route's"
    )
    names = "layer,dtype,torus,FFT,direct,taken,fftconvolve,oaconvolve,over best"
    return section(title, text, names, rows)


def row(case, seconds):
    g, (kernel, x, y) = case.geometry, case.arrays()
    fft, calls = Plan(np, kernel, g), {}
    calls["FFT"] = both(fft, x, y)
    direct = g.multiplications <= MOST
    if direct:
        calls["direct"] = both(routes.Direct(np, kernel, g), x, y)
    calls |= scipy_calls(case, kernel, x)
    times = {k: 1e3 * t.least for k, t in interleaved(calls, seconds, 3).items()}
    taps = count_taps(kernel)
    taken = "direct" if fft_torus(g, kernel.dtype, taps) is None else "FFT"
    models = fft.torus.nanoseconds, direct_nanoseconds(g, kernel.dtype, taps)
    best = min(times["FFT"], times.get("direct", math.inf))
    return (
        case,
        case.dtype,
        extent(fft.torus.lengths[3 - g.ndim :]),
        f"{times['FFT']:.2f} ({2e-6 * models[0]:.2f})",
        f"{times['direct']:.2f} ({2e-6 * models[1]:.2f})" if direct else "",
        taken,
        *(
            f"{2 * times[name] / times[taken]:.1f}" if name in times else ""
            for name in ("fftconvolve", "oaconvolve")
        ),
        f"{times[taken] / best:.2f}" if direct else "",
    )


if __name__ == "__main__":
    main()
