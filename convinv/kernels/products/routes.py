"""The three routes of products, and the choice for a layer."""

import numpy as np

from .. import load
from .fft import Plan
from .route_costs import count_taps, fft_torus, takes_winograd


class Direct:
    """Products tap by tap."""

    def __init__(self, xp, kernel, geometry):
        # at most: the weights of both directions, filled up to what the loops take
        self.nbytes = 4 * kernel.nbytes
        self._correlate = load("correlate", xp)
        self._plan = self._correlate.prepare(kernel, geometry)

    def forward(self, x, sumsq=False, out=None):
        return self._correlate.forward(self._plan, x, sumsq, out)

    def adjoint(self, y, sumsq=False, out=None):
        return self._correlate.adjoint(self._plan, y, sumsq, out)

    def scratch_bytes(self, batch):
        """0: the buffers are a few rows of an image."""
        return 0


class Winograd:
    """Products of layers with many channels and 3 x 3 kernels, on the CPU."""

    def __init__(self, kernel, geometry):
        from ..correlate import winograd_cpu  # loads numba

        self._winograd = winograd_cpu
        self._plan = winograd_cpu.prepare(kernel, geometry)
        self.nbytes = self._plan.nbytes

    def forward(self, x, sumsq=False, out=None):
        return self._winograd.forward(self._plan, x, sumsq, out)

    def adjoint(self, y, sumsq=False, out=None):
        return self._winograd.adjoint(self._plan, y, sumsq, out)

    def scratch_bytes(self, batch):
        """A bound of the memory of the threads' buffers and of rows to be folded."""
        return self._winograd.scratch_bytes(self._plan, batch)


def prepare(kernel, geometry, xp):
    """The products of a layer with arrays of the library `xp`."""
    if xp is np and takes_winograd(geometry, kernel):
        return Winograd(kernel, geometry)
    taps = count_taps(kernel)
    torus = fft_torus(geometry, kernel.dtype, taps, gpu=xp is not np)
    if torus is None:
        return Direct(xp, kernel, geometry)
    return Plan(xp, kernel, geometry, torus)
