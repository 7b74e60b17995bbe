"""What the tables measure beside PSNR: SSIM, seconds, products and peak memory."""

import ctypes
import gc
import math
import pathlib
from typing import NamedTuple

import numpy as np

from ...support.measure import clock

SSIM_ITEMS = 20
RANGE = 2.0  # of images between -1 and 1, for SSIM; the paper's PSNR has peak 1


def ssim(x, other):
    """The mean over the first images, with windows of 7 x 7."""
    from skimage.metrics import structural_similarity

    pairs = list(zip(x, other))[:SSIM_ITEMS]
    options = {"data_range": RANGE, "channel_axis": 0}
    return np.mean([structural_similarity(a, b, **options) for a, b in pairs])


class Cost(NamedTuple):
    """Seconds, products with the operator or its adjoint, and MB of memory."""

    seconds: float
    products: float
    peak: float | None


class Counted:
    """Counts the products of an operator while it is in use, for a batch of `batch`.

    Three of them are those of `solve` itself: ``A^H b`` before, ``A x`` and ``A^H r``
    after.
    """

    def __init__(self, op, batch):
        self.op, self.batch, self.count = op, batch, 0

    def __enter__(self):
        for name in ("apply", "apply_adjoint"):
            setattr(self.op, name, self._counting(getattr(self.op, name)))
        return self

    def _counting(self, product):
        def counting(x, **kwargs):
            self.count += len(x) / self.batch  # some are made of few items at a time
            return product(x, **kwargs)

        return counting

    def __exit__(self, *exception):
        for name in ("apply", "apply_adjoint"):
            delattr(self.op, name)


def measured(call, op, batch):
    """``(result, Cost)`` of a call that uses an operator for so many items."""
    gc.collect()
    before = _reset_peak()
    with Counted(op, batch) as counted:
        seconds, result = clock(call)
    peak = None if before is None else (_memory("VmHWM") - before) / 1e6
    return result, Cost(seconds, counted.count, peak)


def _reset_peak():
    """Let the process's peak start here; its bytes now, None but on Linux."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # or what was freed before would serve again
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        return _memory("VmRSS")
    except (OSError, AttributeError, TypeError):
        return None


def _memory(field):
    """Bytes of the process that the system tells."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(s.split()[1]) for s in lines if s.startswith(field + ":"))


def spread(values, digits=2):
    """Mean and standard deviation of several runs, "-" without any."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values):.{digits}f}"


def seconds(values):
    """The same of times, with three digits of the mean."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    mean = np.mean(values)
    return spread(values, max(0, 2 - math.floor(math.log10(mean))))
