"""A matrix at every frequency of a torus, applied to grids of NumPy arrays.

Contract (the CUDA form has the same)
-------------------------------------
``prepare(blocks, torus, dtype)`` -> plan. ``blocks`` is a host array of shape
``(groups, p, q, *frequencies)``, complex128: the ``p x q`` matrix of each group at
every frequency of a torus of three axes. ``dtype`` is that of the data: float32 or
float64, whose frequencies are those of `numpy.fft.rfftn`, or complex64 or complex128,
whose frequencies are those of `numpy.fft.fftn`. The plan has the attributes ``torus``,
``dtype``, ``groups``, ``shape`` (``(p, q)``) and ``nbytes``; it is not changed by use.

``apply(plan, v, grid=None)`` -> new array ``(B, groups, p, *grid)``. ``v`` has shape
``(B, groups, q, *size)``, C-contiguous, no axis longer than the torus. It is extended
by zeros to the torus, transformed, multiplied at each frequency, transformed back
(as `numpy.fft.irfftn` does it for real data) and cropped to ``grid``, by default
``size``. ``v`` is not modified.

``apply_tiles(plan, v, core, halo)`` -> new array ``(B, groups, p, *size)``: `v`, cut
into tiles of ``core`` cells per axis (the last may have less), each applied by itself
with the up to ``halo`` cells of `v` around it, and the cells around it dropped after.
A tile with its halo must fit the torus.

Real data on a torus whose last axis has even length W are transformed as complex data
of half that length, in place, as ``z[j] = x[2 j] + i x[2 j + 1]`` costs no copy. With
``Z`` the transform of ``z``, ``E(k) = (Z(k) + conj Z(-k)) / 2`` and ``O(k) = (Z(k) -
conj Z(-k)) / 2i``, that of x is ``E(k) + w**j O(k)`` at frequency ``k = (.., j)`` and
``conj(E(k) - w**j O(k))`` at ``(-.., W/2 - j)``, with ``w = exp(-2 pi i / W)``.
"""

import math
import threading

import numpy as np
import scipy.fft

from . import _circulant_tiles_numba as tiles
from ._circulant import check_blocks, check_grid, cut, make_hermitian
from ._numba import run, thread_count

PIECE = 2**20  # bytes that a thread transforms at a time: a second-level cache
WHOLE = 2**22  # bytes that threads transform together: a part of the last cache
SMALL = 2**17  # bytes below which a second thread costs more than it saves
# Rows of a spectrum whose distance is a multiple of PAGE bytes share few places in the
# caches; where there are many, they are moved apart by LINE bytes.
PAGE, MANY, LINE = 4096, 256, 64


class Plan:
    """The blocks, in the order and with the scale in which the loops use them."""

    def __init__(self, blocks, torus, dtype):
        self.torus, self.dtype = check_blocks(blocks, torus, dtype)
        self.groups, self.shape = blocks.shape[0], blocks.shape[1:3]
        self.real = np.empty(0, self.dtype).real.dtype
        self.complex = np.result_type(self.dtype, np.complex64)
        self.packed = self.dtype.kind == "f" and self.torus[2] % 2 == 0
        # complex numbers of a row of a spectrum
        self.columns = self.torus[2] // 2 if self.packed else blocks.shape[5]
        row = self.columns * self.complex.itemsize
        apart = self.packed and row % PAGE == 0 and max(self.torus[:2]) > MANY
        self.padding = LINE // self.real.itemsize if apart else 0  # reals of a row
        if self.packed:
            self.blocks, self.tables = self._pack_pairs(blocks)
        else:
            self.blocks, self.tables = self._pack(blocks), ()
        self.nbytes = self.blocks.nbytes + sum(t.nbytes for t in self.tables)

    def _pack(self, blocks):
        places = np.arange(math.prod(blocks.shape[3:]))
        packed = tiles.empty_blocks(blocks, places.size, self.real)
        _pack(blocks, places, 1 / math.prod(self.torus), 1, packed)
        return packed

    def _pack_pairs(self, blocks):
        blocks = make_hermitian(blocks.copy(), self.torus)
        runs, starts, places, mirrors = tiles.pair_tiles(
            self.torus, self.columns + self.padding // 2
        )
        packed = tiles.empty_blocks(blocks, 2 * places.size, self.real)
        # transforms have half the length, and the loops leave a factor of 4
        scale = 1 / (2 * math.prod(self.torus))
        _pack(blocks, places, scale, 1, packed[..., : tiles.HALF])
        _pack(blocks, mirrors, scale, -1, packed[..., tiles.HALF :])
        wave = np.exp(-2j * np.pi * np.arange(self.columns) / self.torus[2])
        wave = wave.astype(self.complex).view(self.real)
        return packed, (runs, starts, wave)


def _pack(blocks, places, scale, sign, packed):
    blocks = np.ascontiguousarray(blocks).reshape(*blocks.shape[:3], -1)
    tasks = packed.shape[0] * packed.shape[1]
    args = blocks, places, scale, sign, packed
    run(tiles.pack_blocks, tasks, 4 * packed.size, *args)


def prepare(blocks, torus, dtype):
    return Plan(blocks, torus, dtype)


