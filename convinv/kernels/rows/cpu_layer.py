"""Sweeps over the rows and columns of a convolution; see `kernels.rows`."""

import numpy as np

from ..jit import jit

# Reassociation vectorizes the sum over a row.
_SUM = {"reassoc", "contract"}
_UPDATE = {"contract"}
LANES = 32  # pixels that are treated together


@jit(inner=True, fastmath=_SUM)
def _dot(weights, of, window, count, zero):
    total = zero
    for t in range(count):
        total += weights[of + np.uint64(t)] * window[t]
    return total


@jit(inner=True, fastmath=_UPDATE)
def _add(weights, of, window, count, factor):
    for t in range(count):
        window[t] += factor * np.conj(weights[of + np.uint64(t)])


@jit(inner=True, fastmath=_UPDATE)
def _dot_at(x, at, offsets, weights, of, count, zero):
    """The sum over a row, read in place; `count` is a multiple of four."""
    a = b = c = d = zero
    two, three = np.uint64(2), np.uint64(3)
    for k in range(np.uint64(0), np.uint64(count), np.uint64(4)):
        one = k + np.uint64(1)
        a += weights[of + k] * x[at + offsets[k]]
        b += weights[of + one] * x[at + offsets[one]]
        c += weights[of + k + two] * x[at + offsets[k + two]]
        d += weights[of + k + three] * x[at + offsets[k + three]]
    return (a + b) + (c + d)


@jit(inner=True, fastmath=_UPDATE)
def _add_at(x, at, offsets, weights, of, count, factor):
    for k in range(np.uint64(count)):
        x[at + offsets[k]] += factor * np.conj(weights[of + k])


# Where taps of a row fold onto one sample or are missing, its distinct samples are
# copied to a window: slot[t] is the place of tap t's sample there, -1 for none.


@jit(inner=True)
def _enter(window, slot, place, x, base, pixel, tables, firsts, sizes):
    _, channels, _, depth, height, width, _, _, _, k_d, k_h, k_w, taps, padded = sizes
    d, h, w = pixel
    window[:] = 0
    for t in range(taps):
        u_w, u_h = t % k_w, t // k_w % k_h
        u_d, c = t // (k_w * k_h) % k_d, t // (k_w * k_h * k_d)
        f_d, f_h, f_w = firsts[0][d, u_d], firsts[1][h, u_h], firsts[2][w, u_w]
        slot[t] = -1
        if f_d < 0 or f_h < 0 or f_w < 0:
            continue
        slot[t] = ((c * k_d + f_d) * k_h + f_h) * k_w + f_w
        if slot[t] == t:
            row = (c * depth + tables[0][d, u_d]) * height + tables[1][h, u_h]
            place[t] = base + row * width + tables[2][w, u_w]
            window[t] = x[place[t]]


@jit(inner=True)
def _merge(merged, weights, of, slot, taps):
    merged[:] = 0
    for t in range(taps):
        if slot[t] >= 0:
            merged[slot[t]] += weights[of + t]


@jit(inner=True)
def _leave(window, slot, place, x, taps):
    for t in range(taps):
        if slot[t] == t:
            x[place[t]] = window[t]


