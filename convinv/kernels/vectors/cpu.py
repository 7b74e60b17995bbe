"""Vector updates of iterative solvers, fused, for batches of NumPy vectors."""

import numpy as np

from ..._core.blas_threads import one_blas_thread
from ..._core.threads import parallel_for
from ..jit import jit
from . import cpu_project

LENGTH = 16384  # elements of a task: they stay in the first-level cache


def sumsq(x):
    pieces, sums = _pieces(x)
    parallel_for(_sumsq, sums.size, x.size, _read(x), sums, pieces)
    return sums.reshape(x.shape[0], -1).sum(1)


def extent(x):
    pieces, sums = _pieces(x)
    real = _read(x)
    # magnitudes are ordered as their bits are, and NaN is above infinity
    bits = real.view(f"i{real.itemsize}")
    magnitude = bits.dtype.type(np.iinfo(bits.dtype).max)  # every bit but the sign
    largest = np.zeros(sums.size, bits.dtype)
    parallel_for(
        _extent, sums.size, x.size, real, bits, magnitude, largest, sums, pieces
    )
    largest = largest.reshape(x.shape[0], pieces).max(1).view(real.dtype)
    return largest.astype(np.float64), sums.reshape(x.shape[0], pieces).sum(1)


def dot(x, y):
    pieces, sums = _pieces(x)
    if x.dtype.kind == "c":
        sums = sums.astype(np.complex128)
        parallel_for(_dot_complex, sums.size, 4 * x.size, x, y, sums, pieces)
    else:
        parallel_for(_dot, sums.size, 2 * x.size, x, y, sums, pieces)
    return sums.reshape(x.shape[0], -1).sum(1)


def axpy(a, x, y):
    pieces, sums = _pieces(x)
    (a,), (x_, y_) = _operands((a,), (x, y))
    parallel_for(_axpy, sums.size, 3 * x.size, a, x_, y_, sums, pieces)
    return y, sums.reshape(x.shape[0], -1).sum(1)


def axpby(a, x, b, y):
    pieces, sums = _pieces(x)
    (a, b), (x_, y_) = _operands((a, b), (x, y))
    parallel_for(_axpby, sums.size, 3 * x.size, a, x_, b, y_, sums, pieces)
    return y, sums.reshape(x.shape[0], -1).sum(1)


def subtract(x, y):
    pieces, sums = _pieces(x)
    parallel_for(_subtract, sums.size, 2 * x.size, _real(x), _real(y), sums, pieces)
    return y, sums.reshape(x.shape[0], pieces).sum(1)


def step(a, p, x, s, b):
    pieces, sums = _pieces(x)
    (a, b), (p_, x_, s_) = _operands((a, b), (p, x, s))
    parallel_for(_step, sums.size, 5 * x.size, a, p_, x_, s_, b, pieces)
    return x, p


def three_term(h, a, hb, b, x, v, c):
    pieces, sums = _pieces(x)
    (a, b, c), (h_, hb_, x_, v_) = _operands((a, b, c), (h, hb, x, v))
    parallel_for(_three_term, sums.size, 7 * x.size, h_, a, hb_, b, x_, v_, c, pieces)
    return h, hb, x


def project(basis, count, gram, w):
    return cpu_project.project(basis, count, gram, w)


def scale(a, x):
    real = _real(x)
    real *= a.astype(real.dtype)[:, None]
    return x


def combine(basis, y):
    basis = basis[: y.shape[1]].transpose(1, 0, 2)
    with one_blas_thread:
        return (y.astype(basis.dtype)[:, None, :] @ basis)[:, 0, :]


def _pieces(x):
    """The number of tasks of an item, and an array for the sum of every task."""
    pieces = max(-(-x.shape[1] // LENGTH), 1)
    return pieces, np.zeros(x.shape[0] * pieces)


def _real(x):
    return x.view(x.real.dtype) if x.dtype.kind == "c" else x


def _read(x):
    """`_real`, never writable, so that numba compiles for one type of argument."""
    view = x.view(x.real.dtype)
    view.flags.writeable = False
    return view


def _operands(coefficients, vectors):
    """Coefficients act on real views, so that complex data vectorize too."""
    vectors = [_real(v) for v in vectors]
    return [c.astype(vectors[0].dtype) for c in coefficients], vectors


_FAST = {"reassoc", "contract"}  # sums may be reordered to fill vector registers


@jit
def _range(task, pieces, size):
    item, piece = task // pieces, task % pieces
    return item, piece * size // pieces, (piece + 1) * size // pieces


@jit(fastmath=_FAST)
def _sumsq(first, last, x, sums, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        u, total = x[item, start:stop], 0.0
        for i in range(u.size):
            value = np.float64(u[i])
            total += value * value
        sums[task] = total


@jit(fastmath=_FAST)
def _extent(first, last, x, bits, magnitude, largest, sums, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        u, v = x[item, start:stop], bits[item, start:stop]
        top, total = largest[task], 0.0
        for i in range(u.size):
            value = np.float64(u[i])
            total += value * value
        for i in range(v.size):
            top = max(top, v[i] & magnitude)
        largest[task], sums[task] = top, total


@jit(fastmath=_FAST)
def _subtract(first, last, x, y, sums, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        u, v, total = x[item, start:stop], y[item, start:stop], 0.0
        for i in range(u.size):
            value = u[i] - v[i]
            v[i] = value
            total += value * value
        sums[task] = total


@jit(fastmath=_FAST)
def _dot(first, last, x, y, sums, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        u, v, total = x[item, start:stop], y[item, start:stop], 0.0
        for i in range(u.size):
            total += np.float64(u[i]) * np.float64(v[i])
        sums[task] = total


@jit(fastmath=_FAST)
def _dot_complex(first, last, x, y, sums, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        u, v, total = x[item, start:stop], y[item, start:stop], 0j
        for i in range(u.size):
            total += np.conj(np.complex128(u[i])) * np.complex128(v[i])
        sums[task] = total


@jit(fastmath=_FAST)
def _axpy(first, last, a, x, y, sums, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        u, v = x[item, start:stop], y[item, start:stop]
        factor, total = a[item], 0.0
        for i in range(u.size):
            value = v[i] + factor * u[i]
            v[i] = value
            total += np.float64(value) * np.float64(value)
        sums[task] = total


@jit(fastmath=_FAST)
def _axpby(first, last, a, x, b, y, sums, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        u, v = x[item, start:stop], y[item, start:stop]
        a_, b_, total = a[item], b[item], 0.0
        for i in range(u.size):
            value = a_ * u[i] + b_ * v[i]
            v[i] = value
            total += np.float64(value) * np.float64(value)
        sums[task] = total


@jit(fastmath=_FAST)
def _step(first, last, a, p, x, s, b, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        p_, x_, s_ = p[item, start:stop], x[item, start:stop], s[item, start:stop]
        a_, b_ = a[item], b[item]
        for i in range(p_.size):
            x_[i] += a_ * p_[i]
            p_[i] = s_[i] + b_ * p_[i]


@jit(fastmath=_FAST)
def _three_term(first, last, h, a, hb, b, x, v, c, pieces):
    for task in range(first, last):
        item, start, stop = _range(task, pieces, x.shape[1])
        h_, hb_ = h[item, start:stop], hb[item, start:stop]
        x_, v_ = x[item, start:stop], v[item, start:stop]
        a_, b_, c_ = a[item], b[item], c[item]
        for i in range(h_.size):
            value = h_[i] + a_ * hb_[i]
            hb_[i] = value
            x_[i] += b_ * value
            h_[i] = v_[i] + c_ * h_[i]
