"""What an iteration costs beside its two products."""

from ..support.iteration import iteration
from ..support.layers import BARS, DTYPES
from ..support.tables import milliseconds, pair, section


def table(args):
    """What an iteration costs beside its two products."""
    rows = []
    for method in ("cgls", "rshk"):
        for dtype in DTYPES:
            layer, rounds = BARS[0], 1 if args.quick else 8
            times = iteration(method, layer, dtype, rounds=rounds)
            shown = (milliseconds(times[k]) for k in ("iteration", "products"))
            ratio = pair(times["iteration"].over(times["products"]))
            rows.append((method, layer, dtype, *shown, ratio))
    text = "The two products of an iteration, timed in turn with whole iterations"
    names = "method,layer,dtype,iteration ms,products ms,ratio"
    return section("One iteration", text, names, rows)
