"""A matrix at every frequency of a torus, applied to grids of NumPy arrays.

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

from ..._core.threads import parallel_for, thread_count
from . import cpu_tiles as tiles
from .arguments import (
    cells_of,
    check_blocks,
    check_grid,
    cut,
    make_hermitian,
    read_part,
    rows_of,
    write_part,
)

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
    parallel_for(tiles.pack_blocks, tasks, 4 * packed.size, *args)


def prepare(blocks, torus, dtype):
    return Plan(blocks, torus, dtype)


def apply(plan, v, grid=None, out=None):
    grid = check_grid(plan, v, grid)
    p, q = plan.shape
    batch = v.shape[0]
    if out is None:
        out = np.empty((batch, plan.groups, p, *grid), plan.dtype)
    samples = plan.groups * max(p, q) * math.prod(plan.torus)
    item, threads = samples * plan.dtype.itemsize, thread_count()
    scratch = _Scratch()
    # enough items share a reading of the blocks for the data to dominate
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

    parallel_for(pieces, -(-batch // size), batch * samples * (40 + 4 * q))
    return out


def apply_parts(plan, v, out, parts):
    scratch, samples = _Scratch(), plan.groups * max(plan.shape) * math.prod(plan.torus)
    pieces, work = [], 0
    for part in parts:
        each = samples * math.prod(rows_of(plan, part))
        size = max(PIECE // (each * plan.dtype.itemsize), 1)
        pieces += [(part, slice(i, i + size)) for i in range(0, len(v), size)]
        work += each * len(v) * (40 + 4 * plan.shape[1])
    threads = thread_count()
    alone = len(pieces) < threads or work < SMALL

    def some(start, stop, workers=1):
        for part, items in pieces[start:stop]:
            _part(plan, part, v[items], out[items], scratch, workers)

    if alone:
        some(0, len(pieces), threads if work > SMALL else 1)
    else:
        parallel_for(some, len(pieces), work)


def apply_tiles(plan, v, core, halo):
    parts = cut(plan, v, core, halo)
    out = np.empty((*v.shape[:2], plan.shape[0], *v.shape[3:]), dtype=v.dtype)
    apply_parts(plan, v, out, parts)
    return out


def scratch_bytes(groups, shape, torus, dtype, batch):
    dtype, (p, q) = np.dtype(dtype), shape
    item = groups * max(shape) * math.prod(torus) * dtype.itemsize
    together = max(WHOLE, item * min(batch, 1 + p * q // (p + q)))
    by_threads = thread_count() * max(PIECE, item)
    halved = dtype.kind == "f" and torus[2] % 2 == 1
    arrays = (1 if p == q else 2) + 2 * halved
    return arrays * min(max(together, by_threads), batch * item)


class _Scratch(threading.local):
    """Arrays that a thread reuses for its pieces."""

    def __init__(self):
        self.arrays = {}

    def take(self, name, shape, dtype):
        array = self.arrays.get(name)
        if array is None or array.size < math.prod(shape):
            array = self.arrays[name] = np.empty(math.prod(shape), dtype)
        return array[: math.prod(shape)].reshape(shape)


def _piece(plan, v, out, scratch, workers, start=(0, 0, 0)):
    """``apply`` for some items, with `workers` threads, to cells from `start` on."""
    wanted = tuple(slice(a, a + n) for a, n in zip(start, out.shape[3:]))
    whole = out if out.shape[3:] == plan.torus else None
    y = _applied(
        plan, len(v), lambda z: _extend(v, z), v.shape[3:], wanted, scratch, workers,
        whole,
    )  # fmt: skip
    if y is not out:
        out[...] = y[(..., *wanted)]


def _part(plan, part, v, out, scratch, workers):
    """A part of ``apply_parts`` for some items."""
    rows = rows_of(plan, part)
    given, wanted = zip(*(
        (1, slice(0, 1)) if t == 1 else (n, w)
        for t, n, w in zip(plan.torus, part.given, part.wanted)
    ))  # fmt: skip
    y = _applied(
        plan, len(v) * math.prod(rows),
        lambda z: read_part(part, v, cells_of(z, len(v), rows)),
        given, wanted, scratch, workers,
    )  # fmt: skip
    write_part(part, cells_of(y, len(v), rows), out)


def _applied(plan, count, load, given, wanted, scratch, workers, out=None):
    """The results of `count` items, on the torus: valid at the `wanted` cells only.

    ``load(z)`` writes the items to z, with zeros behind the `given` cells. The array
    `out`, of the size of the torus, takes the result if that saves a copy.
    """
    given = [slice(n) for n in given]
    p, q = plan.shape
    halved = plan.dtype.kind == "f" and not plan.packed
    kind = plan.complex if halved else plan.dtype
    width = plan.columns if halved else plan.torus[2] + plan.padding
    torus = (*plan.torus[:2], width)
    if halved or plan.padding:
        out = None

    shape = (count, plan.groups, q, *torus)
    z = out if out is not None and p == q else scratch.take("v", shape, kind)
    if halved:
        real = scratch.take("real", (*shape[:3], *plan.torus), plan.dtype)
        load(real)
        z[...] = scipy.fft.rfft(real, axis=5, workers=workers)
    else:
        load(z)
    axes = (3, 4) if halved else (3, 4, 5)
    inside = (..., slice(torus[2] - plan.padding))
    _transform(plan, scipy.fft.fft, z[inside], given, axes[::-1], "backward", workers)
    if p != q:
        shape = (count, plan.groups, p, *torus)
        y = out if out is not None else scratch.take("out", shape, kind)
    else:
        y = z
    _multiply(plan, z, y, workers)
    _transform(plan, scipy.fft.ifft, y[inside], wanted, axes, "forward", workers)
    if halved:
        y = scipy.fft.irfft(y, plan.torus[2], 5, norm="forward", workers=workers)
    return y


def _extend(v, z):
    """``z = v``, with zeros behind it on every axis."""
    d, h, w = v.shape[3:]
    z[:, :, :, d:] = 0
    z[:, :, :, :d, h:] = 0
    z[:, :, :, :d, :h, w:] = 0
    z[:, :, :, :d, :h, :w] = v


def _transform(plan, function, z, cells, axes, norm, workers):
    """Transform `z` in place; rows outside of `cells` are zero or not needed."""
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
        parallel_for(kernel, tasks, 4 * plan.shape[1] * y.size, *args)
