"""What the device can do at most: copy and multiply matrices."""

import numpy as np

from ..support.layers import DTYPES
from ..support.outcome import Outcome, Table
from . import arrays
from .timing import timed

PRODUCT = "matrix product, {}"
SMALLEST = 0.25  # of the free memory, for the arrays of a copy


def measure(session):
    """Bytes per second of a copy, and Flop/s of a product by dtype."""
    found = {"copy": copy_rate(session)}
    return found | {dtype: product_rate(session, dtype) for dtype in DTYPES}


def copy_rate(session):
    """Bytes read and written per second."""
    xp = session.xp
    free = xp.cuda.runtime.memGetInfo()[0]
    count = int(min(session.settings.copy_bytes, SMALLEST * free)) // 4
    source = arrays.noise(xp, (count,), "float32")
    target = xp.empty_like(source)
    times = timed(session, {"copy": lambda: xp.copyto(target, source)})
    return 2 * source.nbytes / times["copy"].median


def product_rate(session, dtype):
    """Flop/s of a square matrix product."""
    xp, n = session.xp, session.settings.matrix
    a = arrays.noise(xp, (n, n), dtype)
    b, c = a.T.copy(), xp.empty_like(a)
    times = timed(session, {"product": lambda: xp.matmul(a, b, out=c)})
    return 2 * n**3 / times["product"].median


def measured(part):
    """What `measure` has found for a part that was written down, None if it failed."""
    rates = {row[0]: row[2] for table in part["tables"] for row in table["rows"]}
    if len(rates) <= len(DTYPES):
        return None
    found = {dtype: 1e12 * rates[PRODUCT.format(dtype)] for dtype in DTYPES}
    return {"copy": 1e9 * rates["copy"], **found}


def run(session, part):
    rows = []
    with part.case("ceilings"):
        found = session.ceilings
        rows.append(("copy", "GB/s", found["copy"] / 1e9))
        for dtype in DTYPES:
            rows.append((PRODUCT.format(dtype), "TFlop/s", found[dtype] / 1e12))
    settings = session.settings
    text = (
        f"Medians: a copy of {settings.copy_bytes / 1e9:.2g} GB on the device, reading "
        f"and writing counted; products of {settings.matrix} x {settings.matrix} "
        f"matrices by cuBLAS, without TF32; {np.dtype('float64')} may use matrix units"
    )
    return Outcome([Table("Ceilings", text, "what,unit,rate", rows)], [], [], {})
