"""Gram-Schmidt on NumPy vectors: orthogonalizes a vector against those of a basis.

A pass reads the basis twice, for the products and for the subtraction, chunk by chunk
of all vectors. It also computes the products with the newest vector of the basis, so
that all actual products between vectors of the basis are known. They correct the
coefficients before these are used, so that a lack of orthogonality of earlier vectors
does not spread. The loss of orthogonality is proportional to the factor by which the
vector shrinks; if that is large, a second pass follows.

Everything is computed on views of real numbers. The imaginary part of a complex product
``v^H w`` is the real product of v with ``-i w``.
"""

from typing import NamedTuple

import numpy as np

from ..._core.threads import parallel_for
from ..jit import jit

CHUNK = 512  # real numbers: those of a few vectors stay in the first-level cache
SHARED_WORK = 4e6  # multiplications of a sweep above which threads divide it
SHORTER = 1 / 16  # a vector whose square shrinks to less is projected again

# the steps of `_do`
WHOLE, PRODUCTS, COEFFICIENTS, SUBTRACT, JUDGE = range(5)

_FAST = {"reassoc", "contract"}  # sums may be reordered to fill vector registers


class _Work(NamedTuple):
    """The data that the loops share; `parts` is 2 for complex data and 1 for real."""

    basis: np.ndarray
    w: np.ndarray
    gram: np.ndarray  # V^H V - I of the basis V
    parts: int
    pieces: int  # chunks of an item
    sums: np.ndarray  # of every chunk: products with w, then with the newest vector
    squares: np.ndarray  # of every chunk: of w before a pass, and after
    part: np.ndarray  # the coefficients of this pass, in the precision of the data
    h: np.ndarray  # the coefficients of all passes
    before: np.ndarray
    after: np.ndarray
    passes: np.ndarray
    again: np.ndarray  # items that need a pass


