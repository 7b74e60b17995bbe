"""Times of several calls measured in turn, so that all see the same machine."""

import statistics
import time
import warnings
from typing import NamedTuple

import numpy as np

from convinv import ConvergenceWarning, solve

# OpenMP threads go on spinning for a while after the call that needed them, and would
# take the processor from the call after it.
REST = 0.01


class Seconds(NamedTuple):
    """The shortest and the median time of a call."""

    least: float
    median: float

    def over(self, other):
        """Ratio of the shortest times, and of the medians."""
        return self.least / other.least, self.median / other.median


def interleaved(calls, seconds=1.0, rounds=5, taken=None):
    """Time every function of a dict in turn, after one call of each to warm up.

    Goes round until `seconds` per function and `rounds` rounds have passed. `taken`
    calls a function and returns the seconds, by default those of the wall clock.
    """
    taken = taken or (lambda call: clock(call)[0])
    for call in calls.values():
        call()
    times = {name: [] for name in calls}
    end, done = time.perf_counter() + seconds * len(calls), 0
    while done < rounds or time.perf_counter() < end:
        for name, call in calls.items():
            times[name].append(taken(call))
            time.sleep(REST)
        done += 1
    return {name: summary(values) for name, values in times.items()}


def clock(call):
    """``(seconds, result)`` of one call."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def fresh_rounds(calls, seconds, most):
    """The shortest times of calls that take their own, and their last results.

    Every function of the dict returns a tuple of seconds and a result. They are called
    in turn, at least once and at most `most` times, until `seconds` have passed; every
    second time backwards, as threads of the one before may still be busy.
    """
    times, last, names = {}, {}, list(calls)
    end = time.perf_counter() + seconds
    for count in range(most):
        for name in names[:: -1 if count % 2 else 1]:
            taken, last[name] = calls[name]()
            old = times.get(name, taken)
            times[name] = [a if a is None else min(a, b) for a, b in zip(taken, old)]
            time.sleep(REST)
        if time.perf_counter() > end:
            break
    return times, last


def quietly(op, b, method, **options):
    """`solve` without the warning where it does not succeed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve(op, b, method, **options)


def summary(values):
    return Seconds(min(values), statistics.median(values))


def iteration(method, layer, dtype, iterations=10, rounds=3):
    """Times of an iteration of two products, and of these, measured in turn.

    The products reuse their output and sum its squares, as in the iteration, so that
    what is left of the ratio is the vector updates and the loop.
    """
    op, x, y = layer.data(dtype)
    b, forward, adjoint = op.forward(x), np.empty_like(y), np.empty_like(x)

    def products():
        op._forward(x, sumsq=True, out=forward)
        op._backward(y, sumsq=True, out=adjoint)

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
