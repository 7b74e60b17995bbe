"""Slow NumPy forms of the kernels, written from their definitions.

They share no code with the package: padding is numpy.pad's. All compute in float64 or
complex128.
"""

import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

MODES = {
    "zero": "constant",
    "periodic": "wrap",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
}


def pinv(A, rcond=1e-12):
    """The pseudoinverse, with a cutoff well above what rounding makes of a zero.

    NumPy's own, 1e-15, is below that on some processors.
    """
    return np.linalg.pinv(A, rcond=rcond)


def wide(a):
    """`a` in double precision."""
    return np.asarray(a, complex if np.iscomplexobj(a) else float)


def correlate_forward(kernel, x, *, stride, padding, dilation, groups, boundary):
    """``x`` (B, C_in, *n) -> (B, C_out, *m); one entry per spatial axis, in pairs."""
    ndim = x.ndim - 2
    padded = np.pad(wide(x), [(0, 0), (0, 0), *padding], mode=MODES[boundary])
    axes = tuple(range(2, x.ndim))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel.shape[2:])]
    views = sliding_window_view(padded, reach, axes)
    views = views[(..., *(slice(None, None, s) for s in stride), *[slice(None)] * ndim)]
    views = views[(..., *(slice(None, None, d) for d in dilation))]
    taps = tuple(range(-ndim, 0))
    parts = [
        np.tensordot(v, w, ((1, *taps), (1, *taps)))
        for v, w in zip(np.split(views, groups, axis=1), np.split(wide(kernel), groups))
    ]
    return np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)


def correlate_adjoint(
    kernel, y, input_shape, *, stride, padding, dilation, groups, boundary
):
    """The adjoint, by scattering; `input_shape` is (C_in, *n)."""
    size, out = input_shape[1:], y.shape[2:]
    sums = [n + sum(pair) for n, pair in zip(size, padding)]
    x = np.zeros((y.shape[0], input_shape[0], *sums), np.result_type(wide(y), kernel))
    parts = zip(
        np.split(x, groups, axis=1),
        np.split(wide(y), groups, axis=1),
        np.split(wide(kernel).conj(), groups),
    )
    for to, from_, w in parts:
        for u in itertools.product(*map(range, w.shape[2:])):
            places = tuple(
                slice(d * t, d * t + s * (m - 1) + 1, s)
                for d, t, s, m in zip(dilation, u, stride, out)
            )
            to[(..., *places)] += np.einsum("oc,bo...->bc...", w[(..., *u)], from_)
    for axis, (n, pair) in enumerate(zip(size, padding), start=2):
        shown = np.pad(np.arange(1, n + 1), pair, mode=MODES[boundary]) - 1
        folded = np.zeros((n, *np.delete(x.shape, axis)), x.dtype)
        for row, p in zip(np.moveaxis(x, axis, 0), shown):
            if p >= 0:
                folded[p] += row
        x = np.moveaxis(folded, 0, axis)
    return x


def vectors_sumsq(x):
    return np.sum(np.abs(wide(x)) ** 2, axis=1)


def vectors_extent(x):
    parts = np.concatenate([np.abs(wide(x).real), np.abs(wide(x).imag)], axis=1)
    return np.max(parts, axis=1, initial=0.0), vectors_sumsq(x)


def vectors_dot(x, y):
    return np.sum(wide(x).conj() * wide(y), axis=1)


def vectors_axpy(a, x, y):
    y = wide(y) + a[:, None] * wide(x)
    return y, vectors_sumsq(y)


def vectors_axpby(a, x, b, y):
    y = a[:, None] * wide(x) + b[:, None] * wide(y)
    return y, vectors_sumsq(y)


def vectors_subtract(x, y):
    y = wide(x) - wide(y)
    return y, vectors_sumsq(y)


def vectors_step(a, p, x, s, b):
    p = wide(p)
    return wide(x) + a[:, None] * p, wide(s) + b[:, None] * p


def vectors_three_term(h, a, hb, b, x, v, c):
    h = wide(h)
    hb = h + a[:, None] * wide(hb)
    return wide(v) + c[:, None] * h, hb, wide(x) + b[:, None] * hb


def vectors_scale(a, x):
    return a[:, None] * wide(x)


def vectors_combine(basis, y):
    return np.einsum("bk,kbn->bn", y, wide(basis[: y.shape[1]]))


def vectors_project(basis, count, gram, w):
    """By least squares, which ask nothing of the basis; `gram` is of no use."""
    before, rest, h = vectors_sumsq(w), [], []
    for item, vector in enumerate(wide(w)):
        V = wide(basis[:count, item]).T
        h.append(np.linalg.lstsq(V, vector, rcond=None)[0])
        rest.append(vector - V @ h[-1])
    rest = np.reshape(rest, w.shape)
    return rest, np.reshape(h, (-1, count)), before, vectors_sumsq(rest)


