"""Array libraries, the devices behind them, and benchmarks that can't run without."""

import importlib

import numpy as np

from convinv import ConvLinearOperator

BACKENDS = ("numpy", "cupy")


def placed(op, xp):
    """A new operator on a library's device, without what an earlier solve kept."""
    return ConvLinearOperator(xp.asarray(op.kernel), op.input_shape, **op.options)


def library(backend):
    """The array library of a backend; skips a benchmark that has no device."""
    if backend == "numpy":
        return np
    reason = missing(backend)
    if reason:
        skip(reason)
    return importlib.import_module(backend)


def missing(backend):
    """Why no device can be used with a library, or None."""
    try:
        found = importlib.import_module(backend).cuda.runtime.getDeviceCount()
    except Exception as error:  # a broken installation raises all sorts of errors
        return f"{backend}: {error}"
    return None if found else f"{backend} finds no device"


def skip(reason):
    """End the setup of a benchmark that can't run; asv shows it as n/a."""
    from asv_runner.benchmarks.mark import SkipNotImplemented

    raise SkipNotImplemented(reason)


def synchronize(xp):
    """Wait for the device, inside whatever is timed."""
    if xp is not np:
        xp.cuda.Device().synchronize()
