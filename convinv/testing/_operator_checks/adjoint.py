"""Whether the adjoint is the adjoint."""

import numpy as np

from .._registry import OPERATOR_CHECKS, NotAsked, expect


@OPERATOR_CHECKS.check("adjoint")
def adjoint(subject):
    """``<A x, y> = <x, A^H y>``, relative to the norms of the four vectors."""
    op = subject.op
    if op.adjoint is None:
        raise NotAsked("it has no adjoint")
    worst = 0.0
    for number in range(3):
        x, y = subject.x(number), subject.y(number)
        forward, backward = np.asarray(op.forward(x)), np.asarray(op.adjoint(y))
        expect(
            forward.shape == op.output_shape and backward.shape == op.input_shape,
            f"products have the shapes {forward.shape} and {backward.shape}, expected "
            f"{op.output_shape} and {op.input_shape}",
        )
        left, right = np.vdot(y, forward), np.vdot(backward, x)
        norm = np.linalg.norm
        size = norm(forward) * norm(y) + norm(x) * norm(backward)
        worst = max(worst, abs(left - right) / size if size else 0.0)
        expect(
            worst <= subject.tolerance(forward, backward),
            f"<A x, y> is {left:.6g} and <x, A^H y> is {right:.6g}: {worst:.2g} "
            "relative to the norms",
        )
    return f"the two inner products differ by {worst:.1g} at most"
