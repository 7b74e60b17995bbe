"""Whether the place of the input in memory makes no difference."""

import numpy as np

from .._registry import OPERATOR_CHECKS


@OPERATOR_CHECKS.check("memory order")
def order(subject):
    """Strided and Fortran-ordered arrays have the products of their copies."""
    worst = 0.0
    for name, product, x in subject.directions():
        want = np.array(product(x))
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        for given, what in (
            (wide[..., ::2], "every second entry"),
            (np.asfortranarray(x), "Fortran order"),
        ):
            got = np.asarray(product(given))
            worst = max(worst, subject.compare(got, want, f"{name}: {what}, a copy"))
    return f"results differ by {worst:.1g} at most"


@OPERATOR_CHECKS.check("read-only input")
def read_only(subject):
    """Arrays that may not be written to are taken."""
    for name, product, x in subject.directions():
        want = np.array(product(x))
        x.flags.writeable = False
        subject.compare(np.asarray(product(x)), want, f"{name}: read-only, a copy")
    return ""
