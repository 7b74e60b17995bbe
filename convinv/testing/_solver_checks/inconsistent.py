"""Right-hand sides out of the range."""

import numpy as np

from .._registry import SOLVER_CHECKS, NotAsked, expect


@SOLVER_CHECKS.check("inconsistent")
def inconsistent(subject):
    """A least-squares solver finds the minimizer; others do not claim success."""
    if subject.needs in ("square", "definite"):
        raise NotAsked("it takes square systems, which have a solution")
    system = subject.system()
    b = system.b + np.random.default_rng(2).standard_normal(system.b.shape)
    answer = subject.run(system.op, b)
    expect(np.isfinite(answer.x).all(), "x is not finite")
    gradient = system.gradient(answer.x, b)
    words = f"||A^H r|| is {gradient:.2g} ||A|| ||b||"
    if answer.claims is False:
        return f"{words}; it reports failure"
    expect(gradient <= 100 * subject.rtol, f"{words}, and it does not report failure")
    return words
