"""Solving a batch slice by slice, to save memory."""

import copy

import numpy as np

from .._core.arrays import copy as copy_array, placement
from .._core.byte_counts import bytes_text
from .outcome import merged


def slices_of(estimate, limit):
    """Slices of the batch, as equal as can be, for which `limit` bytes suffice.

    Raises MemoryError if one item alone needs more.
    """
    batch, size = estimate.layout.batch, estimate.fitting(limit)
    if size == 0:
        needed, fixed = estimate.sliced(1), estimate.fixed
        words = f" ({bytes_text(fixed)} of it for all)" if fixed else ""
        raise MemoryError(
            f"max_memory is {bytes_text(limit)}, but one right-hand side needs about "
            f"{bytes_text(needed)}{words} beside op, b and x; a method that stores less"
            " or single precision needs less"
        )
    count = -(-batch // size)
    edges = [batch * i // count for i in range(count + 1)]
    return [slice(*pair) for pair in zip(edges, edges[1:])]


def solve_slices(run, layout, slices, callback, tick):
    """The outcome of all slices, one after the other.

    ``run(layout, callback, tick, stopped)`` returns the outcome of one and whether the
    callback asked to stop; with `stopped` it leaves items where they start.
    """
    if len(slices) == 1:
        return run(layout, callback, tick, False)[0]
    progress = _Progress(layout, callback)
    parts, stopped = [], False
    for items in slices:
        before = progress.nit
        part = _part(layout, items)
        report = None if callback is None else progress.report(part, items)
        found, stop = run(
            part, report, lambda nit, before=before: tick(before + nit), stopped
        )
        stopped = stopped or stop
        progress.take(found, items)
        parts.append(found)
    return merged(parts, progress.x)


def _part(layout, items):
    """The layout of some items, as a plain batch."""
    part = copy.copy(layout)
    part.b, part.taken = layout.b[items, :], items
    part.extent = tuple(values[items] for values in layout.extent)
    part.x0 = None if layout.x0 is None else layout.x0[items, :]
    part.batch, part.batched, part.columns = part.b.shape[0], True, False
    part.batch_shape = (part.batch,)
    part.x_shape = (part.batch, *layout.input_shape)
    return part


class _Progress:
    """The whole batch while its slices are solved.

    Attributes
    ----------
    x : array, shape (B, n)
        Of items whose turn has not come where they start.
    norms : ndarray, shape (B,)
        The last in each item's history; NaN before its turn.
    nit : int
        Iterations of the slices that are done.
    """

    def __init__(self, layout, callback):
        self.layout, self.callback, self.nit = layout, callback, 0
        self.norms = np.full(layout.batch, np.nan)
        if layout.x0 is not None:
            self.x = copy_array(layout.x0)
            return
        shape = (layout.batch, int(np.prod(layout.input_shape)))
        self.x = layout.xp.zeros(shape, dtype=layout.kind, **placement(layout.b))

    def report(self, part, items):
        """The callback of one slice, which calls the user's with the whole batch."""
        return lambda state: self.callback(_State(self, items, state))

    def take(self, found, items):
        """Keep the x of a slice that is done, and free its own."""
        self.x[items, :] = found.x
        found.x = None
        self.nit += len(found.history)
        if len(found.history):
            self.norms[items] = found.history[-1]


class _State:
    """The callback's state of the whole batch."""

    def __init__(self, progress, items, state):
        self._progress, self._items, self._state = progress, items, state
        self.nit = progress.nit + state.nit

    @property
    def x(self):
        progress, x = self._progress, self._state.x
        whole = copy_array(progress.x)
        whole[self._items, :] = progress.layout.xp.reshape(x, (x.shape[0], -1))
        return progress.layout.restore(whole)

    @property
    def residual_norm(self):
        norms = self._progress.norms.copy()
        norms[self._items] = self._state.residual_norm
        return self._progress.layout.items(norms)
