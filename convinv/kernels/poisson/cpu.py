"""Steps for Poisson counts, fused, for batches of NumPy vectors."""

import numpy as np

from ..._core.threads import parallel_for
from ..jit import jit

LENGTH = 8192  # elements of a task: its arrays stay in the second-level cache
DIVISION = 4  # multiplications that take its time


def quotient(u, background, counts, q):
    tiny, count = _tiny(u), _tasks(u)
    parallel_for(
        _quotient,
        count,
        DIVISION * u.size,
        u,
        background,
        counts,
        q,
        tiny,
        _per_item(u),
    )
    return u, q


def advance(t, v, u, counts, q):
    work = (1 + DIVISION) * u.size
    t, tiny = t.astype(u.dtype), _tiny(u)
    parallel_for(_advance, _tasks(u), work, t, v, u, counts, q, tiny, _per_item(u))
    return u, q


def slopes(t, u, v, counts):
    sums, work = np.empty((_tasks(u), 2)), (4 + 2 * DIVISION) * u.size
    t, tiny = t.astype(u.dtype), _tiny(u)
    parallel_for(_slopes, len(sums), work, t, u, v, counts, tiny, sums, _per_item(u))
    return _totals(sums, u)


def direction(a, x, g, inverse, least, d):
    sums = np.empty((_tasks(x), 2))
    a, least = a.astype(x.dtype), least.astype(x.dtype)
    parallel_for(
        _direction,
        len(sums),
        5 * x.size,
        a,
        x,
        g,
        inverse,
        least,
        d,
        sums,
        _per_item(x),
    )
    return d, _totals(sums, x)[0]


def gradient(back, s, x, inverse, level):
    sums, level = np.empty((_tasks(x), 2)), level.astype(x.dtype)
    parallel_for(
        _gradient, len(sums), 6 * x.size, back, s, x, inverse, level, sums, _per_item(x)
    )
    return back, *_totals(sums, x)


def curvature(d, g, old, x, inverse, least):
    sums, least = np.empty((_tasks(x), 2)), least.astype(x.dtype)
    parallel_for(
        _curvature,
        len(sums),
        6 * x.size,
        d,
        g,
        old,
        x,
        inverse,
        least,
        sums,
        _per_item(x),
    )
    return _totals(sums, x)


def _per_item(x):
    """Tasks of an item."""
    return max(-(-x.shape[1] // LENGTH), 1)


def _tasks(x):
    return x.shape[0] * _per_item(x)


def _tiny(x):
    return x.dtype.type(np.finfo(x.dtype).tiny)


def _totals(sums, x):
    """The sums of all tasks of each item."""
    found = sums.reshape(x.shape[0], -1, 2).sum(1)
    return found[:, 0], found[:, 1]


_FAST = {"reassoc", "contract"}  # sums may be reordered to fill vector registers


@jit
def _place(task, pieces, size):
    """The item of a task, and where its part starts and ends."""
    item, piece = task // pieces, task % pieces
    return item, piece * size // pieces, (piece + 1) * size // pieces


@jit
def _row(array, item):
    """The row of an item, or the one that all items share."""
    return item if array.shape[0] > 1 else 0


@jit(fastmath=_FAST)
def _quotient(first, last, u, background, counts, q, tiny, pieces):
    for task in range(first, last):
        item, start, stop = _place(task, pieces, u.shape[1])
        u_, q_ = u[item, start:stop], q[item, start:stop]
        more = background[_row(background, item), start:stop]
        counts_ = counts[item, start:stop]
        for i in range(u_.size):
            value = max(u_[i] + more[i], tiny)
            u_[i] = value
            q_[i] = counts_[i] / value


@jit(fastmath=_FAST)
def _advance(first, last, t, v, u, counts, q, tiny, pieces):
    for task in range(first, last):
        item, start, stop = _place(task, pieces, u.shape[1])
        u_, q_ = u[item, start:stop], q[item, start:stop]
        v_, counts_, t_ = v[item, start:stop], counts[item, start:stop], t[item]
        for i in range(u_.size):
            value = max(u_[i] + t_ * v_[i], tiny)
            u_[i] = value
            q_[i] = counts_[i] / value


@jit(fastmath=_FAST)
def _slopes(first, last, t, u, v, counts, tiny, sums, pieces):
    for task in range(first, last):
        item, start, stop = _place(task, pieces, u.shape[1])
        u_, v_ = u[item, start:stop], v[item, start:stop]
        counts_, t_, grown, second = counts[item, start:stop], t[item], 0.0, 0.0
        for i in range(u_.size):
            ratio = v_[i] / max(u_[i] + t_ * v_[i], tiny)
            part = counts_[i] * ratio
            grown += np.float64(part * (t_ * v_[i] / u_[i]))
            second += np.float64(part * ratio)
        sums[task, 0], sums[task, 1] = grown, second


@jit(fastmath=_FAST)
def _direction(first, last, a, x, g, inverse, least, d, sums, pieces):
    for task in range(first, last):
        item, start, stop = _place(task, pieces, x.shape[1])
        x_, g_, d_ = x[item, start:stop], g[item, start:stop], d[item, start:stop]
        inverse_ = inverse[_row(inverse, item), start:stop]
        a_, least_, total = a[item], least[item], 0.0
        zero = a_ - a_
        for i in range(x_.size):
            step = a_ * max(x_[i], least_) * inverse_[i] * g_[i]
            value = max(x_[i] - step, zero) - x_[i]
            d_[i] = value
            total += np.float64(value) * np.float64(g_[i])
        sums[task, 0], sums[task, 1] = total, 0.0


@jit(fastmath=_FAST)
def _gradient(first, last, back, s, x, inverse, level, sums, pieces):
    for task in range(first, last):
        item, start, stop = _place(task, pieces, x.shape[1])
        x_, back_ = x[item, start:stop], back[item, start:stop]
        s_ = s[_row(s, item), start:stop]
        inverse_ = inverse[_row(inverse, item), start:stop]
        level_, far, size = level[item], 0.0, 0.0
        for i in range(x_.size):
            value = s_[i] - back_[i]
            back_[i] = value
            step = np.float64(min(x_[i], max(x_[i], level_) * inverse_[i] * value))
            far += step * step
            size += np.float64(x_[i]) * np.float64(x_[i])
        sums[task, 0], sums[task, 1] = far, size


@jit(fastmath=_FAST)
def _curvature(first, last, d, g, old, x, inverse, least, sums, pieces):
    for task in range(first, last):
        item, start, stop = _place(task, pieces, x.shape[1])
        x_, d_ = x[item, start:stop], d[item, start:stop]
        g_, old_ = g[item, start:stop], old[item, start:stop]
        inverse_ = inverse[_row(inverse, item), start:stop]
        least_, inner, size = least[item], 0.0, 0.0
        for i in range(x_.size):
            y = np.float64(max(x_[i], least_) * inverse_[i] * (g_[i] - old_[i]))
            inner += np.float64(d_[i]) * y
            size += y * y
        sums[task, 0], sums[task, 1] = inner, size
