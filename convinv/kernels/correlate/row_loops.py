"""Loops over one row of an array.

A row is passed as a flat array and an offset: a slice would count references, which is
expensive if two threads work on one array.
"""

import numpy as np

from ..jit import jit


@jit(inner=True)
def clear(target, at, count):
    to = np.uint64(at)
    for i in range(np.uint64(count)):
        target[to + i] = 0


@jit(inner=True)
def times_i(array, at, to, count):
    """Write i times the complex numbers of a row, which are pairs, to another row."""
    here, there, one, two = np.uint64(at), np.uint64(to), np.uint64(1), np.uint64(2)
    for i in range(np.uint64(count // 2)):
        array[there + two * i] = -array[here + two * i + one]
        array[there + two * i + one] = array[here + two * i]


@jit(inner=True, fastmath={"reassoc", "contract"})
def sum_of_squares(array, at, count):
    start, total = np.uint64(at), 0.0
    for i in range(np.uint64(count)):
        value = np.float64(array[start + i])
        total += value * value
    return total