def poisson_quotient(u, background, counts, q):
    u = wide(u) + wide(background)
    return u, wide(counts) / u


def poisson_advance(t, v, u, counts, q):
    u = wide(u) + t[:, None] * wide(v)
    return u, wide(counts) / u


def poisson_slopes(t, u, v, counts):
    """By the derivatives of ``w - counts log(w)`` at ``w = u + t v``, and at u."""
    u, v, counts = wide(u), wide(v), wide(counts)
    w = u + t[:, None] * v
    grown = np.sum(v * (1 - counts / w), axis=1) - np.sum(v * (1 - counts / u), axis=1)
    return grown, np.sum(counts * (v / w) ** 2, axis=1)


def poisson_direction(a, x, g, inverse, least, d):
    x, g = wide(x), wide(g)
    scale = np.maximum(x, least[:, None]) * wide(inverse)
    d = np.clip(x - a[:, None] * scale * g, 0, None) - x
    return d, np.sum(d * g, axis=1)


def poisson_gradient(back, s, x, inverse, level):
    x, g = wide(x), wide(s) - wide(back)
    step = np.minimum(x, np.maximum(x, level[:, None]) * wide(inverse) * g)
    return g, vectors_sumsq(step), vectors_sumsq(x)


def poisson_curvature(d, g, old, x, inverse, least):
    y = np.maximum(wide(x), least[:, None]) * wide(inverse) * (wide(g) - wide(old))
    return np.sum(wide(d) * y, axis=1), vectors_sumsq(y)


def counted(axes, box, size):
    """Which differences are between samples of the box: ``(len(axes), 1, *size)``."""
    inside = np.zeros(size, bool)
    inside[tuple(slice(*ends) for ends in box)] = True
    rows = []
    for axis in axes:
        inner = np.zeros(size, bool)
        inner[(slice(None),) * axis + (slice(0, -1),)] = True
        rows.append(inside & inner & np.roll(inside, -1, axis))
    return np.stack(rows)[:, None]


def differences_shrink(x, z, u, axes, box, free, threshold, relax, isotropic):
    x, z, u = wide(x), wide(z), wide(u)
    d = np.stack([np.roll(x, -1, axis + 1) - x for axis in axes])
    counts = counted(axes, box, x.shape[1:])
    v = (relax * d + (1 - relax) * z + u) * (1 if free else counts)
    size = np.where(counts, np.abs(v), 0)
    if isotropic:
        size = np.sqrt(np.sum(size**2, axis=0, keepdims=True))
    factor = 1 - np.minimum(threshold / np.maximum(size, 1e-300), 1)
    near = np.where(counts, factor * v, v)
    rest = np.where(counts, v - near, 0)
    turned = np.where(counts, rest - u, 0)
    sums = [np.sum(np.abs(change) ** 2) for change in (near - z, turned)]
    return np.array(sums), near, rest


def differences_divergence(z, u, axes):
    q = wide(z) - wide(u)
    return sum(np.roll(p, 1, axis + 1) - p for axis, p in zip(axes, q))


def windows_gather(grid, tables, which):
    """Window by window, element by element."""
    batch, channels = grid.shape[:2]
    sizes = tuple(table.shape[1] for table in tables)
    values = np.zeros((len(which), batch, channels, *sizes), grid.dtype)
    for row, window in zip(values, which):
        for element, place in _places(tables, window):
            row[(..., *element)] = grid[(..., *place)]
    return values.reshape(len(which), batch, -1)


def windows_scatter(values, tables, window, grid):
    """A new grid with the values of one window written into it."""
    grid = grid.copy()
    sizes = tuple(table.shape[1] for table in tables)
    values = values.reshape(*grid.shape[:2], *sizes)
    for element, place in _places(tables, window):
        grid[(..., *place)] = values[(..., *element)]
    return grid


def windows_combine(values, tables, shape, mode):
    """All windows laid onto a grid of zeros, in order; or the mean of what meets."""
    grid = np.zeros(shape, wide(values).dtype)
    count = np.zeros(shape)
    sizes = tuple(table.shape[1] for table in tables)
    values = values.reshape(len(values), *shape[:2], *sizes)
    for window, row in enumerate(values):
        for element, place in _places(tables, window):
            if mode == "overwrite":
                grid[(..., *place)] = 0
            grid[(..., *place)] += row[(..., *element)]
            count[(..., *place)] += 1
    return grid / np.maximum(count, 1) if mode == "average" else grid


def _places(tables, window):
    """(element, place) of every sample that a window has."""
    rows = np.unravel_index(window, [len(table) for table in tables])
    axes = [table[row] for table, row in zip(tables, rows)]
    for element in itertools.product(*(range(len(axis)) for axis in axes)):
        place = tuple(int(axis[e]) for axis, e in zip(axes, element))
        if min(place) >= 0:
            yield element, place


