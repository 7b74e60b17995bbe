"""What an iteration costs beside the two products that it makes."""

import time

import numpy as np

from .measure import summary
from .quiet import quietly


def iteration(method, layer, dtype, iterations=10, rounds=3):
    """Times of an iteration of two products, and of these, measured in turn.

    The products reuse their output and sum its squares, as in the iteration, so that
    what is left of the ratio is the vector updates and the loop.
    """
    op, x, y = layer.data(dtype)
    b, forward, adjoint = op.forward(x), np.empty_like(y), np.empty_like(x)

    def products():
        op.apply(x, sumsq=True, out=forward)
        op.apply_adjoint(y, sumsq=True, out=adjoint)

    taken = {"iteration": [], "products": []}
    products()
    for _ in range(rounds):
        stamps = []
        quietly(
            op,
            b,
            method,
            rtol=0,
            maxiter=iterations + 1,
            callback=lambda state: stamps.append(time.perf_counter()),
        )
        taken["iteration"] += list(np.diff(stamps))
        for _ in range(iterations):
            start = time.perf_counter()
            products()
            taken["products"].append(time.perf_counter() - start)
    return {name: summary(values) for name, values in taken.items()}
