"""Products tap by tap and by FFT, the route that is taken, and SciPy's convolutions.

Run from the repository's root::

    python -m benchmarks.products --output benchmarks/results/products.md
    python -m benchmarks.products --quick

Both products of a layer are measured by both routes, in turn in one process; times are
the shortest of a forward and an adjoint product together. SciPy's functions, of layers
with one channel and no stride, do half of that: their time counts twice.
"""

import argparse
import functools
import itertools
import math
import pathlib
from typing import NamedTuple

import numpy as np
from scipy import signal

from convinv._core.geometry import make_geometry
from convinv.kernels.products import routes
from convinv.kernels.products.fft import Plan
from convinv.kernels.products.route_costs import (
    count_taps,
    direct_nanoseconds,
    fft_torus,
)

from .kernel_table.__main__ import heading, section, with_threads
from .support.measure import interleaved
from .support.problems import DTYPES

# Multiplications of a product that is measured tap by tap, and of one of the grid.
MOST, SOME = 40e9, 3e9


class Case(NamedTuple):
    """A layer with zero padding that keeps the image's size, divided by the stride."""

    channels: tuple  # out, in
    taps: tuple
    size: tuple
    dtype: str = "float32"
    stride: int = 1
    boundary: str = "zero"

    def __str__(self):
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        boundary = f", {self.boundary}" if self.boundary != "zero" else ""
        taps, size = ("x".join(map(str, n)) for n in (self.taps, self.size))
        out, in_ = self.channels
        return f"{in_}->{out}, {taps} on {size}{stride}{boundary}"

    @property
    def geometry(self):
        out, in_ = self.channels
        return make_geometry(
            (out, in_, *self.taps),
            (in_, *self.size),
            stride=self.stride,
            padding=[((k - 1) // 2, k // 2) for k in self.taps],
            dilation=1,
            groups=1,
            boundary=self.boundary,
        )

    def arrays(self):
        """Kernel, image and output with random numbers."""
        g, rng = self.geometry, np.random.default_rng(0)
        out, in_ = self.channels
        shapes = (out, in_, *g.kernel), (1, in_, *g.input), (1, out, *g.output)
        return [rng.standard_normal(shape).astype(self.dtype) for shape in shapes]


# What large PSFs are held to.
BLURS = (
    Case((1, 1), (31, 31), (1024, 1024)),
    Case((1, 1), (101, 101), (1024, 1024)),
    Case((1, 1), (101, 101), (1024, 1024), boundary="periodic"),
    Case((1, 1), (101, 101), (1024, 1024), boundary="reflect"),
    Case((1, 1), (63, 63), (256, 256)),
    Case((1, 1), (16, 48, 48), (16, 48, 48)),
    Case((1, 1), (31, 31, 31), (96, 96, 96)),
    Case((1, 1), (61, 32, 32), (160, 160, 160)),
    Case((1, 1), (61, 32, 32), (160, 160, 160), boundary="periodic"),
)
QUICK = (*BLURS[:2], *BLURS[4:6], Case((3, 8), (15, 15), (128, 128)),
         Case((4, 4), (31, 31), (128, 128), stride=2))  # fmt: skip


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
    with_threads(args.threads, "benchmarks.products")
    parts = [heading(args, "Products by both routes", "benchmarks.products")]
    if args.quick:
        parts.append(measured("Products", QUICK, seconds=0.1))
    else:
        parts.append(measured("Large PSFs", BLURS, seconds=1.0))
        parts.append(measured("Around the crossover", grid(), seconds=0.15))
    text = "\n\n".join(parts) + "\n"
    print(text, end="")
    if args.output:
        args.output.write_text(text, encoding="utf-8")


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
        "x".join(str(n) for n in fft.torus.lengths[3 - g.ndim :]),
        f"{times['FFT']:.2f} ({2e-6 * models[0]:.2f})",
        f"{times['direct']:.2f} ({2e-6 * models[1]:.2f})" if direct else "",
        taken,
        *(
            f"{2 * times[name] / times[taken]:.1f}" if name in times else ""
            for name in ("fftconvolve", "oaconvolve")
        ),
        f"{times[taken] / best:.2f}" if direct else "",
    )


def both(plan, x, y):
    """A function that does both products, into arrays that it has."""
    forward, _ = plan.forward(x)
    adjoint, _ = plan.adjoint(y)

    def call():
        plan.forward(x, False, forward)
        plan.adjoint(y, False, adjoint)

    return call


def scipy_calls(case, kernel, x):
    """SciPy's convolutions of one channel, without arguments."""
    if case.channels != (1, 1) or case.stride > 1:
        return {}
    image, psf = x.reshape(case.size), kernel.reshape(case.taps)
    functions = [signal.fftconvolve]
    if all(2 * k < n for k, n in zip(case.taps, case.size)):
        functions.append(signal.oaconvolve)
    return {
        function.__name__: functools.partial(function, image, psf, "same")
        for function in functions
    }


if __name__ == "__main__":
    main()
