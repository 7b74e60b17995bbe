"""Multiplication of spectra by blocks, tile by tile of frequencies.

A tile is LANES frequencies. Its spectra are split into planes of real and imaginary
parts, ``x`` of shape ``(q, 2, LANES)``, so that the products are vectorized along
frequencies; the planes and one row of the product stay in the first-level cache. The
blocks of a plan are stored in the order of use, ``(groups, tiles, p, q, 2, LANES)``,
with zeros where a tile has fewer frequencies.

For packed real data (see `kernels.circulant`) a tile holds pairs of frequencies, in
``LANES / 2`` places each: in the first half ``P = E + w**j O`` at ``k``, in the
second ``R = E - w**j O``, the conjugate of the spectrum at ``-k``, whose blocks are
conjugated too. A run ``(row, mirror, first, count, place)`` of a tile names the rows
(all axes but the last) of ``k`` and ``-k``, its first ``j`` and its place in the tile.
"""

import math

import numpy as np

from ..aligned import LINE, aligned_zeros
from ..jit import jit

LANES = 128  # frequencies of a tile; a constant, so that loops over it are unrolled
HALF = LANES // 2  # pairs of a tile


def empty_blocks(blocks, places, dtype):
    """``(groups, tiles, p, q, 2, LANES)`` for the tiles that `places` fills.

    The array starts at a line of the cache.
    """
    tiles = -(-places // LANES)
    shape = (blocks.shape[0], tiles, *blocks.shape[1:3], 2, LANES)
    memory = np.empty(math.prod(shape) + LINE // dtype.itemsize, dtype)
    skip = -memory.ctypes.data % LINE // dtype.itemsize
    return memory[skip:][: math.prod(shape)].reshape(shape)


@jit
def pack_blocks(start, stop, blocks, places, scale, sign, packed):
    """Fill a part of such an array, along its last axis, with zeros at the end.

    `places` are the frequencies in the order of the tiles, among those of `blocks`
    (groups, p, q, frequencies); the imaginary parts get the `sign`. Tasks are tiles,
    over all groups.
    """
    tiles, p, q, length = (
        packed.shape[1], packed.shape[2], packed.shape[3], packed.shape[5]
    )  # fmt: skip
    for task in range(start, stop):
        g, tile = task // tiles, task % tiles
        first = tile * length
        for i in range(p):
            for j in range(q):
                for n in range(length):
                    value = 0j
                    if first + n < places.size:
                        value = scale * blocks[g, i, j, places[first + n]]
                    packed[g, tile, i, j, 0, n] = value.real
                    packed[g, tile, i, j, 1, n] = sign * value.imag


def pair_tiles(torus, pitch):
    """Tiles of packed real data on a torus whose last axis is even.

    `pitch` is the distance between rows of the spectrum, in complex numbers.

    Returns
    -------
    runs : ndarray of int64, shape (runs, 5)
    starts : ndarray of int64, shape (tiles + 1,)
        The runs of each tile.
    places, mirrors : ndarray of int64, shape (pairs,)
        The frequencies ``k`` and ``-k`` of each pair, in an array that
        `numpy.fft.rfftn` would make.
    """
    depth, height, columns = torus[0], torus[1], torus[2] // 2
    d, h = np.divmod(np.arange(depth * height), height)
    mirror = -d % depth * height + -h % height
    rows = np.flatnonzero(d * height + h <= mirror)
    others = mirror[rows]
    counts = np.where(others == rows, columns // 2 + 1, columns)
    ends = np.cumsum(counts)
    # all pairs in one line, cut where rows and tiles end and behind every j = 0
    cuts = np.union1d(ends, np.arange(HALF, ends[-1], HALF))
    cuts = np.union1d(cuts, ends - counts + 1)
    begin = np.concatenate([[0], cuts[:-1]])
    which = np.searchsorted(ends, begin, "right")
    first = begin - (ends - counts)[which]
    last = first + cuts - begin - 1
    at = rows[which] * pitch + first, others[which] * pitch + -last % columns
    runs = np.stack([*at, cuts - begin, first, begin % HALF], axis=1)
    starts = np.searchsorted(begin, np.arange(0, ends[-1] + HALF, HALF))
    which = np.repeat(np.arange(rows.size), counts)
    j = np.arange(ends[-1]) - (ends - counts)[which]
    places = rows[which] * (columns + 1) + j
    mirrors = others[which] * (columns + 1) + columns - j
    return runs, starts, places, mirrors


# The real and the imaginary part of a product of planes, and of sums of such products.
@jit(inner=True, fastmath={"contract"})
def _re(b, x, i):
    return b[i] * x[i] - b[LANES + i] * x[LANES + i]


@jit(inner=True, fastmath={"contract"})
def _im(b, x, i):
    return b[i] * x[LANES + i] + b[LANES + i] * x[i]


@jit(inner=True, fastmath={"contract"})
def _re2(b, x, i):
    return _re(b, x, i) + _re(b, x, 2 * LANES + i)


@jit(inner=True, fastmath={"contract"})
def _im2(b, x, i):
    return _im(b, x, i) + _im(b, x, 2 * LANES + i)


@jit(inner=True, fastmath={"contract"})
def _set_few(y, b, x, q):
    """``y = sum over q of b[q] x[q]`` for 1 <= q <= 4."""
    if q == 1:
        for i in range(LANES):
            y[i], y[LANES + i] = _re(b, x, i), _im(b, x, i)
    elif q == 2:
        for i in range(LANES):
            y[i], y[LANES + i] = _re2(b, x, i), _im2(b, x, i)
    elif q == 3:
        for i in range(LANES):
            y[i] = _re2(b, x, i) + _re(b, x, 4 * LANES + i)
            y[LANES + i] = _im2(b, x, i) + _im(b, x, 4 * LANES + i)
    else:
        for i in range(LANES):
            y[i] = _re2(b, x, i) + _re2(b, x, 4 * LANES + i)
            y[LANES + i] = _im2(b, x, i) + _im2(b, x, 4 * LANES + i)


@jit(inner=True, fastmath={"contract"})
def _add_four(y, b, x):
    for i in range(LANES):
        y[i] += _re2(b, x, i) + _re2(b, x, 4 * LANES + i)
        y[LANES + i] += _im2(b, x, i) + _im2(b, x, 4 * LANES + i)


@jit(inner=True)
def _row(y, b, x, q):
    """``y = sum over q of b[q] x[q]``; all flat, of planes of LANES."""
    done = (q - 1) % 4 + 1
    _set_few(y, b, x, done)
    for i in range(done, q, 4):
        _add_four(y, b[2 * LANES * i :], x[2 * LANES * i :])


@jit(inner=True)
def _part(z, planes):
    """Complex numbers, pairs of reals, into two planes that are HALF apart."""
    for i in range(z.size // 2):
        planes[i] = z[2 * i]
        planes[HALF + i] = z[2 * i + 1]


@jit(inner=True)
def _join(planes, z):
    for i in range(z.size // 2):
        z[2 * i] = planes[i]
        z[2 * i + 1] = planes[HALF + i]


@jit(inner=True)
def _part_lanes(z, planes):
    """Like `_part`, for planes that are LANES apart."""
    for i in range(z.size // 2):
        planes[i] = z[2 * i]
        planes[LANES + i] = z[2 * i + 1]


@jit(inner=True)
def _join_lanes(planes, z):
    for i in range(z.size // 2):
        z[2 * i] = planes[i]
        z[2 * i + 1] = planes[LANES + i]


@jit
def multiply(start, stop, blocks, v, out):
    """Spectra ``v`` (B, groups, q, 2 F) -> ``out`` (B, groups, p, 2 F); may be `v`.

    Complex numbers are pairs of reals. Tasks are tiles, over all groups.
    """
    tiles, p, q = blocks.shape[1], blocks.shape[2], blocks.shape[3]
    count = v.shape[3] // 2
    x = aligned_zeros(v, 2 * q * LANES)
    y = aligned_zeros(v, 2 * LANES)
    for task in range(start, stop):
        g, tile = task // tiles, task % tiles
        first = tile * LANES
        n = min(LANES, count - first)
        for b in range(v.shape[0]):
            for i in range(q):
                some = x[2 * LANES * i :]
                _part_lanes(v[b, g, i, 2 * first : 2 * (first + n)], some)
            for i in range(p):
                _row(y, blocks[g, tile, i].reshape(-1), x, q)
                _join_lanes(y, out[b, g, i, 2 * first : 2 * (first + n)])


@jit(inner=True, fastmath={"contract"})
def _part_pairs(s, w, x):
    """Twice P and R, in `x`, from planes `s`: Z at k, and at -k backward."""
    for i in range(HALF):
        ar, ai = s[i], s[HALF + i]
        cr, ci = s[3 * HALF - 1 - i], s[4 * HALF - 1 - i]
        er, ei, odd_r, odd_i = ar + cr, ai - ci, ai + ci, cr - ar
        tr = w[i] * odd_r - w[HALF + i] * odd_i
        ti = w[i] * odd_i + w[HALF + i] * odd_r
        x[i], x[LANES + i] = er + tr, ei + ti
        x[HALF + i], x[LANES + HALF + i] = er - tr, ei - ti


@jit(inner=True, fastmath={"contract"})
def _join_pairs(y, w, s, back):
    """The inverse of `_part_pairs`, up to a factor of 4."""
    for i in range(HALF):
        pr, pi, rr, ri = y[i], y[LANES + i], y[HALF + i], y[LANES + HALF + i]
        er, ei, tr, ti = pr + rr, pi + ri, pr - rr, pi - ri
        odd_r = w[i] * tr + w[HALF + i] * ti
        odd_i = w[i] * ti - w[HALF + i] * tr
        s[i], s[HALF + i] = er - odd_i, ei + odd_r
        back[HALF - 1 - i], back[2 * HALF - 1 - i] = er + odd_i, odd_r - ei


@jit(inner=True)
def _load(z, runs, s):
    """Split the frequencies of a tile's runs; those of -k come backward."""
    for r in range(runs.shape[0]):
        a, c, n, at = 2 * runs[r, 0], 2 * runs[r, 1], runs[r, 2], runs[r, 4]
        if n == 1:
            s[at], s[HALF + at] = z[a], z[a + 1]
            s[3 * HALF - 1 - at], s[4 * HALF - 1 - at] = z[c], z[c + 1]
            continue
        _part(z[a : a + 2 * n], s[at:])
        _part(z[c : c + 2 * n], s[3 * HALF - at - n :])


@jit(inner=True)
def _store(s, runs, z):
    """The inverse of `_load`."""
    for r in range(runs.shape[0]):
        a, c, n, at = 2 * runs[r, 0], 2 * runs[r, 1], runs[r, 2], runs[r, 4]
        if n == 1:
            z[a], z[a + 1] = s[at], s[HALF + at]
            z[c], z[c + 1] = s[3 * HALF - 1 - at], s[4 * HALF - 1 - at]
            continue
        _join(s[at:], z[a : a + 2 * n])
        _join(s[3 * HALF - at - n :], z[c : c + 2 * n])


@jit
def multiply_packed(start, stop, blocks, runs, starts, wave, v, out):
    """Like `multiply`, for packed real data: (B, groups, q, samples); may be in place.

    ``wave`` is ``(W,)``, the numbers ``exp(-2 pi i j / W)`` for ``j < W / 2``.
    """
    tiles, p, q = blocks.shape[1], blocks.shape[2], blocks.shape[3]
    x = aligned_zeros(v, 2 * q * LANES)
    y = aligned_zeros(v, 2 * LANES)
    s = aligned_zeros(v, 4 * HALF)  # of Z at k, then at -k
    w = aligned_zeros(v, 2 * HALF)
    back = s[2 * HALF :]
    for task in range(start, stop):
        g, tile = task // tiles, task % tiles
        its = runs[starts[tile] : starts[tile + 1]]
        for r in range(its.shape[0]):
            n, first, at = its[r, 2], its[r, 3], its[r, 4]
            _part(wave[2 * first : 2 * (first + n)], w[at:])
        for b in range(v.shape[0]):
            for i in range(q):
                _load(v[b, g, i], its, s)
                _part_pairs(s, w, x[2 * LANES * i :])
            for i in range(p):
                _row(y, blocks[g, tile, i].reshape(-1), x, q)
                _join_pairs(y, w, s, back)
                _store(s, its, out[b, g, i])