@jit
def rows(
    first, last, x, b, z, scale, damp, zero, active, order, reverse, weights, offsets,
    starts, tables, firsts, sizes,
):  # fmt: skip
    """Row after row for the items from `first` on; arrays are flat."""
    groups, channels, filters, depth, height, width = sizes[:6]
    o_d, o_h, o_w, k_d, k_h, k_w, taps, padded = sizes[6:]
    count = (taps + 3) // 4 * 4
    samples, pixels = depth * height * width, o_d * o_h * o_w
    window, merged = np.empty(padded, x.dtype), np.empty(padded, x.dtype)
    slot, place = np.empty(taps, np.int64), np.empty(taps, np.int64)
    m, n = groups * filters * pixels, groups * channels * samples
    for item in range(first, last):
        if not active[item]:
            continue
        before, o, d, h, w = -2, 0, 0, 0, 0
        for k in range(order.size):
            row = order[order.size - 1 - k] if reverse else order[k]
            size = scale[row]
            if size == 0:
                continue
            if row == before + 1 and w + 1 < o_w:  # divisions are slow
                w += 1
            else:
                o, p = row // pixels, row % pixels
                w, d = p % o_w, p // o_w
                h, d = d % o_h, d // o_h
            before = row
            base = item * n + o // filters * channels * samples
            of, i = o * padded, item * m + row
            value = b[i]
            if z.size:
                value -= damp * z[i]
            s_d, s_h, s_w = starts[0][d], starts[1][h], starts[2][w]
            if s_d >= 0 and s_h >= 0 and s_w >= 0:
                at = np.uint64(base + (s_d * height + s_h) * width + s_w)
                there = np.uint64(of)
                step = size * (
                    value - _dot_at(x, at, offsets, weights, there, count, zero)
                )
                _add_at(x, at, offsets, weights, there, taps, step)
            else:
                _enter(window, slot, place, x, base, (d, h, w), tables, firsts, sizes)
                _merge(merged, weights, of, slot, taps)
                none = np.uint64(0)
                step = size * (value - _dot(merged, none, window, padded, zero))
                _add(merged, none, window, padded, step)
                _leave(window, slot, place, x, taps)
            if z.size:
                z[i] += damp * step


# Pixels of a color side by side: values[t, k] is sample t of the k-th pixel, and below
# the samples, values[whole + f, k] is its step along filter f. The product of a row
# with the current samples is that with the loaded ones, plus the steps times the
# products of the rows with each other (`Plan.together`).


@jit(inner=True)
def _load(values, x, at, offsets, taps):
    for t in range(taps):
        offset = offsets[t]
        for k in range(LANES):
            values[t, k] = x[at[k] + offset]


@jit(inner=True, fastmath=_UPDATE)
def _subtract(rest, values, row, weights, of, count):
    """Subtract weighted rows of values (flat) from `rest`, a multiple of four of them.

    They start at `row`, the weights at `of`.
    """
    lanes = np.uint64(LANES)
    for t in range(np.uint64(0), np.uint64(count), np.uint64(4)):
        a, b = weights[of + t], weights[of + t + np.uint64(1)]
        c, d = weights[of + t + np.uint64(2)], weights[of + t + np.uint64(3)]
        i = (row + t) * lanes
        j = i + lanes
        for k in range(lanes):
            rest[k] -= (
                a * values[i + k]
                + b * values[j + k]
                + c * values[i + lanes + lanes + k]
                + d * values[j + lanes + lanes + k]
            )


@jit(inner=True, fastmath=_UPDATE)
def _together(
    count, item, group, chosen, at, values, rest, x, b, z, scale, damp, reverse,
    together, backward, offsets, sizes,
):  # fmt: skip
    """All filters of a group on `count` pixels that share no sample."""
    groups, channels, filters, depth, height, width = sizes[:6]
    o_d, o_h, o_w, _, _, _, taps, _ = sizes[6:]
    pixels, whole = o_d * o_h * o_w, (taps + 3) // 4 * 4
    most = (filters + 3) // 4 * 4
    base = np.uint64((item * groups + group) * channels * depth * height * width)
    for k in range(count):
        at[k] += base
    for k in range(count, LANES):  # the surplus ones repeat the first
        at[k], chosen[k] = at[0], chosen[0]
    _load(values, x, at, offsets, taps)
    values[whole:] = 0
    flat = values.reshape(-1)
    for f in range(filters):
        f = filters - 1 - f if reverse else f
        o = group * filters + f
        first = np.uint64((item * groups * filters + o) * pixels)
        for k in range(LANES):
            rest[k] = b[first + chosen[k]]
        if z.size:
            for k in range(LANES):
                rest[k] -= damp * z[first + chosen[k]]
        of = np.uint64(o * (whole + most))
        _subtract(rest, flat, np.uint64(0), together, of, whole + most)
        for k in range(LANES):
            values[whole + f, k] = scale[np.uint64(o * pixels) + chosen[k]] * rest[k]
        if z.size:
            for k in range(count):
                z[first + chosen[k]] += damp * values[whole + f, k]
    for t in range(taps):
        of = np.uint64((group * taps + t) * most)
        for k in range(LANES):
            rest[k] = values[t, k]
        _subtract(rest, flat, np.uint64(whole), backward, of, most)
        offset = offsets[t]
        for k in range(count):
            x[at[k] + offset] = rest[k]


