"""Whether it is linear."""

import numpy as np

from .._registry import OPERATOR_CHECKS


@OPERATOR_CHECKS.check("linearity")
def linearity(subject):
    """The product of a sum is the sum of products, and that of 0 is 0."""
    worst = 0.0
    for name, product, x in subject.directions():
        z = subject.random(x.shape, 2000)
        got = np.asarray(product(x + z))
        want = np.asarray(product(x)) + np.asarray(product(z))
        worst = max(
            worst, subject.compare(got, want, f"{name}: that of a sum and the sum")
        )
        zero = np.asarray(product(np.zeros_like(x)))
        subject.compare(zero, np.zeros_like(zero), f"{name}: that of 0 and 0")
    return f"sums differ by {worst:.1g} at most"


@OPERATOR_CHECKS.check("homogeneity")
def homogeneity(subject):
    """The product with a multiple is the multiple of the product, at any scale."""
    is_complex, worst = subject.op.dtype.kind == "c", 0.0
    factors = [-2.5, 1e-12, 1e12] + [0.6 - 0.8j] * is_complex
    for name, product, x in subject.directions():
        plain = np.asarray(product(x))
        for factor in factors:
            scale = x.dtype.type(factor)
            got = np.asarray(product(scale * x))
            what = f"{name}: {factor:g} times"
            worst = max(worst, subject.compare(got / scale, plain, what))
    return f"multiples differ by {worst:.1g} at most"
