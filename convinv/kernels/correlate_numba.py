"""The convolution and its adjoint on NumPy arrays.

Contract (the CUDA form has the same)
-------------------------------------
``prepare(kernel, geometry)`` returns a plan for ``kernel`` of shape ``(c_out, c_in //
groups, *geometry.kernel)``. Data have the kernel's dtype (float32, float64, complex64
or complex128) and are C-contiguous.

``forward(plan, x, sumsq=False, out=None)`` takes ``x`` of shape ``(B, c_in,
*geometry.input)`` and returns ``(y, s)``: ``y`` of shape ``(B, c_out,
*geometry.output)``, in `out` where that is given::

    y[b, o, i] = sum_{c, u} kernel[o, c, u] x[b, g C + c, index(stride i + dilation u)]

with ``index`` the map of `padded_index` on every axis (-1: a zero sample), and ``s``
either None or the sum of ``|y|**2`` of each item, float64 of shape ``(B,)``.

``adjoint(plan, y, sumsq=False, out=None)`` returns ``(x, s)`` for the exact adjoint, which
conjugates the kernel. Every output sample is computed in one place (gather), so the
result does not depend on the number of threads.

How
---
A task copies the input rows that a block of output rows needs into a small buffer,
padded, split by the phases of the stride, and with ``i x`` beside ``x`` for complex
kernels. There every layer is a list of taps, an offset and a weight each, that
`correlate_rows` runs through with the sums in registers. The adjoint is one such list
for every phase of the stride; what it computes for padded positions is folded back
onto the samples they showed.
"""

import itertools
from typing import NamedTuple

import numpy as np

from .._geometry import Geometry, axis_index, folds, padded_index
from ._numba import jit, run
from ._taps_numba import ROWS, correlate_rows, slack

BUFFER_BYTES = 128 * 1024  # of input rows: a fraction of a core's second-level cache


class Taps(NamedTuple):
    """Tap lists, one per phase, and how buffer and outputs are laid out.

    `layout` holds the integers that the compiled loops unpack, in their order.
    """

    layout: tuple
    extra: np.ndarray  # phases used (forward), outputs reached along depth (adjoint)
    offsets: np.ndarray  # (all taps,)
    first: np.ndarray  # (phases + 1,): the taps of each phase
    weights: np.ndarray  # flat; per phase, group and block (taps, rows)
    weight_start: np.ndarray  # (phases, groups, blocks)
    block_start: np.ndarray  # (blocks + 1,): the output rows of each block
    columns: np.ndarray  # index map along the last axis of the buffer's rows
    rows: int  # output rows of one task


