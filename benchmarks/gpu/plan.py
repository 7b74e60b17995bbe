"""What a device could do at best, from operations and bytes; nothing is measured."""

from ..exact_plan import costs, inverse
from ..support.layers import operations, traffic
from ..support.problems import problem_operator
from ..support.tables import section
from .products import DTYPE, LAYERS, filled
from .settings import FULL

# NVIDIA's data sheet of the H200 (SXM): bytes per second, Flop/s without matrix units.
BANDWIDTH, FLOPS = 4.8, (67.0, 34.0)  # TB/s; TFlop/s in single and in double precision
NUMBER = 4  # bytes of a single


def text(bandwidth=BANDWIDTH, flops=FLOPS):
    """Markdown of the two tables."""
    published = (bandwidth, tuple(flops)) == (BANDWIDTH, FLOPS)
    source = "published for the H200, not measured" if published else "as given"
    rates = (
        f"Not measured: the least times at {bandwidth:g} TB/s, {flops[0]:g} TFlop/s "
        f"in single and {flops[1]:g} TFlop/s in double precision ({source})"
    )
    names = "GFlop,GB,memory ms,single ms,double ms,floor ms"
    return "\n\n".join(
        [
            section(
                "Products",
                f"{rates}. Floor: memory, or the arithmetic in single precision where "
                "that takes longer",
                f"layer,{names}",
                [product(layer, bandwidth, flops) for _, layer in LAYERS],
            ),
            section(
                "Solves",
                "Set-up excluded; GFlop in single and double precision, which overlap "
                "with memory",
                "problem,GFlop single,GFlop double,GB,memory ms,single ms,double ms",
                solves(bandwidth, flops),
            ),
        ]
    )


def product(layer, bandwidth, flops):
    layer = filled(layer, FULL.array_bytes)
    op = layer.operator(DTYPE)
    work, moved = operations(layer, op) / 1e9, traffic(layer, op) / 1e9
    memory, single, double = moved / bandwidth, work / flops[0], work / flops[1]
    times = (memory, single, double, max(memory, single))
    return (layer, f"{work:.1f}", f"{moved:.2f}", *(f"{t:.3f}" for t in times))


def solves(bandwidth, flops):
    """Rows of those for which there are bars."""
    size, batch = 256, FULL.strip[256]
    op = problem_operator("layer", size, DTYPE)
    pixels = size**2 * batch / 1e9
    found = inverse_costs(op, batch)
    yield row(f"auto, 3->8, {size}x{size}, batch {batch}",
              *(pixels * part for part in found), bandwidth, flops)  # fmt: skip
    size, steps = FULL.cycle
    n = size**2 / 1e9
    taps = 11**2
    # a product, and two passes of Gram-Schmidt over the vectors so far
    single = n * (2 * taps * steps + 2 * steps * (steps + 1))
    moved = n * NUMBER * (2 * steps + steps * (steps + 1))
    yield row(f"gmres, {steps} steps, 11x11, {size}x{size}", single, 0.0, moved,
              bandwidth, flops)  # fmt: skip


def inverse_costs(op, batch):
    """Operations in single and in double precision and bytes, per pixel."""
    parts = costs(op, inverse(op), batch)
    checked = parts.pop("check")
    single, moved = map(sum, zip(*parts.values()))
    return single, checked[0], moved + checked[1]


def row(name, single, double, moved, bandwidth, flops):
    times = (moved / bandwidth, single / flops[0], double / flops[1])
    counts = (single, double, moved)
    return (name, *(f"{c:.3g}" for c in counts), *(f"{t:.3g}" for t in times))
