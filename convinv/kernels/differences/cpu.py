"""Differences of neighbors on NumPy arrays; the contract is `kernels.differences`."""

import numpy as np

from ..._core.threads import parallel_for
from ..jit import jit

ROWS = 16  # of a task
WORK = 12  # multiplications of a difference, with its square root and division


def shrink(x, z, u, axes, box, free, threshold, relax, isotropic):
    rows = x.shape[0] * x.shape[1] * x.shape[2]
    tasks = -(-rows // ROWS)
    sums = np.zeros((tasks, 2))
    least = np.finfo(x.dtype).tiny
    numbers = np.array([threshold, relax, 1 - relax, least], x.real.dtype)
    which = (*axes, *(0,) * (3 - len(axes)))
    where = np.array([which, *zip(*box)])  # the axes, and both corners of the box
    flags = np.array([len(axes), free, isotropic])
    work = WORK * z.size
    parallel_for(_shrink, tasks, work, x, z, u, where, flags, numbers, sums)
    return sums.sum(0)


def divergence(z, u, axes):
    out = np.empty(z.shape[1:], z.dtype)
    rows = out.shape[0] * out.shape[1] * out.shape[2]
    which = np.array(axes)
    parallel_for(_divergence, rows, 4 * z.size, z, u, which, out)
    return out


_FAST = {"reassoc", "contract"}  # sums may be reordered to fill vector registers


@jit(inner=True)
def _square(value):
    return value.real * value.real + value.imag * value.imag


@jit(inner=True)
def _counted(where, axis, i, j):
    """The part of a row in which differences along an axis count."""
    start, stop = where[1, 2], where[2, 2]
    inside = where[1, 0] <= i < where[2, 0] and where[1, 1] <= j < where[2, 1]
    if axis == 2:
        stop -= 1
    else:
        inside = inside and (i, j)[axis] + 1 < where[2, axis]
    return start, stop if inside and stop > start else start


# Loops over parts of rows begin at 0, so that no index can count from the end: that
# is what lets them fill vector registers.


@jit(inner=True, fastmath=_FAST)
def _relaxed(there, here, old, dual, relax, kept, new):
    for k in range(new.size):
        new[k] = relax * (there[k] - here[k]) + kept * old[k] + dual[k]


@jit(inner=True, fastmath=_FAST)
def _add_squares(new, size):
    for k in range(new.size):
        size[k] += _square(new[k])


@jit(inner=True, fastmath=_FAST)
def _factors(size, threshold, least):
    """From squares to the factors that shrink magnitudes."""
    zero = threshold - threshold
    for k in range(size.size):
        root = np.sqrt(size[k])
        above = root - threshold
        above = above if above > zero else zero
        size[k] = above / (root if root > least else least)


@jit(inner=True, fastmath=_FAST)
def _move(new, factor, old, dual):
    moved = turned = 0.0
    for k in range(new.size):
        near = factor[k] * new[k]
        rest = new[k] - near
        moved += _square(near - old[k])
        turned += _square(rest - dual[k])
        old[k] = near
        dual[k] = rest
    return moved, turned


@jit(inner=True, fastmath=_FAST)
def _follow(new, old, dual):
    """Where differences are free."""
    moved = 0.0
    for k in range(new.size):
        moved += _square(new[k] - old[k])
        old[k] = new[k]
        dual[k] = 0
    return moved


@jit
def _shrink(first, last, x, z, u, where, flags, numbers, sums):
    _, d, h, w = x.shape
    count, free, isotropic = flags
    threshold, relax, kept, least = numbers
    v = np.empty((count, w), x.dtype)
    size = np.empty(w, numbers.dtype)
    for task in range(first, last):
        total = whole = 0.0
        for row in range(task * ROWS, min((task + 1) * ROWS, x.shape[0] * d * h)):
            item, i, j = row // (d * h), row // h % d, row % h
            here = x[item, i, j]
            size[:] = 0
            for a in range(count):
                axis = where[0, a]
                start, stop = _counted(where, axis, i, j)
                old, dual = z[a, item, i, j], u[a, item, i, j]
                if axis == 2:
                    n = w - 1
                    _relaxed(
                        here[1:], here[:n], old[:n], dual[:n], relax, kept, v[a, :n]
                    )
                    _relaxed(
                        here[:1], here[n:], old[n:], dual[n:], relax, kept, v[a, n:]
                    )
                else:
                    low = (i + 1) % d if axis == 0 else i
                    right = (j + 1) % h if axis == 1 else j
                    _relaxed(x[item, low, right], here, old, dual, relax, kept, v[a])
                if isotropic:
                    _add_squares(v[a, start:stop], size[start:stop])
            if isotropic:
                _factors(size, threshold, least)
            for a in range(count):
                start, stop = _counted(where, where[0, a], i, j)
                old, dual = z[a, item, i, j], u[a, item, i, j]
                if not isotropic:
                    size[:] = 0
                    _add_squares(v[a], size)
                    _factors(size, threshold, least)
                moved, turned = _move(
                    v[a, start:stop],
                    size[start:stop],
                    old[start:stop],
                    dual[start:stop],
                )
                if free:
                    moved += _follow(v[a, :start], old[:start], dual[:start])
                    moved += _follow(v[a, stop:], old[stop:], dual[stop:])
                total += moved
                whole += turned
        sums[task, 0], sums[task, 1] = total, whole


@jit(inner=True, fastmath=_FAST)
def _add_step(far, far_dual, near, dual, first, to):
    for k in range(to.size):
        step = far[k] - far_dual[k] - (near[k] - dual[k])
        to[k] = step if first else to[k] + step


@jit
def _divergence(first, last, z, u, which, out):
    _, d, h, w = out.shape
    for row in range(first, last):
        item, i, j = row // (d * h), row // h % d, row % h
        to = out[item, i, j]
        for a in range(which.size):
            axis = which[a]
            near, dual = z[a, item, i, j], u[a, item, i, j]
            if axis == 2:
                n = w - 1
                _add_step(near[n:], dual[n:], near[:1], dual[:1], a == 0, to[:1])
                _add_step(near[:n], dual[:n], near[1:], dual[1:], a == 0, to[1:])
                continue
            low = (i + d - 1) % d if axis == 0 else i
            left = (j + h - 1) % h if axis == 1 else j
            far, far_dual = z[a, item, low, left], u[a, item, low, left]
            _add_step(far, far_dual, near, dual, a == 0, to)
