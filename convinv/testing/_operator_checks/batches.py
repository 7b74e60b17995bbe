"""Whether a batch is its items."""

import numpy as np

from .._registry import OPERATOR_CHECKS, NotAsked


@OPERATOR_CHECKS.check("batch")
def batch(subject):
    """The products of several at once, or of one in a batch, are those of each."""
    op, worst = subject.op, 0.0
    if op.batch is None:
        raise NotAsked("it takes no batches")
    for name, many, one, shape in (
        ("forward", op.batch, op.forward, op.input_shape),
        ("adjoint", op.adjoint_batch, op.adjoint, op.output_shape),
    ):
        if many is None or one is None:
            continue
        for count in (3, 1):
            X = subject.random((count, *shape), 3000 + count)
            got = np.asarray(many(X))
            want = np.stack([np.asarray(one(x)) for x in X])
            what = f"{name}: a batch of {count} and its items"
            worst = max(worst, subject.compare(got, want, what))
    return f"items differ by {worst:.1g} at most"
