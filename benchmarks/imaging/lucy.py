"""Seconds of a Richardson-Lucy iteration over those of scikit-image's."""

import numpy as np
from skimage import restoration

from convinv import ConvLinearOperator

from ..support.measure import interleaved
from ..support.quiet import quietly
from .cases import cut, point_spread

BAR = 0.5
FEW, MANY = 2, 12  # iterations, whose difference in time counts


def measure(psf_name, side, seconds):
    """A row of the table."""
    psf = point_spread(psf_name)
    b = np.maximum(cut("camera", (side, side)), 1e-3)
    op = ConvLinearOperator(psf[None, None], (1, side, side), padding="same", flip=True)

    def ours(count):
        options = {"acceleration": None, "maxiter": count, "rtol": 0}
        return quietly(op, b[None], "richardson-lucy", **options)

    def theirs(count):
        return restoration.richardson_lucy(b, psf, count, clip=False)

    calls = {
        ("ours", FEW): lambda: ours(FEW),
        ("ours", MANY): lambda: ours(MANY),
        ("theirs", FEW): lambda: theirs(FEW),
        ("theirs", MANY): lambda: theirs(MANY),
    }
    times = interleaved(calls, seconds, rounds=3)

    def step(name):
        longer = times[name, MANY].least - times[name, FEW].least
        return longer / (MANY - FEW)

    return {
        "what": f"Richardson-Lucy iteration, {psf_name}, {side}x{side}",
        "ours": step("ours"),
        "theirs": step("theirs"),
        "ratio": step("ours") / step("theirs"),
        "bar": BAR,
        "met": step("ours") <= BAR * step("theirs"),
        "note": "over scikit-image's",
    }
