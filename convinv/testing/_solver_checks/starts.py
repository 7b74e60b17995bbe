"""Zero right-hand sides, and starting points that are the solution."""

import numpy as np

from .._registry import SOLVER_CHECKS, expect


@SOLVER_CHECKS.check("zero b")
def zero(subject):
    """The x of b = 0 is 0, and a success."""
    system = subject.system()
    answer = subject.run(system.op, np.zeros_like(system.b))
    expect(not answer.x.any(), f"x is not 0: {np.abs(answer.x).max():.2g} at most")
    expect(answer.claims is not False, "x is 0, but it reports failure")
    return ""


@SOLVER_CHECKS.check("exact x0")
def exact(subject):
    """A start at the solution stays there."""
    subject.asked("x0")
    system = subject.system()
    answer = subject.run(system.op, system.b, x0=system.x.copy())
    far = np.linalg.norm(answer.x - system.x) / np.linalg.norm(system.x)
    expect(far <= 1e-9, f"it has left the solution, by {far:.2g} of its norm")
    expect(answer.claims is not False, "it is at the solution, but reports failure")
    return f"x differs from the solution by {far:.1g}"
