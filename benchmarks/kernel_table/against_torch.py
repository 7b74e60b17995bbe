"""Every layer that the kernels are held to, beside torch."""

from ..support.layers import BARS, DTYPES, operations
from ..support.measure import interleaved
from ..support.tables import milliseconds, pair, section
from .products import products, rounds, torch_or_none


def table(args):
    """Every bar problem beside torch."""
    torch, rows = torch_or_none(args.threads), []
    for layer in BARS:
        for dtype in DTYPES:
            op, x, y = layer.data(dtype)
            peers = (None, None) if torch is None else layer.torch_products(op, x, y)
            for (name, ours), theirs in zip(products(op, x, y).items(), peers):
                calls = {"convinv": ours}
                if theirs is not None:
                    calls["torch"] = theirs
                times = interleaved(calls, **rounds(args))
                own, peer = times["convinv"], times.get("torch")
                rows.append(
                    (
                        layer,
                        dtype,
                        name,
                        milliseconds(own),
                        milliseconds(peer) if peer else "",
                        pair(own.over(peer)) if peer else "",
                        f"{operations(layer, op) / own.least / 1e9:.1f}",
                    )
                )
    text = "conv2d and conv_transpose2d; below a ratio of 1 convinv is faster"
    names = "layer,dtype,product,convinv ms,torch ms,ratio,GFlop/s"
    return section("Against torch", text, names, rows)
