"""Singular systems, with and without a solution."""

import numpy as np

from .._problems import system as made
from .._registry import SOLVER_CHECKS, expect


@SOLVER_CHECKS.check("singular")
def singular(subject):
    """No success that is none, and nothing that is not finite, where op is singular."""
    system, details = made("singular"), []
    for name, b in (("in its range", system.b), ("out of it", system.b + 1.0)):
        try:
            answer = subject.run(system.op, b)
        except (ValueError, TypeError, np.linalg.LinAlgError) as error:
            details.append(f"b {name}: refused ({type(error).__name__})")
            continue
        expect(np.isfinite(answer.x).all(), f"b {name}: x is not finite")
        residual, gradient = system.residual(answer.x, b), system.gradient(answer.x, b)
        words = f"b {name}: residual {residual:.2g}, normal residual {gradient:.2g}"
        fits = residual <= 100 * subject.rtol or gradient <= 100 * subject.rtol
        expect(fits or not answer.claims, f"{words}, and it claims success")
        details.append(words)
    return "; ".join(details)
