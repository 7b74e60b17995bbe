"""A layer whose groups are solved apart, where some of them can't be inverted.

The matrix of a layer with groups is block diagonal. An exact inverse takes all blocks
together; where some are singular, these go to methods of their own, and the others keep
their inverse.
"""

import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .._core.arrays import contiguous, copy as copy_array
from .._core.errors import MemoryLimit, Singular
from ..operators._convolution import ConvLinearOperator
from .auto import EXACT, prepare
from .outcome import ORDER, Outcome

MOST = 32  # parts besides that of the regular groups


class Part(NamedTuple):
    """Some groups of a layer as a layer of their own."""

    groups: np.ndarray
    op: Any
    unknowns: np.ndarray  # places in the flat input
    data: np.ndarray  # places in the flat output


def split_groups(op) -> list[Part]:
    """Each group of a layer (or of its adjoint) as a part."""
    return [part_of(op, [g]) for g in range(op.layer.geometry.groups)]


def part_of(op, groups) -> Part:
    """Some groups of a layer; the operator is kept with the layer."""
    layer = op.layer
    g, groups = layer.geometry, np.asarray(groups)

    def places(channels, size):
        first = groups[:, None] * channels * size
        return (first + np.arange(channels * size)).ravel()

    per_in, per_out = g.c_in // g.groups, g.c_out // g.groups
    own = places(per_in, int(np.prod(g.input)))
    out = places(per_out, int(np.prod(g.output)))

    def make():
        options = {**layer.options, "groups": len(groups)}
        shape = (per_in * len(groups), *layer.input_shape[1:])
        kernel = layer.kernel[places(per_out, 1)]
        return ConvLinearOperator(kernel, shape, **options)

    inner = layer.cached((f"groups {groups.tolist()}",), make)
    if layer is op:
        return Part(groups, inner, own, out)
    return Part(groups, inner.H, out, own)


def has_groups(op) -> bool:
    """Whether the operator has groups that may be solved separately."""
    return op.layer is not None and op.layer.geometry.groups > 1


def parts_of(op, scaled, choice, damp):
    """Parts of `op` that are to be solved apart, None if all groups go together.

    `choice` is what "auto" tries first for the `scaled` operator: if it is an exact
    inverse that is singular in some groups, the others are one part, and these are
    parts by themselves.
    """
    bad = scaled.layer.cached(
        ("singular groups", damp, choice.name),
        lambda: _singular_groups(scaled, choice, damp),
    )
    if not len(bad):
        return None
    good = np.setdiff1d(np.arange(op.layer.geometry.groups), bad)
    sets = [good] if len(good) else []
    sets += np.array_split(bad, min(len(bad), MOST))
    return [part_of(op, groups) for groups in sets]


def _singular_groups(op, choice, damp):
    """The groups in which the inverse of a choice is singular."""
    left, bad = np.arange(op.layer.geometry.groups), []
    while len(left):
        part = op if not bad else part_of(op, left).op
        try:
            if choice.name in EXACT:
                prepare(part, damp, choice)
            break
        except MemoryLimit:
            break
        except Singular as error:
            bad.append(left[error.groups])
            left = np.delete(left, error.groups)
    return np.sort(np.concatenate(bad)) if bad else np.zeros(0, int)


def layout_of(layout, part):
    """The layout of a part, as a plain batch."""
    found = copy.copy(layout)
    found.b = contiguous(layout.b[:, part.data])
    found.extent = found._extent(found.b, "b")
    found.x0 = None
    if layout.x0 is not None:
        found.x0 = contiguous(layout.x0[:, part.unknowns])
    found.input_shape = part.op.input_shape
    found.batched, found.columns = True, False
    found.batch_shape = (layout.batch,)
    found.x_shape = (layout.batch, *part.op.input_shape)
    return found


def solve_parts(task, parts, layout, callback, tick, stopped):
    """The outcome of all parts, one after the other, and whether that was stopped.

    ``task.run(layout, callback, tick, stopped)`` solves one.
    """
    whole = _Whole(layout, parts, callback)
    found, atol = [], task.atol / np.sqrt(len(parts))
    for part in parts:
        inner = layout_of(layout, part)
        moved = None if task.damp else _moved(inner, part.op)
        own = replace(task, op=part.op, layout=inner, atol=atol, is_part=True)
        report = None if callback is None else whole.report(part)
        before = whole.nit
        outcome, stop = own.run(
            own.layout, report, lambda nit, n=before: tick(n + nit), stopped
        )
        stopped = stopped or stop
        if moved is not None:
            outcome.x = outcome.x + moved
        whole.take(part, outcome)
        found.append(outcome)
    return _merged(parts, found, whole.x, layout), stopped


