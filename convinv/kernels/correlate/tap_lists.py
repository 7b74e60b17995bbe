"""Tap lists: a convolution and its adjoint as the loops of ``cpu.py`` see them.

This module rearranges the kernel for strides, dilation, groups, boundaries and complex
numbers, once per operator and dtype. Taps that are zero in all channels, such as most
of a motion blur, are left out.
"""

import itertools
from typing import NamedTuple

import numpy as np

from ..._core.boundaries import padded_index
from ..._core.geometry import Geometry, axis_index, folds
from .inner_loop import ROWS, slack

# Input rows of a task: a fraction of a core's second-level cache, and more where tasks
# would copy most rows several times.
BUFFER_BYTES, MOST_BYTES = 128 * 1024, 512 * 1024


class Taps(NamedTuple):
    """Tap lists, one per phase, and the layout of buffer and outputs.

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
    plain: bool  # rows of data are read (forward) or written (adjoint) unchanged


class Plan:
    """Tap lists of both directions, created on first use."""

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
        self._forward = self._adjoint = self._folds = None

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

    @property
    def folds(self):
        """The padded positions of every depth and row of the input."""
        if self._folds is None:
            g = self.geometry
            first = folds(self.maps[0], g.input[0])  # threads may race here
            self._folds = first + folds(self.maps[1], g.input[1])
        return self._folds


def _rows_together(outputs, used, step, available):
    """Rows that one block computes at once, to share loads when channels are few.

    ``used[row, tap]`` says which taps of a row of the kernel are nonzero. The taps of
    several rows together are the union of shifted copies, `step` rows apart; a load
    costs about half a multiply-add of a whole block.
    """
    best, chosen = None, 1
    for rows in (1, 2, 4):
        if rows * outputs > ROWS or rows > available:
            break
        union = np.zeros((len(used) + (rows - 1) * step, used.shape[1]), bool)
        for r in range(rows):
            union[r * step : r * step + len(used)] |= used
        cost = np.count_nonzero(union)
        cost = cost * max(rows * outputs, 2 + rows * outputs / 2) / (rows * outputs)
        if best is None or cost < 0.95 * best:
            best, chosen = cost, rows
    return chosen


def _used(weights):
    """``(rows, taps of a row)``: which taps are not zero in all channels."""
    used = np.any(weights != 0, axis=(0, 1, 2, 3))  # (depth, row, column)
    return np.moveaxis(used, 1, 0).reshape(used.shape[1], -1)


def _blocks(outputs):
    """Start of each block of at most ROWS outputs, as equal in size as possible."""
    count = -(-outputs // ROWS)
    return np.array([i * outputs // count for i in range(count + 1)], np.int64)


def _task_rows(together, available, fixed, per_row, bytes_per_row):
    """Output rows of a task, so that its ``fixed + rows * per_row`` fit the buffer."""
    rows, most = (
        int((size / bytes_per_row - fixed) / per_row)
        for size in (BUFFER_BYTES, MOST_BYTES)
    )
    rows = max(rows, min(most, int(3 * fixed / per_row)))
    rows = max(min(rows, available, 256), 1)
    return -(-rows // together) * together


class _Packer:
    """Offsets and weights, phase by phase, without the taps whose weights are zero."""

    def __init__(self, start):
        self.start, self.offsets, self.first = start, [], [0]
        self.weights, self.weight_start, self.position = [], [], 0

    def add(self, offsets, weights):
        """A phase: `weights` has shape (groups, taps, outputs)."""
        kept = np.any(weights != 0, axis=(0, 2))
        self.offsets.append(np.array(offsets, np.int64)[kept])
        self.first.append(self.first[-1] + len(self.offsets[-1]))
        for group in weights[:, kept]:
            for a, b in itertools.pairwise(self.start):
                self.weight_start.append(self.position)
                self.weights.append(group[:, a:b].ravel())
                self.position += self.weights[-1].size

    def fields(self, groups):
        """`offsets`, `first`, `weights`, `weight_start` and `block_start` of `Taps`."""
        starts = np.array(self.weight_start, np.int64)
        return (
            np.concatenate(self.offsets), np.array(self.first, np.int64),
            np.concatenate(self.weights),
            starts.reshape(-1, groups, len(self.start) - 1), self.start,
        )  # fmt: skip


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
        _rows_together(c_out, _used(plan.weights), g.stride[1], g.output[1])
        if g.dilation[1] == 1
        else 1
    )
    fixed = g.dilation[1] * (kh - 1) + 1 - g.stride[1]
    size = c_in * parts * kd * pitch * plan.real.itemsize
    rows = _task_rows(together, g.output[1], fixed, g.stride[1], size)
    held = fixed + rows * g.stride[1]
    # taps run over (part, channel, plane, row, column) of the buffer
    heights = sorted(
        {
            r * g.stride[1] + g.dilation[1] * u
            for r, u in itertools.product(range(together), range(kh))
        }
    )
    offsets = [
        (((c * parts + p) * kd + d) * held + h) * pitch
        + used.index(phase[v]) * length
        + comp * (g.dilation[2] * v // g.stride[2])
        for p, c, d, h, v in itertools.product(
            range(parts), range(c_in), range(kd), heights, range(kw)
        )
    ]
    spread = np.zeros(
        (parts, groups, together, c_out, c_in, kd, len(heights), kw), plan.real
    )
    for r, u in itertools.product(range(together), range(kh)):
        h = heights.index(r * g.stride[1] + g.dilation[1] * u)
        spread[:, :, r, :, :, :, h] = plan.weights[..., u, :]
    packer = _Packer(_blocks(together * c_out))
    flat = spread.transpose(1, 0, 4, 5, 6, 7, 2, 3)
    packer.add(offsets, flat.reshape(groups, -1, together * c_out))
    layout = [
        comp, parts, groups, c_in, c_out, *g.output, g.stride[0], g.stride[1],
        g.stride[2], g.dilation[0], kd, rows, together, held, pitch, length,
        g.before[2], slack(plan.real.itemsize), fixed,
    ]  # fmt: skip
    return Taps(
        tuple(map(int, layout)), np.array(used), *packer.fields(groups),
        plan.maps[2], rows,
        g.stride[2] == 1 and len(plan.maps[2]) == g.input[2],
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
        together = _rows_together(c_in, _used(plan.weights), 1, g.input[1])
    length = comp * (back[2] + max(g.output[2], -(-g.padded[2] // g.stride[2])))
    planes = max(len(p) for p in phases[0])
    size = c_out * parts * max(planes, 1) * length * plan.real.itemsize
    rows = _task_rows(together, g.input[1], back[1] + 1, 1 / g.stride[1], size)
    held = (rows - 1) // g.stride[1] + 1 + back[1] + together
    packer = _Packer(_blocks(together * c_in))
    conjugate = plan.weights * np.array([1, -1][:parts]).reshape(-1, *(1,) * 6)
    for phase in itertools.product(*(range(s) for s in g.stride)):
        depth, height, width = (ph[p] for ph, p in zip(phases, phase))
        shifts = sorted({r + s for r in range(together) for _, s in height})
        offsets = [
            (((o * parts + p) * planes + d) * held + back[1] + h) * length
            + comp * (back[2] + s)
            for p, o, d, h, (_, s) in itertools.product(
                range(parts), range(c_out), range(len(depth)), shifts, width
            )
        ]
        spread = np.zeros(
            (parts, groups, c_out, together, c_in, len(depth), len(shifts), len(width)),
            plan.real,
        )
        for (d, (i, _)), r, (j, s), (v, (k, _)) in itertools.product(
            enumerate(depth), range(together), height, enumerate(width)
        ):
            spread[:, :, :, r, :, d, shifts.index(r + s), v] = conjugate[..., i, j, k]
        flat = spread.transpose(1, 0, 2, 5, 6, 7, 3, 4)
        packer.add(offsets, flat.reshape(groups, -1, together * c_in))
    padded = any(g.before) or any(g.after)
    single = g.boundary == "zero" or not padded  # every sample appears once
    columns = padded_index(g.output[2], back[2], length // comp, "zero")
    layout = [
        comp, parts, groups, c_in, c_out, *g.input, *g.output, *g.stride, *g.before,
        g.padded[2], planes, rows, together, held, length, back[1], back[2], single,
        slack(plan.real.itemsize),
    ]  # fmt: skip
    depth_taps = [-1] * (g.stride[0] * planes)
    for p, ph in enumerate(phases[0]):
        for d, (_, s) in enumerate(ph):
            depth_taps[p * planes + d] = -s
    return Taps(
        tuple(map(int, layout)), np.array(depth_taps), *packer.fields(groups),
        columns[: length // comp], rows, single and g.stride[2] == 1,
    )  # fmt: skip
