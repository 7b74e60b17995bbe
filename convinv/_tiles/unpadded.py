"""A convolution without padding on boxes of any size, and what padding does around it.

Samples are gathered as the boundary says before the product, and added up at the places
that they were gathered from after its adjoint.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from .._core.arrays import namespace, placement
from ..operators._convolution import ConvLinearOperator

KEPT = 24  # shapes whose prepared products are kept


class Unpadded:
    """A convolution without its padding, on boxes of the sizes that are asked for.

    Parameters
    ----------
    op : ConvLinearOperator
    """

    def __init__(self, op: ConvLinearOperator):
        self.op = op
        self._begin()

    def _begin(self):
        self._kept: OrderedDict[tuple, ConvLinearOperator] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"op": self.op}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.op = state["op"]
        self._begin()

    def on(self, size) -> ConvLinearOperator:
        """The convolution on `size` samples."""
        size = tuple(int(n) for n in size)
        with self._lock:
            found = self._kept.get(size)
            if found is None:
                found = self._kept[size] = self._made(size)
            self._kept.move_to_end(size)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found

    def _made(self, size):
        op = self.op
        options = {**op.options, "padding": 0, "boundary": "zero"}
        return ConvLinearOperator(op.kernel, (op.input_shape[0], *size), **options)


def gathered(x, axis, index):
    """The samples at `index` along an axis, zeros where it is negative."""
    before = (slice(None),) * axis
    if isinstance(index, slice):
        return x[(*before, index)]
    xp = namespace(x)
    taken = xp.take(x, xp.asarray(np.maximum(index, 0), **placement(x)), axis=axis)
    for first, stop in _ascending(np.where(index < 0, np.arange(len(index)), -1)):
        taken[(*before, slice(first, stop))] = 0
    return taken


def folded(v, axis, index, start, length):
    """The samples of an axis added up at their places in a box, from `start` on."""
    before = (slice(None),) * axis
    if isinstance(index, slice):
        index = np.arange(index.start, index.stop)
    places = np.where(index < start, -1, index - start)
    places[places >= length] = -1
    shape = (*v.shape[:axis], length, *v.shape[axis + 1 :])
    pieces = _ascending(places)
    if len(pieces) == 1 and pieces[0][1] - pieces[0][0] == length:
        return v[(*before, slice(*pieces[0]))]
    found = namespace(v).zeros(shape, dtype=v.dtype, **placement(v))
    for first, stop in pieces:
        at = slice(places[first], places[first] + stop - first)
        found[(*before, at)] += v[(*before, slice(first, stop))]
    return found


def _ascending(places):
    """``(first, stop)`` of stretches of places in a row, none negative."""
    breaks = np.flatnonzero((np.diff(places) != 1) | (places[1:] < 1)) + 1
    edges = [0, *breaks.tolist(), len(places)]
    return [(a, b) for a, b in zip(edges, edges[1:]) if a < b and places[a] >= 0]