def _moved(layout, op):
    """Take x0 into b in items with b = 0, which `solve` would answer with x = 0.

    Zeros of one group are no sign that all of b is zero. Returns what is to be added to
    x, None for nothing.
    """
    zero = layout.xp.asarray(layout.extent[0] == 0)[:, None]
    if layout.x0 is None or not bool(zero.any()):
        return None
    moved = layout.xp.where(zero, layout.x0, 0).astype(layout.kind)
    image = op.apply(moved.reshape((len(moved), *op.input_shape)))
    rest = layout.b - image.reshape(layout.b.shape)
    layout.b = contiguous(rest.astype(layout.kind))
    layout.extent = layout._extent(layout.b, "b")
    layout.x0 = contiguous(layout.x0 - moved)
    return moved


class _Whole:
    """The x of all groups while their parts are solved."""

    def __init__(self, layout, parts, callback):
        self.layout, self.callback, self.nit = layout, callback, 0
        size = int(np.prod(layout.input_shape))
        self.x = layout.xp.zeros((layout.batch, size), dtype=layout.kind)
        if layout.x0 is not None:
            self.x = copy_array(layout.x0)

    def report(self, part):
        return lambda state: self.callback(_State(self, part, state))

    def take(self, part, outcome):
        self.x[:, part.unknowns] = outcome.x
        outcome.x = None
        self.nit += len(outcome.history)


class _State:
    """The callback's state of all groups; its norm is that of the current part."""

    def __init__(self, whole, part, state):
        self._whole, self._part, self._state = whole, part, state
        self.nit = whole.nit + state.nit

    @property
    def x(self):
        x = copy_array(self._whole.x)
        x[:, self._part.unknowns] = self._state.x.reshape((len(x), -1))
        return self._whole.layout.restore(x)

    @property
    def residual_norm(self):
        return self._whole.layout.items(np.asarray(self._state.residual_norm))


def _merged(parts, found, x, layout):
    """One outcome for all groups."""
    together = lambda name: np.sqrt(  # noqa: E731
        np.sum([getattr(f, name) ** 2 for f in found], axis=0)
    )
    normal = all(f.watches_normal for f in found)
    longest = max(found, key=lambda f: len(f.history))
    good = np.all([f.good for f in found], axis=0)
    statuses = zip(*(f.item_status for f in found))
    status = [min(items, key=ORDER.index) for items in statuses]
    return Outcome(
        x=x,
        good=good,
        residual=together("residual"),
        normal=together("normal"),
        error=_errors(found),
        item_nit=np.max([f.item_nit for f in found], axis=0),
        item_status=status,
        history=_history(found, normal, layout.batch),
        watches_normal=normal,
        method=longest.method or found[0].method,
        tried=_sentences(parts, found),
        notes={"groups": [_verdict(*pair) for pair in zip(parts, found)]},
    )


def _errors(found):
    """An error bound of each item: the largest of its parts."""
    return np.max([f.error for f in found], axis=0)


def _history(found, normal, batch):
    """The joint history; a part that watched another norm adds its last norm only."""
    columns = []
    for f in found:
        rows = list(f.history) if f.watches_normal == normal else []
        columns.append(rows or [f.normal if normal else f.residual])
    length = max(len(f.history) for f in found)
    total = np.zeros((length, batch))
    for rows in columns:
        rows = rows + [rows[-1]] * (length - len(rows))
        total = np.hypot(total, np.reshape(rows[:length], total.shape))
    return total


def _verdict(part, outcome):
    """What is told of a part in ``extra["groups"]``."""
    return {
        "groups": part.groups.tolist(),
        "method": outcome.method,
        "success": bool(outcome.good.all()),
        **outcome.notes,
    }


def _sentences(parts, found):
    return [
        f"groups {', '.join(map(str, part.groups))}: "
        + "; then ".join(filter(None, outcome.tried))
        for part, outcome in zip(parts, found)
    ]
