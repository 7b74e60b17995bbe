"""The scene that counts of photons make most likely, with little total variation."""

from __future__ import annotations

from .._core.validation import choice
from .._solve.front import solve
from ._exposed import Exposed, Found, given, source

METHOD, RTOL = "richardson-lucy", 1e-3


def likely_scene(
    exposed: Exposed, strength, noise, *, method, rtol, bounds, **options
) -> Found:
    """Minimize the Kullback-Leibler divergence plus ``strength TV(x)``, for x >= 0.

    A strength of None is one over the mean count. Counts have the variance of their
    mean, so the mean count is the square of the mean over the noise, in whatever unit.
    """
    choice(method, "method", ("auto", METHOD))
    if bounds is not None and (bounds[0] not in (None, 0) or bounds[1] is not None):
        raise ValueError(
            "bounds must be None or (0, None) with model='poisson', whose scene is not "
            f"negative, got {bounds!r}"
        )
    b = exposed.b
    if b.dtype.kind == "c" or float(b.min()) < 0:
        raise ValueError(
            "image must not be negative or complex with model='poisson': counts are "
            "not; add what was subtracted, or take model='gaussian'"
        )
    message = "" if strength is None else given(strength)
    if strength is None:
        level = exposed.automatic("gradient", noise)[1]
        mean = float(b.mean())
        strength = (level / mean) ** 2 if mean > 0 else 0.0
        message = (
            f"strength {strength:.3g}, one over the mean count at the {source(noise)} "
            f"noise of {level:.3g}"
        )
        noise = level
    result = solve(
        exposed.op,
        b,
        METHOD,
        weights=exposed.data.weights,
        rtol=RTOL if rtol is None else rtol,
        tv=strength,
        stopping="change",
        **options,
    )
    return Found(result, strength, noise, message)