@jit(inner=True, fastmath=_UPDATE)
def _alone(
    item, group, p, pixel, window, merged, slot, place, x, b, z, scale, damp, zero,
    reverse, weights, tables, firsts, sizes,
):  # fmt: skip
    """All filters of a group on a pixel whose taps fold or miss samples."""
    groups, channels, filters, depth, height, width = sizes[:6]
    o_d, o_h, o_w, _, _, _, taps, padded = sizes[6:]
    pixels, none = o_d * o_h * o_w, np.uint64(0)
    base = (item * groups + group) * channels * depth * height * width
    _enter(window, slot, place, x, base, pixel, tables, firsts, sizes)
    for f in range(filters):
        o = group * filters + (filters - 1 - f if reverse else f)
        i = (item * groups * filters + o) * pixels + p
        value = b[i]
        if z.size:
            value -= damp * z[i]
        _merge(merged, weights, o * padded, slot, taps)
        value -= _dot(merged, none, window, padded, zero)
        step = scale[o * pixels + p] * value
        _add(merged, none, window, padded, step)
        if z.size:
            z[i] += damp * step
    _leave(window, slot, place, x, taps)


@jit
def pixels(
    first, last, split, begin, end, x, b, z, scale, damp, zero, active, order, colors,
    reverse, weights, offsets, starts, tables, firsts, sizes, together, backward,
):  # fmt: skip
    """Pixel after pixel of the colors from `begin` to `end`; all rows of each.

    A task is an item, or with `split` a pixel of the one color, of each item in turn.
    """
    groups, height, width = sizes[0], sizes[4], sizes[5]
    o_h, o_w, taps, padded = sizes[7], sizes[8], sizes[12], sizes[13]
    window, merged = np.empty(padded, x.dtype), np.empty(padded, x.dtype)
    slot, place = np.empty(taps, np.int64), np.empty(taps, np.int64)
    filters = sizes[2]
    values = np.zeros(((taps + 3) // 4 * 4 + (filters + 3) // 4 * 4, LANES), x.dtype)
    rest = np.empty(LANES, x.dtype)
    chosen, at = np.empty(LANES, np.uint64), np.empty(LANES, np.uint64)
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
            for e in range(groups):
                group = groups - 1 - e if reverse else e
                count = 0
                for k in range(low, high):
                    p = order[k]
                    w, d = p % o_w, p // o_w
                    h, d = d % o_h, d // o_h
                    s_d, s_h, s_w = starts[0][d], starts[1][h], starts[2][w]
                    if s_d < 0 or s_h < 0 or s_w < 0:
                        _alone(
                            item, group, p, (d, h, w), window, merged, slot, place, x,
                            b, z, scale, damp, zero, reverse, weights, tables, firsts,
                            sizes,
                        )  # fmt: skip
                        continue
                    chosen[count] = p
                    at[count] = (s_d * height + s_h) * width + s_w
                    count += 1
                    if count == LANES:
                        _together(
                            count, item, group, chosen, at, values, rest, x, b, z,
                            scale, damp, reverse, together, backward, offsets, sizes,
                        )  # fmt: skip
                        count = 0
                if count:
                    _together(
                        count, item, group, chosen, at, values, rest, x, b, z, scale,
                        damp, reverse, together, backward, offsets, sizes,
                    )  # fmt: skip
