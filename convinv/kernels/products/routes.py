"""The two routes of products, and the choice for a layer."""

import numpy as np

from .. import load
from .fft import Plan
from .route_costs import count_taps, fft_torus


class Direct:
    """Products tap by tap."""

    def __init__(self, xp, kernel, geometry):
        self._correlate = load("correlate", xp)
        self._plan = self._correlate.prepare(kernel, geometry)

    def forward(self, x, sumsq=False, out=None):
        return self._correlate.forward(self._plan, x, sumsq, out)

    def adjoint(self, y, sumsq=False, out=None):
        return self._correlate.adjoint(self._plan, y, sumsq, out)

    def scratch_bytes(self, batch):
        """0: the buffers are a few rows of an image."""
        return 0


def prepare(kernel, geometry, xp):
    """The products of a layer with arrays of the library `xp`."""
    taps = count_taps(kernel)
    torus = fft_torus(geometry, kernel.dtype, taps, gpu=xp is not np)
    if torus is None:
        return Direct(xp, kernel, geometry)
    return Plan(xp, kernel, geometry, torus)
