"""Layers and data that take memory, and what is said that they take."""

import numpy as np

from convinv import ConvLinearOperator
from convinv._problem.batch import Layout
from convinv._solve.arguments import method as find_method
from convinv._solve.memory import MemoryEstimate


def layer(shape=(6, 2, 3, 3), size=9, dtype="float64", seed=0, **options):
    rng = np.random.default_rng(seed)
    kernel = 0.3 * rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        kernel = kernel + 0.3j * rng.standard_normal(shape)
    for c in range(min(shape[:2])):
        kernel[c, c, 1, 1] += 2
    return ConvLinearOperator(kernel.astype(dtype), (shape[1], size, size), **options)


def data(op, *batch, seed=1, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*batch, *op.input_shape))
    b = op.forward(x)
    return b + noise * rng.standard_normal(b.shape).astype(b.dtype)


def estimate_of(op, b, name, damp=0.0, preconditioner=None, **options):
    layout = Layout(op, b, None)
    entry = find_method(name, op).at(options)
    return MemoryEstimate(op, layout, entry, options, preconditioner, bool(damp), 0)


class OutOfMemoryError(MemoryError):
    """As the device library's: it is made from numbers."""

    def __init__(self, size, total, limit=0):
        super().__init__(f"allocating {size:,} bytes ({total:,}, {limit:,})")
