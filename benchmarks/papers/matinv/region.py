"""The singular matrices about the centers, and boxes clear of them."""

import numpy as np

from convinv.local_inverse import certify

from ...support.outcome import Claim, Outcome, Table
from . import problems

COLUMNS = (
    "matrices,center,condition,distance 2-norm,distance max,box,half width,"
    "1 / (n norm of inverse)"
)


def run(quick=False):
    rng = np.random.default_rng(0)
    rows, claims, figures = [], [], {}
    for data in problems.datasets():
        region = data.region
        rows.append((
            data.name, problems.shown(data.center), float(np.linalg.cond(data.center)),
            region.distance(), region.distance("max"), region.box(), data.half_width,
            region.distance() / data.n,
        ))  # fmt: skip
        claims += about(data, 200 if quick else 20_000, rng)
        if data.n == 2:
            places = {"diagonal": ((0, 0), (1, 1)), "row": ((0, 0), (0, 1))}
            for name, place in places.items():
                key = f"region-{len(figures) // 2 + 1}-{name}"
                size = 61 if quick else 241
                margin = 0.25 * region.distance()
                figures[key] = region.picture(place, margin=margin, size=size)
    text = (
        "distances to the nearest singular matrix in the 2-norm (and Frobenius norm) "
        "and in the largest entry; the box is the largest half width of a box without "
        "singular matrices, the last column the half width that the inverse's norm "
        f"alone allows; experiments take {problems.FRACTION:g} of the box. "
        "Rows of a center are separated by /"
    )
    return Outcome([Table("Centers", text, COLUMNS, rows)], claims, [], figures)


def about(data, count, rng):
    """What a box is, checked on its corners and beyond."""
    region, box = data.region, data.region.box()
    signs = rng.choice([-1.0, 1.0], (count, data.n, data.n))
    corners = data.center + 0.999999 * box * signs
    inverses = np.linalg.inv(corners)
    proven = certify(corners, inverses).proven
    singular = region.nearest_singular("max")
    least = np.linalg.svd(singular, compute_uv=False)[-1]
    reach = np.abs(singular - data.center).max()
    return [
        Claim(
            f"{data.name}: {count} corners of the box are nonsingular",
            f"{int(proven.sum())} proven",
            bool(proven.all()),
        ),
        Claim(
            f"{data.name}: there is a singular matrix on the box",
            f"smallest singular value {least:.1e} at {reach / box:.6f} of the width",
            least < 1e-13 * np.linalg.norm(data.center) and abs(reach / box - 1) < 1e-9,
        ),
    ]