class Plan:
    """Tap lists of both directions, made when first needed."""

    def __init__(self, kernel, geometry: Geometry):
        self.geometry = geometry
        self.dtype = kernel.dtype
        self.real = np.empty(0, kernel.dtype).real.dtype
        self.components = 2 if kernel.dtype.kind == "c" else 1
        g = geometry
        shape = (g.groups, g.c_out // g.groups, g.c_in // g.groups, *g.kernel)
        kernel = kernel.reshape(shape)
        parts = [kernel.real]
        if self.components == 2 and np.any(kernel.imag):
            parts.append(kernel.imag)
        # (part, group, out, in, *k): part 0 multiplies x, part 1 multiplies i x
        self.weights = np.stack(parts).astype(self.real)
        self.maps = [axis_index(g, axis) for axis in range(3)]
        self._forward = self._adjoint = None

    @property
    def forward_taps(self):
        if self._forward is None:
            self._forward = _forward_taps(self)
        return self._forward

    @property
    def adjoint_taps(self):
        if self._adjoint is None:
            self._adjoint = _adjoint_taps(self)
        return self._adjoint


prepare = Plan


def forward(plan: Plan, x, sumsq=False, out=None):
    g, taps = plan.geometry, plan.forward_taps
    batch = x.shape[0]
    y = np.empty((batch, g.c_out, *g.output), plan.dtype) if out is None else out
    tasks = batch * g.groups * g.output[0] * -(-g.output[1] // taps.rows)
    sums = np.zeros(tasks if sumsq else 0)
    run(
        _forward, tasks, batch * _work(plan), _planes(plan, x), _planes(plan, y), sums,
        taps.layout, taps.extra, plan.maps[0], plan.maps[1], taps.columns, taps.offsets,
        taps.weights, taps.weight_start, taps.block_start,
    )  # fmt: skip
    return y, sums.reshape(batch, -1).sum(1) if sumsq else None


def adjoint(plan: Plan, y, sumsq=False, out=None):
    g, taps = plan.geometry, plan.adjoint_taps
    batch = y.shape[0]
    x = np.empty((batch, g.c_in, *g.input), plan.dtype) if out is None else out
    tasks = batch * g.groups * g.input[0] * -(-g.input[1] // taps.rows)
    sums = np.zeros(tasks if sumsq else 0)
    run(
        _adjoint, tasks, batch * _work(plan), _planes(plan, y), _planes(plan, x), sums,
        taps.layout, taps.extra, *folds(plan.maps[0], g.input[0]), *folds(plan.maps[1], g.input[1]),
        plan.maps[2], taps.columns, taps.offsets, taps.first, taps.weights,
        taps.weight_start, taps.block_start,
    )  # fmt: skip
    return x, sums.reshape(batch, -1).sum(1) if sumsq else None


def _planes(plan, array):
    """A real view of shape (B, C, D, H, W * components)."""
    return array.view(plan.real)


def _work(plan):
    return plan.geometry.multiplications * plan.components * plan.weights.shape[0]


def _rows_together(outputs, taps, step, available):
    """Rows that one block computes at once, to share loads when channels are few.

    `taps` rows of the kernel reach over ``taps + (rows - 1) * step`` buffer rows; a
    load costs about half a multiply-add of a whole block.
    """
    best, chosen = None, 1
    for rows in (1, 2, 4):
        if rows * outputs > ROWS or rows > available:
            break
        reach = taps + (rows - 1) * step
        cost = reach * max(rows * outputs, 2 + rows * outputs / 2) / (rows * outputs)
        if best is None or cost < 0.95 * best:
            best, chosen = cost, rows
    return chosen


def _blocks(outputs):
    """Start of each block of at most ROWS outputs, as even as can be."""
    count = -(-outputs // ROWS)
    return np.array([i * outputs // count for i in range(count + 1)], np.int64)


def _task_rows(together, available, fixed, per_row, bytes_per_row):
    """Output rows of a task, so that its ``fixed + rows * per_row`` fit the buffer."""
    rows = int((BUFFER_BYTES / bytes_per_row - fixed) / per_row)
    rows = max(min(rows, available, 256), 1)
    return -(-rows // together) * together


def _pack(weights, start):
    """Lay (taps, outputs) out block by block."""
    return [weights[:, a:b].ravel() for a, b in itertools.pairwise(start)]


def _forward_taps(plan):
    g = plan.geometry
    parts, groups, c_out, c_in = plan.weights.shape[:4]
    kd, kh, kw = g.kernel
    comp = plan.components
    phase = [g.dilation[2] * v % g.stride[2] for v in range(kw)]
    used = sorted(set(phase))
    length = comp * -(-g.padded[2] // g.stride[2])
    pitch = len(used) * length
    together = (
        _rows_together(c_out, kh, g.stride[1], g.output[1])
        if g.dilation[1] == 1
        else 1
    )
    fixed = g.dilation[1] * (kh - 1) + 1 - g.stride[1]
    size = c_in * parts * kd * pitch * plan.real.itemsize
    rows = _task_rows(together, g.output[1], fixed, g.stride[1], size)
    held = fixed + rows * g.stride[1]
    # taps run over (part, channel, plane, row, column) of the buffer
    heights = sorted(
        {r * g.stride[1] + g.dilation[1] * u for r in range(together) for u in range(kh)}
    )
    offsets = np.array(
        [
            (((c * parts + p) * kd + d) * held + h) * pitch
            + used.index(phase[v]) * length
            + comp * (g.dilation[2] * v // g.stride[2])
            for p, c, d, h, v in itertools.product(
                range(parts), range(c_in), range(kd), heights, range(kw)
            )
        ],
        np.int64,
    )
    spread = np.zeros(
        (parts, groups, together, c_out, c_in, kd, len(heights), kw), plan.real
    )
    for r, u in itertools.product(range(together), range(kh)):
        h = heights.index(r * g.stride[1] + g.dilation[1] * u)
        spread[:, :, r, :, :, :, h] = plan.weights[..., u, :]
    start = _blocks(together * c_out)
    packed, weight_start = [], np.zeros((1, groups, len(start) - 1), np.int64)
    position = 0
    for group in range(groups):
        flat = spread[:, group].transpose(0, 3, 4, 5, 6, 1, 2)
        flat = flat.reshape(-1, together * c_out)
        for block, piece in enumerate(_pack(flat, start)):
            weight_start[0, group, block] = position
            packed.append(piece)
            position += piece.size
    layout = [
        comp, parts, groups, c_in, c_out, *g.output, g.stride[0], g.stride[1],
        g.stride[2], g.dilation[0], kd, rows, together, held, pitch, length,
        g.before[2], slack(plan.real.itemsize), fixed,
    ]  # fmt: skip
    return Taps(
        tuple(map(int, layout)), np.array(used), offsets, np.array([0, len(offsets)]),
        np.concatenate(packed), weight_start, start, plan.maps[2], rows,
    )  # fmt: skip


def _phases(axis, g):
    """Taps of each phase of a padded position, and the output they reach.

    Position ``q = stride t + phase`` is reached from output ``t + shift`` by tap ``u``.
    """
    s, d = g.stride[axis], g.dilation[axis]
    return [
        [(u, (p - d * u) // s) for u in range(g.kernel[axis]) if (p - d * u) % s == 0]
        for p in range(s)
    ]


def _adjoint_taps(plan):
    g = plan.geometry
    parts, groups, c_out, c_in = plan.weights.shape[:4]
    comp = plan.components
    phases = [_phases(axis, g) for axis in range(3)]
    back = [-min((s for p in ph for _, s in p), default=0) for ph in phases]
    together = 1
    if g.stride[1] == g.dilation[1] == 1:
        together = _rows_together(c_in, g.kernel[1], 1, g.input[1])
    length = comp * (back[2] + max(g.output[2], -(-g.padded[2] // g.stride[2])))
    planes = max(len(p) for p in phases[0])
    size = c_out * parts * max(planes, 1) * length * plan.real.itemsize
    rows = _task_rows(together, g.input[1], back[1] + 1, 1 / g.stride[1], size)
    held = (rows - 1) // g.stride[1] + 1 + back[1] + together
    start = _blocks(together * c_in)
    offsets, first, packed = [], [0], []
    weight_start = np.zeros((*g.stride, groups, len(start) - 1), np.int64)
    position = 0
    conjugate = plan.weights * np.array([1, -1][:parts]).reshape(-1, *(1,) * 6)
    for phase in itertools.product(*(range(s) for s in g.stride)):
        depth, height, width = (ph[p] for ph, p in zip(phases, phase))
        shifts = sorted({r + s for r in range(together) for _, s in height})
        offsets += [
            (((o * parts + p) * planes + d) * held + back[1] + h) * length
            + comp * (back[2] + s)
            for p, o, d, h, (_, s) in itertools.product(
                range(parts), range(c_out), range(len(depth)), shifts, width
            )
        ]
        first.append(len(offsets))
        spread = np.zeros(
            (parts, groups, c_out, together, c_in, len(depth), len(shifts), len(width)),
            plan.real,
        )
        for (d, (i, _)), r, (j, s), (v, (k, _)) in itertools.product(
            enumerate(depth), range(together), height, enumerate(width)
        ):
            spread[:, :, :, r, :, d, shifts.index(r + s), v] = conjugate[..., i, j, k]
        for group in range(groups):
            flat = spread[:, group].transpose(0, 1, 4, 5, 6, 2, 3)
            flat = flat.reshape(-1, together * c_in)
            for block, piece in enumerate(_pack(flat, start)):
                weight_start[(*phase, group, block)] = position
                packed.append(piece)
                position += piece.size
    padded = any(g.before) or any(g.after)
    direct = g.stride[2] == 1 and (g.boundary == "zero" or not padded)
    columns = padded_index(g.output[2], back[2], length // comp, "zero")
    layout = [
        comp, parts, groups, c_in, c_out, *g.input, *g.output, *g.stride, *g.before,
        g.padded[2], planes, rows, together, held, length, back[1], back[2], direct,
        slack(plan.real.itemsize),
    ]  # fmt: skip
    depth_taps = [-1] * (g.stride[0] * planes)
    for p, ph in enumerate(phases[0]):
        for d, (_, s) in enumerate(ph):
            depth_taps[p * planes + d] = -s
    return Taps(
        tuple(map(int, layout)), np.array(depth_taps), np.array(offsets, np.int64),
        np.array(first, np.int64), np.concatenate(packed),
        weight_start.reshape(-1, groups, len(start) - 1), start,
        columns[: length // comp], rows,
    )  # fmt: skip


@jit
def _fill_row(buffer, at, source, columns, before, stride, phase, count, comp, part):
    """Write one row of the buffer: ``source[columns[stride t + phase]]``, 0 at -1.

    `part` 1 writes i times the row. Columns from `before` on are the row itself.
    """
    width = source.size // comp
    left = min(max(before - phase + stride - 1, 0) // stride, count)
    right = min(max(before + width - phase + stride - 1, 0) // stride, count)
    if part:
        left = right = count
    for t in range(left):
        q = stride * t + phase
        _put(buffer, at + comp * t, source, columns, q, comp, part)
    if stride == 1:
        source = source[comp * (left + phase - before) :]
        for i in range(comp * (right - left)):
            buffer[at + comp * left + i] = source[i]
    elif comp == 1:
        for t in range(left, right):
            buffer[at + t] = source[stride * t + phase - before]
    else:
        for t in range(left, right):
            j = 2 * (stride * t + phase - before)
            buffer[at + 2 * t] = source[j]
            buffer[at + 2 * t + 1] = source[j + 1]
    for t in range(right, count):
        q = stride * t + phase
        _put(buffer, at + comp * t, source, columns, q, comp, part)


@jit
def _put(buffer, at, source, columns, q, comp, part):
    j = columns[q] if q < columns.size else -1
    for e in range(comp):
        if j < 0:
            buffer[at + e] = 0
        elif part == 0:
            buffer[at + e] = source[comp * j + e]
        elif e == 0:
            buffer[at] = -source[2 * j + 1]
        else:
            buffer[at + 1] = source[2 * j]


@jit(fastmath={"reassoc", "contract"})
def _sum_of_squares(row):
    total = 0.0
    for i in range(row.size):
        value = np.float64(row[i])
        total += value * value
    return total


@jit
def _forward(
    start, stop, x, y, sums, layout, used, map_d, map_h, columns, offsets, weights,
    weight_start, block_start,
):  # fmt: skip
    (comp, parts, groups, c_in, c_out, depth, height, width, stride_d, stride_h,
     stride_w, dilation, planes, rows, together, held, pitch, length, before, slack,
     fixed) = layout  # fmt: skip
    count = length // comp
    buffer = np.zeros(c_in * parts * planes * held * pitch + slack, x.dtype)
    flat = y.reshape(y.size)
    starts = np.empty(4, np.int64)
    row_tasks = (height + rows - 1) // rows
    for task in range(start, stop):
        own = task % row_tasks * rows
        d = task // row_tasks % depth
        group = task // (row_tasks * depth) % groups
        b = task // (row_tasks * depth * groups)
        # a last task too short for a block of rows computes some rows once more
        top = min(own, height - together)
        end = min(own + rows, height)
        needed = fixed + (end - top) * stride_h
        for c in range(c_in):
            for part in range(parts):
                for u in range(planes):
                    z = map_d[d * stride_d + u * dilation]
                    for r in range(needed):
                        q = top * stride_h + r
                        h = map_h[q]
                        at = (((c * parts + part) * planes + u) * held + r) * pitch
                        if h < 0 or z < 0:
                            buffer[at : at + pitch] = 0
                            continue
                        for p in range(used.size):
                            _fill_row(
                                buffer, at + p * length, x[b, group * c_in + c, z, h],
                                columns, before, stride_w, used[p], count, comp, part,
                            )  # fmt: skip
        for block in range(block_start.size - 1):
            first = block_start[block]
            outputs = block_start[block + 1] - first
            w = weights[weight_start[0, group, block] :]
            i = top
            while i < end:
                i = min(i, end - together)
                for v in range(outputs):
                    o = group * c_out + (first + v) % c_out
                    r = i + (first + v) // c_out
                    starts[v] = (((b * groups * c_out + o) * depth + d) * height + r) * (
                        width * comp
                    )
                correlate_rows(
                    buffer, (i - top) * stride_h * pitch, offsets, w, 0, offsets.size,
                    flat, starts, outputs, width * comp, False,
                )  # fmt: skip
                i += together
        if sums.size:
            for o in range(group * c_out, (group + 1) * c_out):
                for r in range(own, end):
                    sums[task] += _sum_of_squares(y[b, o, d, r])


@jit
def _fill_rows(buffer, y, b, channel, tap_planes, t_d, top, needed, layout, columns):
    """Copy `needed` rows of y, from row `top` on, of the planes that taps reach."""
    comp, parts, c_out = layout[0], layout[1], layout[4]
    planes, held, length, before = layout[18], layout[21], layout[22], layout[24]
    depth, height = y.shape[2], y.shape[3]
    for c in range(c_out):
        for part in range(parts):
            for u in range(tap_planes.size):
                z = t_d - tap_planes[u]
                for r in range(needed):
                    h = top + r
                    at = (((c * parts + part) * planes + u) * held + r) * length
                    if z < 0 or z >= depth or h < 0 or h >= height:
                        buffer[at : at + length] = 0
                    else:
                        _fill_row(
                            buffer, at, y[b, channel + c, z, h], columns, before, 1, 0,
                            length // comp, comp, part,
                        )  # fmt: skip


@jit
def _fold_row(out, source, at, length, map_w, before, stride, comp):
    """Gather a row of x from its padded positions, held phase by phase."""
    width = out.size // comp
    for phase in range(stride):
        here = at + phase * length
        left = max(before - phase + stride - 1, 0) // stride
        right = max(before + width - phase + stride - 1, 0) // stride
        if stride == 1:
            for i in range(comp * width):
                out[i] = source[here + comp * before + i]
        elif comp == 1:
            for t in range(left, right):
                out[stride * t + phase - before] = source[here + t]
        else:
            for t in range(left, right):
                j = 2 * (stride * t + phase - before)
                out[j] = source[here + 2 * t]
                out[j + 1] = source[here + 2 * t + 1]
    for side in range(2):
        for q in range(0 if side == 0 else before + width,
                       before if side == 0 else map_w.size):  # fmt: skip
            j = map_w[q]
            if j >= 0:
                p = at + q % stride * length + q // stride * comp
                for e in range(comp):
                    out[comp * j + e] += source[p + e]


@jit
def _adjoint(
    start, stop, y, x, sums, layout, depth_taps, fold_d, at_d, fold_h, at_h, map_w, columns,
    offsets, tap_first, weights, weight_start, block_start,
):  # fmt: skip
    (comp, parts, groups, c_in, c_out, depth, height, width, out_d, out_h, out_w,
     stride_d, stride_h, stride_w, before_d, before_h, before_w, padded, planes, rows,
     together, held, length, back_h, back_w, direct, slack) = layout  # fmt: skip
    buffer = np.zeros(c_out * parts * planes * held * length + slack, y.dtype)
    count = (padded + stride_w - 1) // stride_w * comp  # of one phase of a padded row
    # Padded rows, phase by phase, where x can't be written at once; the spare ones
    # after them take what a padded row adds to the sample it shows.
    line = stride_w * count
    wide = np.zeros(0 if direct else (rows + together) * c_in * line + slack, y.dtype)
    spare = rows * c_in * line
    flat = x.reshape(x.size)
    row_tasks = (height + rows - 1) // rows
    for task in range(start, stop):
        own = task % row_tasks * rows
        z = task // row_tasks % depth
        group = task // (row_tasks * depth) % groups
        b = task // (row_tasks * depth * groups)
        end = min(own + rows, height)
        # a last task too short for a block of rows computes some rows once more
        top = min(own, height - together) if direct else own
        for turn in range(fold_d[z], fold_d[z + 1]):
            phase_d = at_d[turn] % stride_d
            t_d = at_d[turn] // stride_d
            tap_planes = depth_taps[phase_d * planes : (phase_d + 1) * planes]
            tap_planes = tap_planes[: np.sum(tap_planes >= 0)]
            low = (top + before_h) // stride_h - back_h
            last = top + (end - top + together - 1) // together * together - 1
            needed = (last + before_h) // stride_h - low + 1
            _fill_rows(
                buffer, y, b, group * c_out, tap_planes, t_d, low, needed, layout,
                columns,
            )  # fmt: skip
            i = top
            while i < end:
                if direct:
                    i = min(i, end - together)
                    dst = flat
                    origin = (((b * groups + group) * c_in * depth + z) * height + i) * (
                        width * comp
                    )
                    step_c, step_r = depth * height * width * comp, width * comp
                else:
                    dst = wide
                    origin, step_c, step_r = (i - own) * line, rows * line, line
                q = i + before_h
                phase = (phase_d * stride_h + q % stride_h) * stride_w
                _scatter_block(
                    buffer, (q // stride_h - back_h - low) * length, phase, group, dst,
                    origin, step_c, step_r, count, turn > fold_d[z], layout, offsets,
                    tap_first, weights, weight_start, block_start,
                )  # fmt: skip
                i += together
            for i in range(own, end):
                for k in range(fold_h[i], fold_h[i + 1]):
                    q = at_h[k]
                    if q == i + before_h:
                        continue
                    _fill_rows(
                        buffer, y, b, group * c_out, tap_planes, t_d,
                        q // stride_h - back_h, back_h + together, layout, columns,
                    )  # fmt: skip
                    phase = (phase_d * stride_h + q % stride_h) * stride_w
                    _scatter_block(
                        buffer, 0, phase, group, wide, spare, together * line, line,
                        count, False, layout, offsets, tap_first, weights, weight_start,
                        block_start,
                    )  # fmt: skip
                    for c in range(c_in):
                        to, of = (c * rows + i - own) * line, c * together * line
                        for e in range(line):
                            wide[to + e] += wide[spare + of + e]
        for c in range(group * c_in, (group + 1) * c_in):
            for i in range(own, end):
                if not direct:
                    at = ((c - group * c_in) * rows + i - own) * line
                    _fold_row(
                        x[b, c, z, i], wide, at, count, map_w, before_w, stride_w, comp
                    )
                if sums.size:
                    sums[task] += _sum_of_squares(x[b, c, z, i])


@jit
def _scatter_block(
    buffer, base, phase, group, dst, origin, step_c, step_r, count, add, layout, offsets,
    tap_first, weights, weight_start, block_start,
):  # fmt: skip
    """Rows ``origin + c step_c + r step_r`` of dst, every column phase of them."""
    comp, c_in, width = layout[0], layout[3], layout[7]
    stride_w, before_w, direct = layout[13], layout[16], layout[25]
    starts = np.empty(4, np.int64)
    columns = width * comp if direct else count
    base += before_w * comp if direct else 0
    for p in range(phase, phase + stride_w):
        taps = tap_first[p + 1] - tap_first[p]
        for block in range(block_start.size - 1):
            first = block_start[block]
            outputs = block_start[block + 1] - first
            for v in range(outputs):
                c, r = (first + v) % c_in, (first + v) // c_in
                starts[v] = origin + c * step_c + r * step_r + (p - phase) * count
            correlate_rows(
                buffer, base, offsets[tap_first[p] :], weights[
                    weight_start[p, group, block] :
                ], 0, taps, dst, starts, outputs, columns, add,
            )  # fmt: skip
