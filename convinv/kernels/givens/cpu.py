"""Givens rotations on NumPy arrays; the contract is that of `kernels.givens`.

One call replaces some forty NumPy calls on tiny arrays in a step of GMRES.
"""

import numpy as np

from ..jit import jit


def append(h, before, after, tiny, active, triangle, cosines, sines, right):
    batch = h.shape[0]
    factor, broken = np.empty(batch), np.empty(batch, np.bool_)
    arrays = (h, before, after, tiny, active, triangle, cosines, sines, right)
    _append(0, batch, *arrays, factor, broken)
    return factor, broken, np.abs(right[:, h.shape[1]])


def substitute(triangle, right, norm, steps):
    y = right[:, :steps] * norm[:, None]
    _substitute(0, y.shape[0], triangle, y)
    return y


@jit
def _append(
    first, last, h, before, after, tiny, active, triangle, cosines, sines, right,
    factor, broken,
):  # fmt: skip
    """Append a column: the coefficients `h`, and the length of the remainder.

    `factor` becomes the scale of the next vector, 0 for items that are inactive or
    `broken`; these get a column of the unit matrix, and no rotation.
    """
    j = h.shape[1] - 1
    for item in range(first, last):
        size, norm = np.sqrt(before[item]), np.sqrt(after[item])
        if norm <= tiny * size:
            norm = 0.0
        column = triangle[item, :, j]
        for i in range(j + 1):  # copying a slice takes a second to compile
            column[i] = h[item, i]
        c, s = cosines[item], sines[item]
        for i in range(j):
            upper, lower = column[i], column[i + 1]
            column[i] = np.conj(c[i]) * upper + s[i] * lower
            column[i + 1] = -s[i] * upper + c[i] * lower
        r = np.hypot(np.abs(column[j]), norm)
        broken[item] = r <= tiny * size
        if active[item] and not broken[item]:
            c[j], s[j], column[j] = column[j] / r, norm / r, r
            right[item, j + 1] = -s[j] * right[item, j]
            right[item, j] *= np.conj(c[j])
            factor[item] = 1 / norm if norm > 0 else 0.0
        else:
            for i in range(j + 1):
                column[i] = 0
            c[j], s[j], column[j] = 1, 0, 1
            right[item, j] = right[item, j + 1] = factor[item] = 0


@jit
def _substitute(first, last, triangle, y):
    """Solve with the triangle: `y` holds the right side and receives the solution."""
    steps = y.shape[1]
    for item in range(first, last):
        for i in range(steps - 1, -1, -1):
            value = y[item, i]
            for k in range(i + 1, steps):
                value -= triangle[item, i, k] * y[item, k]
            y[item, i] = value / triangle[item, i, i]
