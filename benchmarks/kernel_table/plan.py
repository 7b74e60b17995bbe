"""What the products cost, counted."""

from ..support.layers import BARS, DTYPES, operations, traffic
from ..support.tables import section


def table(args):
    """Operations and bytes of the bar problems."""
    rows = []
    for layer in BARS:
        ops = [layer.operator(dtype) for dtype in DTYPES]
        work, moved = operations(layer, ops[0]), [traffic(layer, op) for op in ops]
        rows.append(
            (
                layer,
                f"{work / 1e9:.2f}",
                *(f"{m / 1e6:.1f}" for m in moved),
                f"{work / moved[0]:.0f}",
            )
        )
    names = "layer,GFlop,float32 MB,float64 MB,Flop per byte (float32)"
    text = "Either product, with the whole batch"
    return section("Work of one product", text, names, rows)
