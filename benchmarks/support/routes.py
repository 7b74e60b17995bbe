"""Layers whose products may go tap by tap or by FFT, and SciPy's convolutions."""

import functools
from typing import NamedTuple

import numpy as np
from scipy import signal

from .tables import extent
from .versions import optional

make_geometry = optional("convinv._core.geometry", "make_geometry")


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
        taps, size = extent(self.taps), extent(self.size)
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
