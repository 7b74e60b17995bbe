"""Times of several calls measured in turn, so that all see the same machine."""

import statistics
import time
from typing import NamedTuple

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


def summary(values):
    return Seconds(min(values), statistics.median(values))
