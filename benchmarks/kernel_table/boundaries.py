"""Every boundary beside zero padding."""

from convinv._core.boundaries import BOUNDARIES

from ..support.layers import DTYPES, Layer
from ..support.measure import interleaved
from ..support.tables import milliseconds, pair, section
from .products import products, rounds


def table(args):
    """Every boundary beside zero padding."""
    rows = []
    others = [name for name in BOUNDARIES if name != "zero"]
    for dtype in DTYPES:
        layers = {
            name: Layer(3, 8, 3, 256, 20, padding=1, boundary=name)
            for name in BOUNDARIES
        }
        built = {name: products(*layer.data(dtype)) for name, layer in layers.items()}
        for direction in ("forward", "adjoint"):
            calls = {name: built[name][direction] for name in built}
            times = interleaved(calls, **rounds(args))
            for name in others:
                ratio = times[name].over(times["zero"])
                shown = (milliseconds(times[k]) for k in (name, "zero"))
                rows.append((name, dtype, direction, *shown, pair(ratio)))
    text = f"{layers['zero']}, padding 1; the bar is a ratio of 1.3"
    names = "boundary,dtype,product,ms,zero ms,ratio"
    return section("Boundaries", text, names, rows)
