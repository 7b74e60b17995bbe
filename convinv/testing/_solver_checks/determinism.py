"""Whether the same call has the same result."""

import numpy as np

from .._registry import SOLVER_CHECKS, expect


@SOLVER_CHECKS.check("determinism")
def determinism(subject):
    """Two calls agree, to the last bit or at least to the tolerance."""
    system = subject.system()
    first, second = (subject.run(system.op, system.b).x.copy() for _ in range(2))
    far = np.linalg.norm(first - second) / np.linalg.norm(first)
    expect(far <= 100 * subject.rtol, f"two calls differ by {far:.2g}")
    return "same bits" if np.array_equal(first, second) else f"differ by {far:.1g}"
