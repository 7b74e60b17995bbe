"""How far the products are from what the machine can do."""

import numpy as np

from ..support.layers import BARS, DTYPES, operations, traffic
from ..support.measure import interleaved
from ..support.tables import milliseconds, section
from .products import products, rounds


def table(args):
    """How far the products are from what the machine can do."""
    rows, notes = [], []
    for dtype in DTYPES:
        peak, bandwidth = reachable(dtype, args)
        notes.append(f"{dtype}: {peak / 1e9:.0f} GFlop/s, {bandwidth / 1e9:.1f} GB/s")
        for layer in BARS:
            op, x, y = layer.data(dtype)
            work, moved = operations(layer, op), traffic(layer, op)
            least = max(work / peak, moved / bandwidth)
            bound = "arithmetic" if work / peak >= moved / bandwidth else "memory"
            times = interleaved(products(op, x, y), **rounds(args))
            rows.append(
                (
                    layer,
                    dtype,
                    bound,
                    f"{1e3 * least:.2f}",
                    *(milliseconds(t) for t in times.values()),
                    *(f"{t.least / least:.1f}" for t in times.values()),
                )
            )
    text = (
        "The floor is the longer of the arithmetic at the rate of a large matrix "
        "product (NumPy's BLAS) and of the traffic at the rate of a large copy; "
        f"measured here: {'; '.join(notes)}"
    )
    columns = "forward ms,adjoint ms,forward/floor,adjoint/floor"
    names = f"layer,dtype,bound,floor ms,{columns}"
    return section("Against a floor", text, names, rows)


def reachable(dtype, args):
    """Flop/s of a large matrix product, and bytes per second of a large copy."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((1536, 1536)).astype(dtype) for _ in range(2))
    c = np.empty_like(a)
    source = np.ones(2**25, dtype)
    target = np.zeros_like(source)
    times = interleaved(
        {
            "product": lambda: np.matmul(a, b, out=c),
            "copy": lambda: np.copyto(target, source),
        },
        **rounds(args),
    )
    work, moved = 2 * 1536**3, 2 * source.nbytes
    return work / times["product"].least, moved / times["copy"].least
