"""How far a tile has to look: the decay of the inverse, and the tiles that follow."""

import numpy as np

from convinv import ConvLinearOperator, gallery
from convinv.operators import DifferenceOperator, StackedOperator

SIDE = 16384
RTOL = 1e-6
LEFT = (1e-1, 1e-3, 1e-6)
BLURS = {
    "Gaussian, sigma 1.5": lambda: gallery.gaussian_kernel(11, 1.5),
    "disc of radius 3": lambda: gallery.disc_kernel(3),
    "line of 9 pixels": lambda: gallery.line_kernel(9, 30),
    "camera shake, 15x15": lambda: gallery.motion_kernel(15, rng=0),
}
WEIGHTS = (0.05, 0.2)  # of the gradient


def measure():
    """Rows: distances in pixels, and the layout for an image of 16384 pixels a side."""
    for name, kernel in BLURS.items():
        for weight in WEIGHTS:
            yield _row(f"{name}, weight {weight}", *_blur(kernel(), weight))
    kernel = gallery.conv_layer(3, 8, rng=0, dtype=np.float32)
    yield _row("3->8 layer, 3x3", ConvLinearOperator(kernel, (3, SIDE, SIDE)))
    yield _row(
        "3->8 layer, 3x3, damp 0.1", ConvLinearOperator(kernel, (3, SIDE, SIDE)), 0.1
    )


def _blur(kernel, weight):
    shape = 1, SIDE, SIDE
    op = ConvLinearOperator(kernel[None, None].astype(np.float32), shape)
    steps = DifferenceOperator(shape, dtype=op.dtype)
    return (StackedOperator([op, steps.scaled(weight)]),)


def _row(case, op, damp=0.0):
    from convinv._tiles import TilePlan

    plan = TilePlan(op, damp, dtype=np.float32, rtol=RTOL)
    reaches = [plan.decay.reach(left) for left in LEFT]
    return {
        "case": case,
        "reach": [int(r) if np.isfinite(r) else None for r in reaches],
        "tile": plan.layout.tile[0],
        "halo": plan.layout.halo[0],
        "sweeps": plan.layout.sweeps,
    }
