"""Solves of a case as functions without arguments, and what they compile."""

from ..support.measure import clock
from ..support.quiet import quietly


def warm(case):
    """Compile what the case needs, on a small one of its kind."""
    size = 24 if case.operator().input_shape[0] > 8 else 64  # fits every method
    small = case._replace(size=min(case.size, size), batch=min(case.batch, 20))
    op, b = small.data()
    for method in ("direct", "schwarz", "cgls", "strip"):
        options = {"window": (8, 8)} if method == "strip" else {}
        quietly(op, b, method, damp=case.damp, rtol=0, maxiter=2, **options)


def first_and_second(case, b, method, options):
    """A function: ``(seconds with set-up, seconds without, result)`` of a new layer."""

    def call():
        op = case.operator()
        first, _ = clock(lambda: quietly(op, b, method, damp=case.damp, **options))
        second, result = clock(
            lambda: quietly(op, b, method, damp=case.damp, **options)
        )
        return (first, second), result

    return call
