"""Operators for weights: made once for each value of a weight, and kept a while."""

from __future__ import annotations

import threading
from collections import OrderedDict

from .._core.arrays import namespace
from .._core.typing import AnyArray
from ..operators._base import ShapedOperator
from ..operators._convolution import ConvLinearOperator
from ._layer_map import LayerMap

KEPT = 16  # operators
MEMORY = 2**30  # bytes of their set-ups


class OperatorStore:
    """The operators of the latest weights, with what was set up to invert them.

    A weight is known by its values, not by its tensor: an optimizer may change the one
    in place, and parametrizations make a new tensor each time the weight is read. To
    compare the values costs less than a product with one image. The stale operators of
    a training loop leave in the order of their last use.
    """

    def __init__(self) -> None:
        self._operators: OrderedDict[int, tuple[LayerMap, ConvLinearOperator]]
        self._operators = OrderedDict()
        self._lock = threading.Lock()
        self._next = 0

    def operator(self, layer_map: LayerMap, kernel: AnyArray) -> ShapedOperator:
        """The operator of a map with a kernel, old or new."""
        with self._lock:
            for key, (other, op) in reversed(self._operators.items()):
                if other == layer_map and _same(op, layer_map, kernel):
                    self._operators.move_to_end(key)
                    return op.H if layer_map.transposed else op
            made = layer_map.operator(kernel)
            self._operators[self._next] = layer_map, made.layer
            self._next += 1
            self._shrink()
            return made

    def _shrink(self) -> None:
        sizes = {k: op.cached_bytes for k, (_, op) in self._operators.items()}
        while len(sizes) > KEPT or (len(sizes) > 1 and sum(sizes.values()) > MEMORY):
            key, _ = self._operators.popitem(last=False)
            del sizes[key]


def _same(op: ConvLinearOperator, layer_map: LayerMap, kernel: AnyArray) -> bool:
    """Whether the operator's kernel has these values."""
    xp = namespace(kernel)
    if xp is not op.xp or op.dtype != kernel.dtype:
        return False
    if xp is not None and getattr(kernel, "device", None) != op.kernel.device:
        return False
    wanted = kernel.conj() if layer_map.transposed else kernel
    return bool(xp.array_equal(op.kernel, wanted))


OPERATORS = OperatorStore()
