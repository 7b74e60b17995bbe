"""Solves that need not reach the tolerance."""

import warnings

from convinv import ConvergenceWarning, solve


def quietly(op, b, method, **options):
    """`convinv.solve`, which says nothing where it ends before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve(op, b, method, **options)
