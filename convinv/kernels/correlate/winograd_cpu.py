"""Winograd's products on NumPy arrays.

A task transforms some rows of tiles, of any images, to the points (``winograd.py``);
the values stay in the second-level cache. It multiplies them by the filters of every
point, a block of result channels at a time, and transforms the products back. The
multiplication is the inner loop of the direct products, with channels in place of taps.
The adjoint of a layer whose boundary copies samples is computed on the padded image:
rows are folded as they are written; those above and below the image are kept apart and
added at last.

The arithmetic of a result does not depend on its place in a task, so that an image has
the same bits in any batch and with any number of threads.
"""

import numpy as np

from ..._core.threads import parallel_for, thread_count
from ..aligned import aligned_zeros
from ..jit import jit
from ..pointers import copy_run
from .fold import fold_address, fold_row
from .inner_loop import ROWS, correlate_rows, rows_addresses
from .row_loops import clear, sum_of_squares
from .winograd import OUT, SIZE, Plan
from .winograd_tiles import addresses, lanes_of, to_lines, to_points

prepare = Plan

# Bytes of the values at the points of a task: a part of a core's second-level cache.
# Tasks may have LEAST vectors of tiles in any case: fewer slow the multiplication down.
BUFFER_BYTES, LEAST = 512 * 1024, 3
POINTS = SIZE**2


def forward(plan: Plan, x, sumsq=False, out=None):
    return _product(plan, plan.forward, x, plan.geometry.c_out, sumsq, out)


def adjoint(plan: Plan, y, sumsq=False, out=None):
    return _product(plan, plan.adjoint, y, plan.geometry.c_in, sumsq, out)


def scratch_bytes(plan: Plan, batch) -> int:
    """A bound of a product's memory besides its argument, its result and the plan."""
    g, most = plan.geometry, 0
    for side in (plan.forward, plan.adjoint):
        *_, pitch = _cut(side, batch, g.groups, plan.dtype)
        buffers = POINTS * (side.channels[0] + ROWS + 3) * pitch * thread_count()
        most = max(most, buffers + batch * g.c_in * _spare_rows(side) * g.input[2])
    return most * plan.dtype.itemsize


def _product(plan, side, array, channels, sumsq, out):
    batch, dtype, groups = len(array), plan.dtype, plan.geometry.groups
    shape = (batch, channels, 1, *side.result)
    result = np.empty(shape, dtype) if out is None else out
    folded, cut = side.folds[0].size > 0, _cut(side, batch, groups, dtype)
    tall, across, segments, _, chunks, pitch = cut
    summing = sumsq and not folded
    sums = np.zeros((batch, tall, groups, segments) if summing else (0, 0, 0, 0))
    spare = np.empty((batch, channels, _spare_rows(side), side.result[1]), dtype)
    source, flat = array.reshape(array.size), result.reshape(result.size)
    source.flags.writeable = False
    work = POINTS * tall * across * segments * np.prod(side.channels) * groups * batch
    layout = (
        groups, batch, *side.channels, *side.source, *side.size, *side.result,
        side.lead, *side.before, *cut, lanes_of(dtype),
    )  # fmt: skip
    parallel_for(
        _tasks, groups * segments * chunks, float(work),
        rows_addresses(dtype, side.block_start),
        *addresses(dtype), fold_address(dtype) if folded else 0, source, flat,
        spare.reshape(spare.size), sums, tuple(map(int, layout)), side.rows,
        side.columns, side.folds[1], np.arange(side.channels[0]) * pitch, side.filters,
        side.block_start,
    )  # fmt: skip
    if folded:
        sums = np.zeros(batch * channels if sumsq else 0)
        images, spare = (
            a.reshape(batch * channels, *a.shape[-2:]) for a in (result, spare)
        )
        parallel_for(
            _add_spare, batch * channels, float(result.size), images, spare,
            side.folds[0], side.before[0], sums,
        )  # fmt: skip
    if not sumsq:
        return result, None
    return result, sums.reshape(batch, -1 if batch else 1).sum(1)


def _spare_rows(side):
    """Rows above and below the image that are folded."""
    return side.size[0] - side.result[0]