def project(basis, count, gram, w):
    """See the contract of `kernels.vectors`."""
    batch, parts = w.shape[0], 2 if w.dtype.kind == "c" else 1
    real = w.view(w.real.dtype)
    pieces = max(-(-real.shape[1] // CHUNK), 1)
    chunks = batch * pieces
    shared = _Work(
        basis=basis.view(real.dtype),
        w=real,
        gram=gram.view(np.float64),
        parts=parts,
        pieces=pieces,
        sums=np.empty((chunks, 2 * parts, count)),
        squares=np.empty((2, chunks)),
        part=np.empty((batch, parts, count), real.dtype),
        h=np.zeros((batch, parts, count)),
        before=np.empty(batch),
        after=np.empty(batch),
        passes=np.zeros(batch, np.int64),
        again=np.ones(batch, np.bool_),
    )
    work = 2 * parts * count * real.size
    turn = None if parts == 1 else ()
    if work < SHARED_WORK:  # cheaper than dividing short sweeps among threads
        parallel_for(_do, batch, 2 * work, WHOLE, turn, shared)
    else:
        while shared.again.any():
            parallel_for(_do, chunks, work, PRODUCTS, turn, shared)
            parallel_for(_do, batch, 0, COEFFICIENTS, turn, shared)
            parallel_for(_do, chunks, work, SUBTRACT, turn, shared)
            parallel_for(_do, batch, 0, JUDGE, turn, shared)
    h = shared.h
    h = h[:, 0] if parts == 1 else h[:, 0] + 1j * h[:, 1]
    return w, h, shared.before, shared.after


@jit
def _do(first, last, what, turn, shared):
    """One of the loops below, or all of them, item by item, until no item needs a pass.

    They are one function, each called in one place, as each takes long to compile. For
    real data `turn` is None, and the code for complex data is left out.
    """
    whole = what == WHOLE
    scale = shared.pieces if whole else 1
    for step in range(last - first if whole else 1):
        start = first + step
        stop = start + 1 if whole else last
        while not whole or shared.again[start]:
            if whole or what == PRODUCTS:
                _products(start * scale, stop * scale, turn, shared)
            if whole or what == COEFFICIENTS:
                _coefficients(start, stop, turn, shared)
            if whole or what == SUBTRACT:
                _subtract(start * scale, stop * scale, turn, shared)
            if whole or what == JUDGE:
                _judge(start, stop, shared)
            if not whole:
                break


@jit(inner=True)
def _products(first, last, turn, shared):
    """The products of chunks of all vectors with w and with the newest vector."""
    pieces, w, count = shared.pieces, shared.w, shared.h.shape[2]
    if turn is not None:
        turned = np.empty((2, CHUNK), w.dtype)
    for task in range(first, last):
        item, start = task // pieces, task % pieces * CHUNK
        if not shared.again[item]:
            continue
        stop = min(start + CHUNK, w.shape[1])
        place, sums = (count, item, start, stop), shared.sums[task]
        u, v = w[item, start:stop], shared.basis[count - 1, item, start:stop]
        shared.squares[0, task] = _sumsq(u)
        if turn is None:
            _two_products(shared.basis, place, u, v, sums[0], sums[1])
        else:
            iu, iv = turned[0, : stop - start], turned[1, : stop - start]
            _turn(u, iu)
            _turn(v, iv)
            _two_products(shared.basis, place, u, iu, sums[0], sums[1])
            _two_products(shared.basis, place, v, iv, sums[2], sums[3])


@jit(inner=True)
def _turn(u, v):
    """``v = -i u`` of complex numbers given as pairs."""
    for i in range(u.size // 2):
        v[2 * i] = u[2 * i + 1]
        v[2 * i + 1] = -u[2 * i]


@jit(inner=True, fastmath=_FAST)
def _two_products(basis, place, u, v, with_u, with_v):
    """The products of a chunk of all vectors with u and with v, four at a time.

    A chunk is short enough for sums in the precision of the data.
    """
    count, item, start, stop = place
    zero = u.dtype.type(0)
    for k in range(0, count - 3, 4):
        p, q = basis[k, item, start:stop], basis[k + 1, item, start:stop]
        r, s = basis[k + 2, item, start:stop], basis[k + 3, item, start:stop]
        a = b = c = d = e = f = g = h = zero
        for i in range(u.size):
            y, z = u[i], v[i]
            a += p[i] * y
            b += q[i] * y
            c += r[i] * y
            d += s[i] * y
            e += p[i] * z
            f += q[i] * z
            g += r[i] * z
            h += s[i] * z
        with_u[k], with_u[k + 1], with_u[k + 2], with_u[k + 3] = a, b, c, d
        with_v[k], with_v[k + 1], with_v[k + 2], with_v[k + 3] = e, f, g, h
    for k in range(count // 4 * 4, count):
        p, a, e = basis[k, item, start:stop], zero, zero
        for i in range(u.size):
            a += p[i] * u[i]
            e += p[i] * v[i]
        with_u[k], with_v[k] = a, e


@jit(inner=True)
def _coefficients(first, last, turn, shared):
    """Add up the chunks, and apply a first-order inverse of ``V^H V``."""
    gram, parts, pieces = shared.gram, shared.parts, shared.pieces
    count = shared.h.shape[2]
    newest = count - 1
    sums = np.empty((2 * parts, count))
    for item in range(first, last):
        if not shared.again[item]:
            continue
        for r in range(2 * parts):
            for k in range(count):
                sums[r, k] = 0.0
        for task in range(item * pieces, (item + 1) * pieces):
            for r in range(2 * parts):
                for k in range(count):
                    sums[r, k] += shared.sums[task, r, k]
        for k in range(count):
            value = sums[parts, k] - (k == newest)
            gram[item, k, parts * newest] = gram[item, newest, parts * k] = value
            if turn is not None:
                gram[item, k, 2 * newest + 1] = sums[3, k]
                gram[item, newest, 2 * k + 1] = -sums[3, k]
        for k in range(count):
            re, im = sums[0, k], sums[parts - 1, k]
            for i in range(count):
                g = gram[item, k, parts * i]
                re -= g * sums[0, i]
                if turn is not None:
                    turned = gram[item, k, 2 * i + 1]
                    re += turned * sums[1, i]
                    im -= g * sums[1, i] + turned * sums[0, i]
            shared.part[item, 0, k] = re
            if turn is not None:
                shared.part[item, 1, k] = im
            for r in range(parts):
                shared.h[item, r, k] += shared.part[item, r, k]


@jit(inner=True)
def _subtract(first, last, turn, shared):
    """Chunks of w without their part in the span of the basis."""
    pieces, w, count = shared.pieces, shared.w, shared.h.shape[2]
    if turn is not None:
        turned = np.empty(CHUNK, w.dtype)
    for task in range(first, last):
        item, start = task // pieces, task % pieces * CHUNK
        if not shared.again[item]:
            continue
        stop = min(start + CHUNK, w.shape[1])
        place, part = (count, item, start, stop), shared.part[item]
        u = w[item, start:stop]
        if turn is None:
            _take(shared.basis, place, part[0], u)
        else:  # i times the vectors, by turning their sum
            v = turned[: stop - start]
            for i in range(v.size):
                v[i] = 0
            _take_two(shared.basis, place, part[0], u, part[1], v)
            for i in range(u.size // 2):
                u[2 * i] -= v[2 * i + 1]
                u[2 * i + 1] += v[2 * i]
        shared.squares[1, task] = _sumsq(u)


@jit(inner=True, fastmath=_FAST)
def _take(basis, place, h, u):
    """``u -= sum_k h[k] basis[k]`` of a chunk, four vectors at a time."""
    count, item, start, stop = place
    for k in range(0, count - 3, 4):
        p, q = basis[k, item, start:stop], basis[k + 1, item, start:stop]
        r, s = basis[k + 2, item, start:stop], basis[k + 3, item, start:stop]
        a, b, c, d = h[k], h[k + 1], h[k + 2], h[k + 3]
        for i in range(u.size):
            u[i] -= (a * p[i] + b * q[i]) + (c * r[i] + d * s[i])
    for k in range(count // 4 * 4, count):
        p, a = basis[k, item, start:stop], h[k]
        for i in range(u.size):
            u[i] -= a * p[i]


@jit(inner=True, fastmath=_FAST)
def _take_two(basis, place, g, u, h, v):
    """`_take` from u and, with other coefficients, from v."""
    count, item, start, stop = place
    for k in range(0, count - 1, 2):
        p, q = basis[k, item, start:stop], basis[k + 1, item, start:stop]
        a, b, c, d = g[k], g[k + 1], h[k], h[k + 1]
        for i in range(u.size):
            u[i] -= a * p[i] + b * q[i]
            v[i] -= c * p[i] + d * q[i]
    if count % 2:
        p, a, c = basis[count - 1, item, start:stop], g[count - 1], h[count - 1]
        for i in range(u.size):
            u[i] -= a * p[i]
            v[i] -= c * p[i]


@jit(inner=True, fastmath=_FAST)
def _sumsq(u):
    total = 0.0
    for i in range(u.size):
        value = np.float64(u[i])
        total += value * value
    return total


@jit(inner=True)
def _judge(first, last, shared):
    """Add up the squares, and decide whether the item needs another pass."""
    pieces = shared.pieces
    for item in range(first, last):
        if not shared.again[item]:
            continue
        before = after = 0.0
        for task in range(item * pieces, (item + 1) * pieces):
            before += shared.squares[0, task]
            after += shared.squares[1, task]
        if shared.passes[item] == 0:
            shared.before[item] = before
        shared.after[item] = after
        shared.passes[item] += 1
        shared.again[item] = shared.passes[item] < 2 and not after > SHORTER * before