def circulant_apply(blocks, torus, v, grid):
    """By convolution on the torus: the blocks' inverse transform, shift by shift."""
    axes = (3, 4, 5)
    if np.iscomplexobj(v):
        taps = np.fft.ifftn(blocks, torus, axes)
    else:
        taps = np.fft.irfftn(blocks, torus, axes)
    sizes = [n - m for n, m in zip(torus, v.shape[3:])]
    v = np.pad(wide(v), [(0, 0)] * 3 + [(0, n) for n in sizes])
    out = 0
    for shift in itertools.product(*map(range, torus)):
        moved = np.roll(v, shift, axes)
        out = out + np.einsum("gpq,bgqdhw->bgpdhw", taps[(..., *shift)], moved)
    return out[(..., *(slice(0, n) for n in grid))]


def circulant_apply_tiles(blocks, torus, v, core, halo):
    """Each tile with what is around it by `circulant_apply`."""
    size = v.shape[3:]
    shape = (*v.shape[:2], blocks.shape[1], *size)
    out = np.full(shape, np.nan, np.result_type(wide(v)))
    for first in itertools.product(*(range(0, n, c) for n, c in zip(size, core))):
        last = [min(f + c, n) for f, c, n in zip(first, core, size)]
        start = [max(f - h, 0) for f, h in zip(first, halo)]
        stop = [min(e + h, n) for e, h, n in zip(last, halo, size)]
        around = v[(..., *map(slice, start, stop))]
        found = circulant_apply(blocks, torus, around, around.shape[3:])
        cells = [slice(f - s, e - s) for f, e, s in zip(first, last, start)]
        out[(..., *map(slice, first, last))] = found[(..., *cells)]
    return out


def circulant_apply_parts(blocks, torus, v, out, parts):
    """`out` after all parts, with a torus of its own for each row of a part."""
    out, groups = wide(out).copy(), blocks.shape[0]
    for part in parts:
        z = np.zeros((len(v), groups, blocks.shape[2], *part.given), wide(v).dtype)
        for phase, places, cells in part.reads:
            at = slice(phase * v.shape[2], (phase + 1) * v.shape[2])
            z[(slice(None), slice(None), at, *cells)] = v[(..., *places)]
        rows = [n if t == 1 else 1 for n, t in zip(part.given, torus)]
        sizes = [n if t == 1 else t for n, t in zip(part.given, torus)]
        y = np.zeros((len(v), groups, blocks.shape[1], *sizes), out.dtype)
        for row in itertools.product(*map(range, rows)):
            cells = [slice(r, r + 1) if t == 1 else slice(None)
                     for r, t in zip(row, torus)]  # fmt: skip
            y[(..., *cells)] = circulant_apply(blocks, torus, z[(..., *cells)], torus)
        y = y[(..., *part.wanted)]
        for phase, places, cells in part.writes:
            at = slice(phase * out.shape[2], (phase + 1) * out.shape[2])
            out[(..., *places)] = y[(slice(None), slice(None), at, *cells)]
    return out


def rows_row_sweep(A, x, b, z, scale, damp, active, order, reverse=False):
    """``(x, z)`` after the actions of rows of a dense matrix; z may be None."""
    x, z = wide(x).copy(), None if z is None else wide(z).copy()
    for item in np.flatnonzero(active):
        for i in order[::-1] if reverse else order:
            rest = b[item, i] - A[i] @ x[item] - (damp * z[item, i] if damp else 0)
            x[item] += scale[i] * rest * A[i].conj()
            if damp:
                z[item, i] += damp * scale[i] * rest
    return x, z


def rows_pixel_sweep(A, x, b, z, scale, damp, active, pixels, count, reverse=False):
    """All rows of each pixel, the filters in order; `count` pixels in all."""
    filters = np.arange(A.shape[0] // count)
    order = [o * count + p for p in pixels for o in filters]
    return rows_row_sweep(A, x, b, z, scale, damp, active, order, reverse)


def rows_column_sweep(A, x, r, origin, scale, damp, active, order, reverse=False):
    """``(x, r)`` after the actions of columns of a dense matrix."""
    x, r = wide(x).copy(), wide(r).copy()
    origin = 0 * x if origin is None else origin
    for item in np.flatnonzero(active):
        for j in order[::-1] if reverse else order:
            rest = A[:, j].conj() @ r[item]
            step = scale[j] * (rest - damp**2 * (origin[item, j] + x[item, j]))
            x[item, j] += step
            r[item] -= step * A[:, j]
    return x, r


def rows_sample_sweep(
    A, x, r, origin, scale, damp, active, samples, count, reverse=False
):
    """All channels of each input pixel; `count` of them in all."""
    channels = np.arange(A.shape[1] // count)
    order = [c * count + p for p in samples for c in channels]
    return rows_column_sweep(A, x, r, origin, scale, damp, active, order, reverse)
