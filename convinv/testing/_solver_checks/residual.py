"""Whether it solves what has a solution."""

import numpy as np

from .._registry import SOLVER_CHECKS, expect

SLACK = 10  # how many times its tolerance the residual may be


def solved(subject, system, answer, b):
    """The recomputed residual; `Wrong` where it is not small, or not owned up to."""
    x = answer.x
    expect(x.shape == b.shape[:0] + (system.op.shape[1],), f"x has shape {x.shape}")
    expect(np.isfinite(x).all(), "x is not finite")
    residual = system.residual(x, b)
    bound = SLACK * max(subject.rtol, 100 * np.finfo(x.dtype).eps)
    says = {True: "it claims success", False: "it reports failure", None: ""}
    words = f"||b - A x|| is {residual:.2g} ||b||"
    claim = f"; {says[answer.claims]}" if answer.claims is not None else ""
    expect(residual <= bound, words + claim)
    expect(answer.claims is not False, f"{words}, but it reports failure")
    return words


@SOLVER_CHECKS.check("residual")
def residual(subject):
    """The tolerance is reached, and success is told."""
    system = subject.system()
    return solved(subject, system, subject.run(system.op, system.b), system.b)


@SOLVER_CHECKS.check("complex")
def complex_numbers(subject):
    """The same for complex numbers, whose adjoint is conjugated."""
    system = subject.system("complex128")
    return solved(subject, system, subject.run(system.op, system.b), system.b)
