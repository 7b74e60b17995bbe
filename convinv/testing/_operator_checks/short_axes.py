"""Whether axes of length 1 are like others."""

import numpy as np

from .._registry import OPERATOR_CHECKS, NotAsked, expect


@OPERATOR_CHECKS.check("axes of length 1")
def short_axes(subject):
    """With the axes cut to 1, one after the other, the dot test holds.

    A shape that the operator refuses with an error of its own is passed over.
    """
    if subject.make is None:
        raise NotAsked("give make, which makes the operator for other shapes")
    shape, taken, refused = subject.op.input_shape, [], []
    for axis in range(len(shape) - subject.spatial, len(shape)):
        short = (*shape[:axis], 1, *shape[axis + 1 :])
        try:
            op = subject.make(short)
        except (ValueError, TypeError) as error:
            refused.append(f"{short} ({type(error).__name__})")
            continue
        x = subject.random(op.input_shape, 5000 + axis)
        y = subject.random(op.output_shape, 6000 + axis)
        forward = np.asarray(op.forward(x))
        expect(
            forward.shape == op.output_shape,
            f"{short} has an output of {forward.shape}",
        )
        if op.adjoint is not None:
            left, right = np.vdot(y, forward), np.vdot(op.adjoint(y), x)
            size = np.linalg.norm(forward) * np.linalg.norm(y)
            expect(
                abs(left - right) <= subject.tolerance(forward) * max(size, abs(right)),
                f"{short}: <A x, y> is {left:.6g} and <x, A^H y> is {right:.6g}",
            )
        taken.append(str(short))
    words = f"right for {', '.join(taken)}" if taken else "no such shape is taken"
    return words + (f"; refused: {', '.join(refused)}" if refused else "")
