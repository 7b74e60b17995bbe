"""The scene with the smallest weighted sum of misfit and squared penalty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .._core.arrays import to_numpy
from .._core.validation import choice
from .._regularize.strength import PENALTIES
from .._solve.front import solve
from ._exposed import Exposed, Found, given, source

# Of the normal residual, per strength, and the largest: what is left then of the error
# of iterations is less than 0.05 dB on the photographs of `benchmarks.imaging`.
RTOL, LARGEST_RTOL, LEAST_RTOL = 5e-3, 1e-3, 1e-5
# Strengths below and above which rounding in single precision is more than that.
WEAK, STRONG = 2e-3, 5


def smooth_scene(
    exposed: Exposed, penalty, strength, noise, *, method, rtol, **options
) -> Found:
    """Minimize ``||A x - b||^2 + strength^2 ||L x||^2`` with the weights of the data.

    A strength of None is the automatic one.
    """
    strength, noise, message = chosen(exposed, penalty, strength, noise)
    result = solved(exposed, penalty, strength, method=method, rtol=rtol, **options)
    result = replace(result, x=result.x.astype(exposed.b.dtype, copy=False))
    return Found(result, strength, noise, message)


def chosen(exposed, penalty, strength, noise):
    """``(strength, noise, message)``, automatic where the strength is None."""
    if strength is not None:
        return strength, noise, given(strength)
    strength, level = exposed.automatic(penalty, noise)
    message = (
        f"strength {strength:.3g}, for the least expected error at the "
        f"{source(noise)} noise of {level:.3g}"
    )
    return strength, level if noise is None else noise, message


def solved(exposed, penalty, strength, *, method, rtol, **options):
    """The result of `convinv.solve` with a strength."""
    op, b = exposed.op, exposed.b
    if not WEAK < strength < STRONG:
        op, b = (a.astype(np.result_type(a.dtype, np.float64)) for a in (op, b))
    return solve(
        op,
        b,
        method,
        x0=exposed.start(),
        damp=strength,
        regularizer=penalty,
        weights=exposed.weights,
        rtol=tolerance(strength) if rtol is None else rtol,
        **options,
    )


def tolerance(strength) -> float:
    """The weaker the strength, the longer fine details take to come in."""
    return min(max(RTOL * strength, LEAST_RTOL), LARGEST_RTOL)


def penalty_of(regularizer):
    """A checked name, or the kernel of a convolution."""
    if isinstance(regularizer, str):
        return choice(regularizer, "regularizer", (*PENALTIES, "tv"))
    kernel = np.asarray(to_numpy(regularizer), float)
    if kernel.size == 0 or not np.isfinite(kernel).all():
        raise ValueError("regularizer must be a name or a kernel of finite numbers")
    return kernel
