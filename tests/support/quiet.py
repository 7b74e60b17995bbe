"""Solves that need not converge."""

import warnings

from convinv import ConvergenceWarning, solve


def quietly(*args, **kwargs):
    """`solve`, without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve(*args, **kwargs)
