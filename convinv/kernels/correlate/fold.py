"""Rows of a buffer filled from a padded row of the data, and folded back onto it.

A row of the buffer is stored phase by phase of the stride. Both functions are compiled
when a layer first needs them; layers without padding and stride never do.
"""

import functools

from numba import types
from numba.extending import intrinsic

from ..jit import jit
from ..pointers import c_function, called


def _fold_row(out, to, width, source, at, length, columns, size, before, stride, comp):
    """Gather a row of x from its padded positions, which are stored phase by phase."""
    if stride == 2 and comp == 1:
        _interleave(out, to, width, source, at, length, before)
    else:
        for phase in range(stride):
            left = max(before - phase + stride - 1, 0) // stride
            right = max(before + width - phase + stride - 1, 0) // stride
            here = at + phase * length + comp * left
            shown = to + comp * (stride * left + phase - before)
            _copy(out, shown, stride, source, here, 1, right - left, comp)
    for side in range(2):
        first, last = (0, before) if side == 0 else (before + width, size)
        for q in range(first, last):
            j = columns[q]
            if j >= 0:
                p = at + q % stride * length + q // stride * comp
                for e in range(comp):
                    out[to + comp * j + e] += source[p + e]


def _fill_row(
    buffer, at, length, source, of, width, columns, size, before, stride, phases, used,
    count, comp,
):  # fmt: skip
    """Write one row of the buffer, `used` phases of the stride that are `length` apart.

    Place t of a phase is ``source[columns[stride t + phase]]``, 0 at -1. Columns from
    `before` on are the row itself; from `size` on they are zero.
    """
    if stride == 2 and used == 2 and comp == 1:  # both phases at once
        left = min((before + 1) // 2, count)
        right = max(min((before + width) // 2, count), left)
        inner = of + 2 * left - before
        _part(buffer, at + left, length, source, inner, right - left)
        for p in range(2):
            here = at + p * length
            for t in range(left):
                _put(buffer, here + t, source, of, columns, size, 2 * t + p, 1)
            for t in range(right, count):
                _put(buffer, here + t, source, of, columns, size, 2 * t + p, 1)
        return
    for p in range(used):
        phase, here = phases[p], at + p * length
        left = min(max(before - phase + stride - 1, 0) // stride, count)
        right = min(max(before + width - phase + stride - 1, 0) // stride, count)
        for t in range(left):
            q = stride * t + phase
            _put(buffer, here + comp * t, source, of, columns, size, q, comp)
        if right > left:
            inner = of + comp * (stride * left + phase - before)
            to = here + comp * left
            _copy(buffer, to, 1, source, inner, stride, right - left, comp)
        for t in range(right, count):
            q = stride * t + phase
            _put(buffer, here + comp * t, source, of, columns, size, q, comp)


@jit(inner=True)
def _put(buffer, at, source, of, columns, size, q, comp):
    j = columns[q] if q < size else -1
    for e in range(comp):
        buffer[at + e] = source[of + comp * j + e] if j >= 0 else 0


@jit(inner=True)
def _copy(target, to, spread, source, of, skip, count, comp):
    """Every `skip`-th of the items from `of` on to every `spread`-th from `to` on."""
    if spread == 1 and skip == 1:
        for i in range(count * comp):
            target[to + i] = source[of + i]
    else:
        for i in range(count):
            for e in range(comp):
                target[to + comp * spread * i + e] = source[of + comp * skip * i + e]


@jit(inner=True)
def _part(target, to, length, source, of, pairs):
    """The inverse of `_interleave`: even items, and odd ones `length` further."""
    for i in range(pairs):
        target[to + i] = source[of + 2 * i]
        target[to + length + i] = source[of + 2 * i + 1]


@jit(inner=True)
def _interleave(out, to, width, source, at, length, before):
    """The two phases of a real row at once, which fills vector registers."""
    odd = before % 2
    pairs = (width - odd) // 2
    even, row = at + (before + odd) // 2, to + odd
    for i in range(pairs):
        out[row + 2 * i] = source[even + i]
        out[row + 2 * i + 1] = source[length + even + i]
    if odd:
        out[to] = source[at + length + before // 2]
    if odd + 2 * pairs < width:
        out[to + width - 1] = source[at + (before + width - 1) // 2]


@functools.cache
def _filling(name):
    numbers, index = types.CPointer(getattr(types, name)), types.int64
    indices = types.CPointer(index)
    kinds = (numbers, index, index, numbers, index, index, indices, *[index] * 3)
    kinds += (indices, *[index] * 3)
    return c_function(types.void(*kinds), _fill_row)


@functools.cache
def _folding(name):
    numbers, index = types.CPointer(getattr(types, name)), types.int64
    kinds = (numbers, index, index, numbers, index, index, types.CPointer(index))
    return c_function(types.void(*kinds, *[index] * 4), _fold_row)


def fill_address(dtype) -> int:
    """The address of `_fill_row` for a dtype, to be called by `fill_row`."""
    return _filling(dtype.name).address


def fold_address(dtype) -> int:
    """The address of `_fold_row` for a dtype, to be called by `fold_row`."""
    return _folding(dtype.name).address


@intrinsic
def fill_row(
    typing, address, buffer, at, length, source, of, width, columns, size, before,
    stride, phases, used, count, comp,
):  # fmt: skip
    """Call `_fill_row` at an address with arrays."""
    index = types.int64
    kinds = (buffer, index, index, source, index, index, columns, *[index] * 3)
    return types.void(index, *kinds, phases, *[index] * 3), called


@intrinsic
def fold_row(
    typing, address, out, to, width, source, at, length, columns, size, before, stride,
    comp,
):  # fmt: skip
    """Call `_fold_row` at an address with arrays."""
    index = types.int64
    kinds = (out, index, index, source, index, index, columns, *[index] * 4)
    return types.void(index, *kinds), called
