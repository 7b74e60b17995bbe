"""Whether it leaves its input alone, and gives memory that is the caller's."""

import numpy as np

from .._registry import OPERATOR_CHECKS, expect


@OPERATOR_CHECKS.check("input unchanged")
def unchanged(subject):
    """A product does not write into its input."""
    for name, product, x in subject.directions():
        before = x.copy()
        product(x)
        expect(np.array_equal(x, before), f"{name} has changed its input")
    return ""


@OPERATOR_CHECKS.check("output not aliased")
def not_aliased(subject):
    """A result keeps its values when the input or the next result changes."""
    for name, product, x in subject.directions():
        first = np.asarray(product(x))
        kept = first.copy()
        expect(
            not np.shares_memory(first, x),
            f"the result of {name} is a view of its input",
        )
        product(subject.random(x.shape, 4000))
        expect(
            np.array_equal(first, kept),
            f"the result of {name} has changed with the next call",
        )
    return ""
