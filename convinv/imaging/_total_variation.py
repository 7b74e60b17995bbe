"""The scene with the smallest weighted sum of misfit and total variation."""

from __future__ import annotations

from .._core.arrays import namespace
from ..operators._diagonal import DiagonalOperator
from ..proximal import Box, Proximal, TotalVariation, minimize
from ._exposed import Exposed, Found, given, source

RTOL = 1e-3


def piecewise_smooth_scene(
    exposed: Exposed, strength, noise, *, method, rtol, bounds, callback
) -> Found:
    """Minimize ``||A x - b||^2 / 2 + strength TV(x)`` with the weights of the data.

    A strength of None is chosen by Stein's estimate of the risk.
    """
    op, b, level = exposed.op, exposed.b, None
    if strength is None:
        level = exposed.automatic("gradient", noise)[1] if noise is None else noise
    weights = exposed.data.weights
    if weights is not None:
        if not bool((weights == weights[:1]).all()):
            raise ValueError(
                "mask and weights must be the same for all channels and all pictures "
                "of a stack with regularizer='tv': deconvolve one at a time"
            )
        root = namespace(b).sqrt(weights[0])
        op, b = DiagonalOperator(root) @ op, root * b
    axes = tuple(range(-len(exposed.stride), 0))
    priors: list[Proximal] = [TotalVariation(strength, axes=axes)]
    if bounds is not None:
        priors.append(Box(*bounds))
    result = minimize(
        op,
        b,
        priors,
        method,
        noise_level=level,
        x0=exposed.start(),
        rtol=RTOL if rtol is None else rtol,
        callback=callback,
    )
    if strength is not None:
        return Found(result, strength, noise, given(strength))
    chosen = result.extra["weight"]
    return Found(
        result,
        chosen,
        level,
        f"strength {chosen:.3g}, for the least of Stein's estimate of the risk at the "
        f"{source(noise)} noise of {level:.3g}",
    )
