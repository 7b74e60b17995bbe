"""Data and operators of any size."""

import numpy as np

from .._registry import SOLVER_CHECKS, expect

FACTORS = (1e-100, 1e100)


@SOLVER_CHECKS.check("scale of b")
def scale_of_b(subject):
    """b times 1e-100 and 1e100 changes nothing but the scale of x."""
    return _scaled(subject, lambda factor: (1.0, factor))


@SOLVER_CHECKS.check("scale of op")
def scale_of_op(subject):
    """The same for the operator."""
    return _scaled(subject, lambda factor: (factor, 1.0))


def _scaled(subject, sizes):
    plain = subject.system()
    want, worst = subject.run(plain.op, plain.b).x, 0.0
    for factor in FACTORS:
        of_op, of_b = sizes(factor)
        op = subject.system(scale=of_op).op
        x = subject.run(op, plain.b * of_b).x
        expect(np.isfinite(x).all(), f"{factor:g}: x is not finite")
        got = x * (of_op / of_b)
        far = np.linalg.norm(got - want) / np.linalg.norm(want)
        expect(far <= 1000 * subject.rtol, f"{factor:g}: x is off by {far:.2g}")
        worst = max(worst, float(far))
    return f"x differs by {worst:.1g} at most"