def apply(plan, v, grid=None):
    grid = check_grid(plan, v, grid)
    p, q = plan.shape
    batch = v.shape[0]
    out = np.empty((batch, plan.groups, p, *grid), plan.dtype)
    samples = plan.groups * max(p, q) * math.prod(plan.torus)
    item, threads = samples * plan.dtype.itemsize, thread_count()
    scratch = _Scratch()
    # items that share a reading of the blocks, which is then less than that of data
    share = 1 + p * q // (p + q)
    size = max(PIECE // item, min(share, WHOLE // item), 1)
    if threads == 1 or item * size > PIECE or batch < 2 * threads * size:
        size = max(WHOLE // item, share)
        workers = threads if item * min(size, batch) > SMALL else 1
        for first in range(0, batch, size):
            last = first + size
            _piece(plan, v[first:last], out[first:last], scratch, workers)
        return out

    def pieces(start, stop):
        for first in range(start * size, min(stop * size, batch), size):
            last = min(first + size, batch)
            _piece(plan, v[first:last], out[first:last], scratch, 1)

    run(pieces, -(-batch // size), batch * samples * (40 + 4 * q))
    return out


def apply_tiles(plan, v, core, halo):
    tiles_ = cut(plan, v, core, halo)
    batch, item = v.shape[0], math.prod(plan.torus) * plan.dtype.itemsize
    item *= plan.groups * max(plan.shape)
    out = np.empty((batch, plan.groups, plan.shape[0], *v.shape[3:]), plan.dtype)
    scratch, size = _Scratch(), max(PIECE // item, 1)
    pieces = [
        (slice(first, first + size), tile)
        for first in range(0, batch, size)
        for tile in tiles_
    ]

    def some(start, stop):
        for items, (around, inside, place) in pieces[start:stop]:
            part = out[(items, slice(None), slice(None), *place)]
            given = v[(items, slice(None), slice(None), *around)]
            _piece(plan, given, part, scratch, 1, inside)

    run(some, len(pieces), len(pieces) * size * item * (10 + plan.shape[1]))
    return out


class _Scratch(threading.local):
    """Arrays that a thread uses for one piece after the other."""

    def __init__(self):
        self.arrays = {}

    def take(self, name, shape, dtype):
        array = self.arrays.get(name)
        if array is None or array.size < math.prod(shape):
            array = self.arrays[name] = np.empty(math.prod(shape), dtype)
        return array[: math.prod(shape)].reshape(shape)


def _piece(plan, v, out, scratch, workers, start=(0, 0, 0)):
    """``apply`` for some items, with `workers` threads, to cells from `start` on."""
    given = [slice(n) for n in v.shape[3:]]
    wanted = [slice(a, a + n) for a, n in zip(start, out.shape[3:])]
    p, q = plan.shape
    halved = plan.dtype.kind == "f" and not plan.packed
    kind = plan.complex if halved else plan.dtype
    width = plan.columns if halved else plan.torus[2] + plan.padding
    torus = (*plan.torus[:2], width)
    whole = out.shape[3:] == plan.torus and not halved and not plan.padding

    shape = (len(v), plan.groups, q, *torus)
    z = out if whole and p == q else scratch.take("v", shape, kind)
    if halved:
        v = scipy.fft.rfft(v, n=plan.torus[2], axis=5, workers=workers)
    _extend(v, z)
    axes = (3, 4) if halved else (3, 4, 5)
    inside = (..., slice(torus[2] - plan.padding))
    _transform(plan, scipy.fft.fft, z[inside], given, axes[::-1], "backward", workers)
    if p != q:
        shape = (len(v), plan.groups, p, *torus)
        y = out if whole else scratch.take("out", shape, kind)
    else:
        y = z
    _multiply(plan, z, y, workers)
    _transform(plan, scipy.fft.ifft, y[inside], wanted, axes, "forward", workers)
    d, h, w = wanted
    if halved:
        y = scipy.fft.irfft(
            y[:, :, :, d, h], plan.torus[2], 5, norm="forward", workers=workers
        )
        d = h = slice(None)
    if y is not out:
        out[...] = y[:, :, :, d, h, w]


def _extend(v, z):
    """``z = v``, with zeros behind it on every axis."""
    d, h, w = v.shape[3:]
    z[:, :, :, d:] = 0
    z[:, :, :, :d, h:] = 0
    z[:, :, :, :d, :h, w:] = 0
    z[:, :, :, :d, :h, :w] = v


def _transform(plan, function, z, cells, axes, norm, workers):
    """Transform `z` in place; rows outside of `cells` are zero or not asked for."""
    z = z.view(plan.complex)
    for axis in axes:
        if z.shape[axis] == 1:
            continue
        part = z if axis == 3 else z[:, :, :, cells[0]]
        part = part if axis < 5 else part[:, :, :, :, cells[1]]
        done = function(part, None, axis, norm, True, workers)
        if not np.may_share_memory(done, part):  # SciPy need not work in place
            part[...] = done


def _multiply(plan, z, y, workers):
    spectra = (a.view(plan.real).reshape(*a.shape[:3], -1) for a in (z, y))
    args = (plan.blocks, *plan.tables, *spectra)
    kernel = tiles.multiply_packed if plan.packed else tiles.multiply
    tasks = plan.blocks.shape[0] * plan.blocks.shape[1]
    if workers == 1:
        kernel(0, tasks, *args)
    else:
        run(kernel, tasks, 4 * plan.shape[1] * y.size, *args)
