"""Pictures of the singular matrices around a reference."""

import numpy as np

from .._core import plotting
from .._core.optional import optional


def picture(region, entries, span, margin, size, ax):
    """The axes of `FeasibleRegion.picture`, drawn on."""
    if np.iscomplexobj(region.A0):
        raise ValueError("a picture needs a real A0, got a complex one")
    n = len(region.A0)
    places = [tuple(place) for place in entries]
    inside = all(len(p) == 2 and 0 <= min(p) and max(p) < n for p in places)
    if len(places) != 2 or not inside or places[0] == places[1]:
        raise ValueError(
            f"entries must be two places (i, j) below {n}, got {entries!r}"
        )
    patches = optional("matplotlib.patches", "FeasibleRegion.picture")
    ax = plotting.axes("FeasibleRegion.picture", ax, size=(4.6, 4))
    span = 4 * region.distance() if span is None else float(span)
    center = [float(region.A0[place]) for place in places]
    axes = [c + np.linspace(-span, span, size) for c in center]
    least, sign = values(region.A0, places, axes)
    drawn = ax.contourf(*axes, least, levels=16, cmap="Grays_r")
    ax.figure.colorbar(drawn, ax=ax, label="distance to singularity")
    if margin > 0:
        ax.contourf(*axes, least, levels=[0, margin], colors=["tab:red"], alpha=0.35)
    if sign.min() < 0 < sign.max():
        ax.contour(*axes, sign, levels=[0], colors=["tab:red"])
    half = region.box(margin)
    corner = center[0] - half, center[1] - half
    box = patches.Rectangle(corner, 2 * half, 2 * half, fill=False, ec="tab:blue", lw=2)
    ax.add_patch(box)
    ax.plot(*center, "o", color="tab:blue")
    names = [f"entry ({i}, {j})" for i, j in places]
    ax.set(xlabel=names[0], ylabel=names[1])
    return ax


def values(A0, places, axes):
    """Smallest singular values and signs of determinants on a plane of matrices."""
    first, second = np.meshgrid(*axes)
    plane = np.broadcast_to(A0, (*first.shape, *A0.shape)).copy()
    plane[..., places[0][0], places[0][1]] = first
    plane[..., places[1][0], places[1][1]] = second
    least = np.linalg.svd(plane, compute_uv=False)[..., -1]
    return least, np.linalg.slogdet(plane)[0]
