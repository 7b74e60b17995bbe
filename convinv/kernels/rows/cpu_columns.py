"""Sweeps over the columns of a convolution, and over a sparse matrix."""

import numpy as np

from ..jit import jit

_UPDATE = {"contract"}


@jit(inner=True)
def _most(begin):
    most = 0
    for p in range(begin.size - 1):
        most = max(most, begin[p + 1] - begin[p])
    return most


@jit(inner=True)
def _pairs(there, taps_there, sample, begins, outputs, taps, sizes):
    """List the output pixels that depend on a sample, with taps; returns how many."""
    o_h, o_w, _, k_h, k_w = sizes[7:12]
    d, h, w = sample
    count = 0
    for a in range(begins[0][d], begins[0][d + 1]):
        for b in range(begins[1][h], begins[1][h + 1]):
            row = (outputs[0][a] * o_h + outputs[1][b]) * o_w
            of = (taps[0][a] * k_h + taps[1][b]) * k_w
            for c in range(begins[2][w], begins[2][w + 1]):
                there[count] = row + outputs[2][c]
                taps_there[count] = of + taps[2][c]
                count += 1
    return count


@jit(inner=True, fastmath=_UPDATE)
def _column(
    item, channel, p, count, there, taps_there, x, r, origin, scale, squared, zero,
    weights, sizes,
):  # fmt: skip
    groups, channels, filters, depth, height, width = sizes[:6]
    o_d, o_h, o_w, k_d, k_h, k_w, _, padded = sizes[6:]
    j = channel * depth * height * width + p
    size = scale[j]
    if size == 0:
        return
    i = item * groups * channels * depth * height * width + j
    group = channel // channels
    pixels = np.uint64(o_d * o_h * o_w)
    at = np.uint64((item * groups + group) * filters) * pixels
    tap = np.uint64(group * filters * padded + channel % channels * k_d * k_h * k_w)
    value = zero
    for o in range(np.uint64(filters)):
        part, row, of = zero, at + o * pixels, tap + o * np.uint64(padded)
        for e in range(count):  # sums that do not wait for each other
            part += np.conj(weights[of + taps_there[e]]) * r[row + there[e]]
        value += part
    if squared != 0:
        value -= squared * x[i]
        if origin.size:
            value -= squared * origin[i]
    step = size * value
    x[i] += step
    for o in range(np.uint64(filters)):
        row, of = at + o * pixels, tap + o * np.uint64(padded)
        for e in range(count):
            r[row + there[e]] -= step * weights[of + taps_there[e]]


@jit
def columns(
    first, last, x, r, origin, scale, squared, zero, active, order, reverse, weights,
    begins, outputs, taps, sizes,
):  # fmt: skip
    """Column after column for the items from `first` on; arrays are flat."""
    height, width = sizes[4], sizes[5]
    samples = sizes[3] * height * width
    longest = _most(begins[0]) * _most(begins[1]) * _most(begins[2])
    there, taps_there = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    for item in range(first, last):
        if not active[item]:
            continue
        for k in range(order.size):
            j = order[order.size - 1 - k] if reverse else order[k]
            p = j % samples
            sample = p // (width * height), p // width % height, p % width
            count = _pairs(there, taps_there, sample, begins, outputs, taps, sizes)
            _column(
                item, j // samples, p, count, there, taps_there, x, r, origin, scale,
                squared, zero, weights, sizes,
            )  # fmt: skip


@jit
def samples(
    first, last, split, begin, end, x, r, origin, scale, squared, zero, active, order,
    colors, reverse, weights, begins, outputs, taps, sizes,
):  # fmt: skip
    """Sample after sample, all channels of each; tasks like those of `pixels`."""
    channels, height, width = sizes[0] * sizes[1], sizes[4], sizes[5]
    longest = _most(begins[0]) * _most(begins[1]) * _most(begins[2])
    there, taps_there = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    unit = colors[begin + 1] - colors[begin] if split else 1
    for item in range(first // unit, (last - 1) // unit + 1):
        if not active[item]:
            continue
        for j in range(end - begin):
            color = end - 1 - j if reverse else begin + j
            low, high = colors[color], colors[color + 1]
            if split:
                high = low + min(unit, last - item * unit)
                low += max(first - item * unit, 0)
            for k in range(low, high):
                p = order[k]
                sample = p // (width * height), p // width % height, p % width
                count = _pairs(there, taps_there, sample, begins, outputs, taps, sizes)
                for e in range(channels):
                    c = channels - 1 - e if reverse else e
                    _column(
                        item, c, p, count, there, taps_there, x, r, origin, scale,
                        squared, zero, weights, sizes,
                    )  # fmt: skip


@jit(fastmath=_UPDATE)
def matrix_rows(
    first, last, x, b, z, scale, damp, zero, active, order, reverse, begin, index,
    value, n,
):  # fmt: skip
    """Row after row of a matrix in CSR form."""
    m = begin.size - 1
    for item in range(first, last):
        if not active[item]:
            continue
        for k in range(order.size):
            row = order[order.size - 1 - k] if reverse else order[k]
            size, total = scale[row], zero
            if size == 0:
                continue
            for e in range(begin[row], begin[row + 1]):
                total += value[e] * x[item * n + index[e]]
            rest = b[item * m + row] - total
            if z.size:
                rest -= damp * z[item * m + row]
            step = size * rest
            for e in range(begin[row], begin[row + 1]):
                x[item * n + index[e]] += step * np.conj(value[e])
            if z.size:
                z[item * m + row] += damp * step


@jit(fastmath=_UPDATE)
def matrix_columns(
    first, last, x, r, origin, scale, squared, zero, active, order, reverse, begin,
    index, value, m,
):  # fmt: skip
    """Column after column of a matrix in CSC form."""
    n = begin.size - 1
    for item in range(first, last):
        if not active[item]:
            continue
        for k in range(order.size):
            j = order[order.size - 1 - k] if reverse else order[k]
            size, total = scale[j], zero
            if size == 0:
                continue
            for e in range(begin[j], begin[j + 1]):
                total += np.conj(value[e]) * r[item * m + index[e]]
            if squared != 0:
                total -= squared * x[item * n + j]
                if origin.size:
                    total -= squared * origin[item * n + j]
            step = size * total
            x[item * n + j] += step
            for e in range(begin[j], begin[j + 1]):
                r[item * m + index[e]] -= step * value[e]
