"""Whether the same input has the same result."""

import numpy as np

from .._registry import OPERATOR_CHECKS


@OPERATOR_CHECKS.check("determinism")
def determinism(subject):
    """Twice the same, to the last bit or at least to rounding."""
    same, worst = True, 0.0
    for name, product, x in subject.directions():
        first, second = np.array(product(x)), np.asarray(product(x))
        worst = max(worst, subject.compare(first, second, f"{name}: two calls"))
        same &= np.array_equal(first, second)
    return "same bits" if same else f"calls differ by {worst:.1g}"
