"""Solves that need not converge."""

from convinv import solve


def quietly(*args, **kwargs):
    """`solve`, without its warning."""
    return solve(*args, on_failure="ignore", **kwargs)
