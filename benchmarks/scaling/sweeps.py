"""The error after each sweep by the width of the halo, and of the home-made recipe."""

import numpy as np

from convinv import ConvLinearOperator, gallery, solve

HALOS = (8, 16, 32)
COUNT = 5
SEED = 0


def measure(side, halos=HALOS):
    """Rows: relative errors of x after every sweep, in double precision."""
    op = ConvLinearOperator(gallery.conv_layer(3, 8, rng=SEED), (3, side, side))
    tile, rng = side // 4, np.random.default_rng(SEED)
    b = rng.standard_normal(op.output_shape)  # off the range: not every x fits it
    exact = solve(op, b, rtol=1e-14, on_failure="ignore").x
    for halo in halos:
        yield {
            "case": f"halo {halo}",
            "halo": halo,
            "errors": [_error(x, exact) for x in swept(op, b, tile, halo)],
        }
        yield {
            "case": f"halo {halo}, from data inside alone",
            "halo": halo,
            "errors": [_error(home_made(op, b, tile, halo), exact)] * COUNT,
        }


def _error(x, exact):
    return float(np.linalg.norm(x - exact) / np.linalg.norm(exact))


def swept(op, b, tile, halo, count=COUNT):
    """x after each of some sweeps over tiles."""
    from convinv._tiles import TilePlan, read

    plan = TilePlan(op, dtype=op.dtype, tile=tile, halo=halo)
    x = None
    for _ in range(count):
        new = np.empty(op.input_shape)
        for one in plan.tiles:
            old = None if x is None else read(x, one.x_runs)[None]
            core, _ = plan.sweep(one, old, read(b, one.b_runs)[None])
            new[(slice(None), *one.core)] = core[0]
        x = new
        yield x


def home_made(op, b, tile, halo):
    """Each tile solved from the data inside it and its halo alone, the middles kept."""
    reach, x = op.kernel.shape[-1] - 1, np.empty(op.input_shape)
    height, width = op.input_shape[1:]
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            rows, columns = (
                (max(start - halo, 0), min(start + tile + halo, length))
                for start, length in ((top, height), (left, width))
            )
            shape = op.input_shape[0], rows[1] - rows[0], columns[1] - columns[0]
            part = ConvLinearOperator(op.kernel, shape)
            inside = b[:, rows[0] : rows[1] - reach, columns[0] : columns[1] - reach]
            found = solve(part, inside, rtol=1e-13, on_failure="ignore").x
            x[:, top : top + tile, left : left + tile] = found[
                :, top - rows[0] :, left - columns[0] :
            ][:, :tile, :tile]
    return x