def _cut(side, batch, groups, dtype):
    """How tasks are cut.

    Rows of tiles of an image, tiles of a segment of a row, and segments, which do not
    depend on the batch; rows of a task, tasks of all rows, and the distance of
    channels.
    """
    n = lanes_of(dtype)
    tall, wide = (-(-size // OUT) for size in side.size)
    most = BUFFER_BYTES // (POINTS * side.channels[0] * dtype.itemsize)
    most = max(most, LEAST * n)
    segments = 1 if side.folds[0].size else -(-wide // most)
    across = min(wide, -(-(-(-wide // segments)) // n) * n)
    segments = -(-wide // across)
    rows = batch * tall
    share = -(-rows * groups * segments // thread_count())
    turns = -(-share // max(most // across, 1))
    down = max(min(-(-share // max(turns, 1)), rows), 1)
    vectors = ((down - 1) * across) // n + 1 + -(-across // n)
    # lines of the cache at odd distances share fewest places in it
    return tall, across, segments, down, -(-rows // down), (vectors | 1) * n


@jit
def _tasks(
    start, stop, correlate, forth, back, fold, source, result, spare, sums, layout,
    rows, columns, folds, offsets, filters, block_start,
):  # fmt: skip
    batch, c_in, c_out, width = layout[1], layout[2], layout[3], layout[7]
    tall, across, segments, down, chunks, pitch, lanes = layout[13:]
    plane, plane_out = c_in * pitch + lanes, ROWS * pitch + lanes
    points = aligned_zeros(source, 36 * plane)
    products = aligned_zeros(source, 36 * plane_out)
    pitch_lines = 4 * ((across + lanes - 1) // lanes * lanes + lanes)
    lines = aligned_zeros(source, 6 * pitch_lines)
    phases = aligned_zeros(source, 6 * pitch_lines)
    starts = np.empty(ROWS, np.int64)
    one, never = np.int64(1), np.bool_(False)
    for task in range(start, stop):
        first = task % chunks * down
        last = min(first + down, batch * tall)
        segment = task // chunks % segments
        group = task // (chunks * segments)
        tiles = min(across, (width + 3) // 4 - segment * across)
        _read(
            forth, source, lines, phases, points, first, last, group,
            segment * across * 4, tiles, layout, rows, columns,
        )  # fmt: skip
        count = ((last - first) * tiles + lanes - 1) // lanes * lanes
        for block in range(block_start.size - 1):
            o = block_start[block]
            outputs = block_start[block + 1] - o
            for k in range(36):
                for v in range(outputs):
                    starts[v] = k * plane_out + v * pitch
                weight = 36 * (group * c_out + o) + k * outputs
                correlate_rows(
                    correlate[block], points, k * plane, offsets, 0, c_in, filters,
                    weight * c_in, products, starts, count, one, one, one, never,
                )  # fmt: skip
            _write(
                back, fold, products, lines, result, spare, sums, first, last, group,
                o, outputs, segment, tiles, layout, folds,
            )  # fmt: skip


@jit(inner=True)
def _read(
    forth, source, lines, phases, points, first, last, group, column, tiles, layout,
    rows, columns,
):  # fmt: skip
    """The values at the points of rows of tiles, of all channels of a group."""
    groups, c_in, in_h, in_w = layout[0], layout[2], layout[4], layout[5]
    lead, tall, pitch, lanes = layout[10], layout[13], layout[18], layout[19]
    line, count = lines.size // 6, 4 * tiles + 2
    for row in range(first, last):
        b, top = row // tall, row % tall * 4
        for c in range(c_in):
            image = ((b * groups + group) * c_in + c) * in_h
            for i in range(6):
                h = rows[top + i] if top + i < rows.size else -1
                if h < 0:
                    clear(lines, i * line, count)
                else:
                    _fill_line(
                        lines, i * line, source, (image + h) * in_w, columns, column,
                        count, lead, in_w,
                    )  # fmt: skip
            to_points(
                forth, lines, line, tiles, lanes, phases, phases.size // 24, points,
                c * pitch + (row - first) * tiles, c_in * pitch + lanes,
            )  # fmt: skip


@jit(inner=True)
def _fill_line(lines, at, source, of, columns, first, count, lead, width):
    """``source[columns[first:first + count]]`` of a row, zeros at -1 and behind them.

    Columns from `lead` on are the row itself.
    """
    left = min(max(lead - first, 0), count)
    right = max(min(lead + width - first, count), left)
    copy_run(lines, at + left, source, of + first + left - lead, right - left)
    for side in range(2):
        begin, end = (0, left) if side == 0 else (right, count)
        for i in range(begin, end):
            j = columns[first + i] if first + i < columns.size else -1
            lines[at + i] = source[of + j] if j >= 0 else 0


@jit(inner=True)
def _write(
    back, fold, products, lines, result, spare, sums, first, last, group, channel,
    outputs, segment, tiles, layout, folds,
):  # fmt: skip
    """The results of rows of tiles, of a block of channels."""
    groups, c_out, height, width = layout[0], layout[3], layout[6], layout[7]
    out_h, out_w, before_h, before_w = layout[8], layout[9], layout[11], layout[12]
    tall, across, pitch, lanes = layout[13], layout[14], layout[18], layout[19]
    line, column = lines.size // 6, segment * across * 4
    count = min(4 * tiles, width - column)
    for v in range(outputs):
        for row in range(first, last):
            b, top = row // tall, row % tall * 4
            image = (b * groups + group) * c_out + channel + v
            to_lines(
                back, products, v * pitch + (row - first) * tiles, ROWS * pitch + lanes,
                tiles, lanes, lines, line,
            )  # fmt: skip
            for i in range(min(4, height - top)):
                h = top + i - before_h
                if folds.size == 0:
                    to = (image * out_h + h) * out_w + column
                    copy_run(result, to, lines, i * line, count)
                    if sums.size:
                        part = sum_of_squares(lines, i * line, count)
                        sums[b, row % tall, group, segment] += part
                elif 0 <= h < out_h:
                    fold_row(
                        fold, result, (image * out_h + h) * out_w, out_w, lines,
                        i * line, 0, folds, folds.size, before_w, 1, 1,
                    )  # fmt: skip
                else:
                    h = h + before_h if h < 0 else h + before_h - out_h
                    to = (image * (height - out_h) + h) * out_w
                    fold_row(
                        fold, spare, to, out_w, lines, i * line, 0, folds, folds.size,
                        before_w, 1, 1,
                    )  # fmt: skip


@jit
def _add_spare(start, stop, images, spare, rows, before, sums):
    """Add the rows above and below each image to those that they copy."""
    height = images.shape[1]
    for image in range(start, stop):
        for i in range(spare.shape[1]):
            h = rows[i if i < before else i + height]
            for w in range(images.shape[2]):
                images[image, h, w] += spare[image, i, w]
        if sums.size:
            flat = images.reshape(images.size)
            size = height * images.shape[2]
            sums[image] += sum_of_squares(flat, image * size, size)
