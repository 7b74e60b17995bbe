"""The convolution and its adjoint on NumPy arrays.

A task copies the input rows that a block of output rows needs into a small buffer,
padded, split by the phases of the stride, and with ``i x`` beside ``x`` for complex
kernels. In the buffer every layer is a list of taps, an offset and a weight each.
`correlate_rows` goes through the list with the sums in registers. The adjoint has one
such list for every phase of the stride; its results for padded positions are folded
back onto the samples that these positions copy.
"""

import numpy as np

from ..._core.threads import parallel_for
from ..jit import jit
from ..pointers import copy_run
from .fold import fill_address, fill_row, fold_address, fold_row
from .inner_loop import ROWS, correlate_rows, rows_addresses
from .row_loops import clear, sum_of_squares, times_i
from .tap_lists import Plan

prepare = Plan


def forward(plan: Plan, x, sumsq=False, out=None):
    g, taps = plan.geometry, plan.forward_taps
    batch = x.shape[0]
    y = np.empty((batch, g.c_out, *g.output), plan.dtype) if out is None else out
    tasks = batch * g.groups * g.output[0] * -(-g.output[1] // taps.rows)
    sums = np.zeros(tasks if sumsq else 0)
    parallel_for(
        _forward, tasks, batch * _work(plan),
        rows_addresses(plan.real, taps.block_start),
        0 if taps.plain else fill_address(plan.real), _source(plan, x),
        _planes(plan, y), sums, taps.layout, taps.extra, plan.maps[0], plan.maps[1],
        taps.columns, taps.offsets, taps.weights, taps.weight_start, taps.block_start,
    )  # fmt: skip
    return y, sums.reshape(batch, -1 if batch else 1).sum(1) if sumsq else None


def adjoint(plan: Plan, y, sumsq=False, out=None):
    g, taps = plan.geometry, plan.adjoint_taps
    batch = y.shape[0]
    x = np.empty((batch, g.c_in, *g.input), plan.dtype) if out is None else out
    tasks = batch * g.groups * g.input[0] * -(-g.input[1] // taps.rows)
    sums = np.zeros(tasks if sumsq else 0)
    parallel_for(
        _adjoint, tasks, batch * _work(plan),
        rows_addresses(plan.real, taps.block_start),
        0 if taps.plain else fold_address(plan.real), _source(plan, y),
        _planes(plan, x), sums, taps.layout, taps.extra, *plan.folds, plan.maps[2],
        taps.offsets, taps.first, taps.weights, taps.weight_start, taps.block_start,
    )  # fmt: skip
    return x, sums.reshape(batch, -1 if batch else 1).sum(1) if sumsq else None


def _planes(plan, array):
    """A real view of shape (B, C, D, H, W * components)."""
    return array.view(plan.real)


def _source(plan, array):
    """`_planes`, never writable, so that numba compiles for one type of source."""
    view = _planes(plan, array)
    view.flags.writeable = False
    return view


def _work(plan):
    return plan.geometry.multiplications * plan.components * plan.weights.shape[0]


@jit
def _forward(
    start, stop, correlate, fill, x, y, sums, layout, used, map_d, map_h, columns,
    offsets, weights, weight_start, block_start,
):  # fmt: skip
    (comp, parts, groups, c_in, c_out, depth, height, width, stride_d, stride_h,
     stride_w, dilation, planes, rows, together, held, pitch, length, before, slack,
     fixed) = layout  # fmt: skip
    count = length // comp
    buffer = np.zeros(c_in * parts * planes * held * pitch + slack, x.dtype)
    source, flat = x.reshape(x.size), y.reshape(y.size)
    in_d, in_h, in_w = x.shape[2], x.shape[3], x.shape[4]
    whole = stride_w == 1 and columns.size * comp == in_w  # rows are used unchanged
    starts = np.empty(ROWS, np.int64)
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
            channel = (b * groups + group) * c_in + c
            for u in range(planes):
                z = map_d[d * stride_d + u * dilation]
                for r in range(needed):
                    h = map_h[top * stride_h + r]
                    at = ((c * parts * planes + u) * held + r) * pitch
                    of = ((channel * in_d + z) * in_h + h) * in_w
                    if h < 0 or z < 0:
                        clear(buffer, at, pitch)
                    elif whole:
                        copy_run(buffer, at, source, of, in_w)
                    else:
                        fill_row(
                            fill, buffer, at, length, source, of, in_w // comp, columns,
                            columns.size, before, stride_w, used, used.size, count,
                            comp,
                        )  # fmt: skip
                    if parts == 2:
                        times_i(buffer, at, at + planes * held * pitch, pitch)
        for block in range(block_start.size - 1):
            first = block_start[block]
            outputs = block_start[block + 1] - first
            i = top
            while i < end:
                i = min(i, end - together)
                repeat = (end - i) // together
                for v in range(outputs):
                    o = group * c_out + (first + v) % c_out
                    r = i + (first + v) // c_out
                    line = ((b * groups * c_out + o) * depth + d) * height + r
                    starts[v] = line * width * comp
                correlate_rows(
                    correlate[block], buffer, (i - top) * stride_h * pitch, offsets, 0,
                    offsets.size, weights, weight_start[0, group, block], flat, starts,
                    width * comp, repeat, together * stride_h * pitch,
                    together * width * comp, False,
                )  # fmt: skip
                i += repeat * together
        if sums.size:
            for o in range(c_out):
                channel = (b * groups + group) * c_out + o
                at = ((channel * depth + d) * height + own) * width * comp
                sums[task] += sum_of_squares(flat, at, (end - own) * width * comp)


@jit(inner=True)
def _fill_rows(buffer, source, channel, tap_planes, t_d, top, needed, layout):
    """Copy `needed` rows of y, from row `top` on, of the planes that taps reach."""
    comp, parts, c_out = layout[0], layout[1], layout[4]
    depth, height, width = layout[8], layout[9], layout[10]
    planes, held, length, before = layout[18], layout[21], layout[22], layout[24]
    for c in range(c_out):
        for u in range(planes):
            z = t_d - tap_planes[u]
            if tap_planes[u] < 0:
                break
            for r in range(needed):
                h = top + r
                at = ((c * parts * planes + u) * held + r) * length
                other = at + planes * held * length
                if z < 0 or z >= depth or h < 0 or h >= height:
                    for part in range(parts):
                        clear(buffer, other if part else at, length)
                    continue
                of = (((channel + c) * depth + z) * height + h) * width * comp
                inside = before * comp  # the zeros on both sides are never overwritten
                copy_run(buffer, at + inside, source, of, width * comp)
                if parts == 2:
                    times_i(buffer, at + inside, other + inside, width * comp)


@jit(inner=True)
def _fold_rows(fold, out, to, wide, rows, hold, count, map_w, layout):
    """`fold_row` of `rows` rows of every channel of a group; `wide` holds `hold`."""
    comp, c_in, depth = layout[0], layout[3], layout[5]
    height, width = layout[6], layout[7]
    stride, before = layout[13], layout[16]
    for c in range(c_in):
        for i in range(rows):
            at = (c * hold + i) * stride * count
            here = to + ((c * depth) * height + i) * width * comp
            fold_row(
                fold, out, here, width, wide, at, count, map_w, map_w.size, before,
                stride, comp,
            )  # fmt: skip


@jit
def _adjoint(
    start, stop, correlate, fold, y, x, sums, layout, depth_taps, fold_d, at_d, fold_h,
    at_h, map_w, offsets, tap_first, weights, weight_start, block_start,
):  # fmt: skip
    (comp, parts, groups, c_in, c_out, depth, height, width, out_d, out_h, out_w,
     stride_d, stride_h, stride_w, before_d, before_h, before_w, padded, planes, rows,
     together, held, length, back_h, back_w, single, slack) = layout  # fmt: skip
    direct = single and stride_w == 1
    buffer = np.zeros(c_out * parts * planes * held * length + slack, y.dtype)
    count = (padded + stride_w - 1) // stride_w * comp  # of one phase of a padded row
    # numbers, not literals: those would compile functions once more
    zero, one, never = np.int64(0), np.int64(1), np.bool_(False)
    # Padded rows, phase by phase, if x can't be written at once: a few together if
    # every sample appears once, else those of a task. The spare rows after them receive
    # the sums that a padded row adds to the sample it copies.
    line = stride_w * count
    hold = together if single else rows
    wide = np.zeros(0 if direct else (hold + together) * c_in * line + slack, y.dtype)
    spare = hold * c_in * line
    plane = depth * height * width * comp
    source, flat = y.reshape(y.size), x.reshape(x.size)
    starts = np.empty(ROWS, np.int64)
    row_tasks = (height + rows - 1) // rows
    for task in range(start, stop):
        own = task % row_tasks * rows
        z = task // row_tasks % depth
        group = task // (row_tasks * depth) % groups
        b = task // (row_tasks * depth * groups)
        end = min(own + rows, height)
        channel = (b * groups + group) * c_out
        image = ((b * groups + group) * c_in * depth + z) * height * width * comp
        # a last task too short for a block of rows computes some rows once more
        top = min(own, height - together) if direct else own
        for turn in range(fold_d[z], fold_d[z + 1]):
            phase_d = at_d[turn] % stride_d
            t_d = at_d[turn] // stride_d
            tap_planes = depth_taps[phase_d * planes : (phase_d + 1) * planes]
            low = (top + before_h) // stride_h - back_h
            last = top + (end - top + together - 1) // together * together - 1
            needed = (last + before_h) // stride_h - low + 1
            _fill_rows(buffer, source, channel, tap_planes, t_d, low, needed, layout)
            i = top
            while i < end:
                repeat = 1
                if direct:
                    i = min(i, end - together)
                    if stride_h == 1:  # all rows have the same taps
                        repeat = (end - i) // together
                    dst, origin = flat, image + i * width * comp
                    step_c, step_r = plane, width * comp
                else:
                    slot = 0 if single else i - own
                    dst, origin, step_c, step_r = wide, slot * line, hold * line, line
                q = i + before_h
                phase = (phase_d * stride_h + q % stride_h) * stride_w
                _scatter_block(
                    correlate, buffer, (q // stride_h - back_h - low) * length, phase,
                    group, dst, origin, step_c, step_r, count, repeat,
                    turn > fold_d[z], layout, starts, offsets, tap_first, weights,
                    weight_start, block_start,
                )  # fmt: skip
                if single and not direct:
                    _fold_rows(
                        fold, flat, image + i * width * comp, wide,
                        min(together, end - i), hold, count, map_w, layout,
                    )  # fmt: skip
                i += repeat * together
            for i in range(own, end):
                for k in range(fold_h[i], fold_h[i + 1]):
                    q = at_h[k]
                    if q == i + before_h:
                        continue
                    _fill_rows(
                        buffer, source, channel, tap_planes, t_d,
                        q // stride_h - back_h, back_h + together, layout,
                    )  # fmt: skip
                    phase = (phase_d * stride_h + q % stride_h) * stride_w
                    _scatter_block(
                        correlate, buffer, zero, phase, group, wide, spare,
                        together * line, line, count, one, never, layout, starts,
                        offsets, tap_first, weights, weight_start, block_start,
                    )  # fmt: skip
                    for c in range(c_in):
                        to, of = (c * hold + i - own) * line, c * together * line
                        for e in range(line):
                            wide[to + e] += wide[spare + of + e]
        own_rows = image + own * width * comp
        if not single:
            _fold_rows(
                fold, flat, own_rows, wide, end - own, hold, count, map_w, layout
            )
        for c in range(c_in if sums.size else 0):
            size = (end - own) * width * comp
            sums[task] += sum_of_squares(flat, own_rows + c * plane, size)


@jit(inner=True)
def _scatter_block(
    correlate, buffer, base, phase, group, dst, origin, step_c, step_r, count, repeat,
    add, layout, starts, offsets, tap_first, weights, weight_start, block_start,
):  # fmt: skip
    """Rows ``origin + c step_c + r step_r`` of dst, every column phase of them.

    With stride 1, `repeat` times as many rows follow.
    """
    comp, c_in, width = layout[0], layout[3], layout[7]
    stride_w, before_w, single = layout[13], layout[16], layout[25]
    direct = single and stride_w == 1
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
                correlate[block], buffer, base, offsets, tap_first[p], taps, weights,
                weight_start[p, group, block], dst, starts, columns, repeat,
                layout[20] * layout[22], layout[20] * step_r, add,
            )  # fmt: skip
