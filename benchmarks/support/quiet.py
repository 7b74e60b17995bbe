"""Solves that are not to warn where they end before the tolerance is reached."""

import contextlib
import warnings

from convinv import ConvergenceWarning, solve


@contextlib.contextmanager
def ignore_unconverged():
    """No ConvergenceWarning in the block, or in the function that this decorates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def quietly(op, b, method, **options):
    """`convinv.solve` without that warning."""
    with ignore_unconverged():
        return solve(op, b, method, **options)
