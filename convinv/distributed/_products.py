"""Products of operators with arrays of Dask, in chunks of any size."""

from __future__ import annotations

import itertools
from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from .._core.arrays import namespace, placement, working_dtype
from .._tiles.axes import Reach
from .._tiles.unpadded import Unpadded, folded, gathered
from ._boxes import reading, touching
from ._layout import checked, is_whole
from ._shipped import Shipped
from ._strips import Strips, join
from ._threads import share_of_threads


def product(op: Any, array: Any, name: str) -> da.Array:
    """The product of an operator with an array of Dask, not yet computed.

    The chunks of the result follow those of the array.
    """
    array = checked(array, name, op.input_shape, op)
    if is_whole(array, op.input_shape):
        return _by_items(op, array)
    if op.layer is None:
        axes = tuple(range(array.ndim - len(op.input_shape), array.ndim))
        raise ValueError(
            f"{name} is cut along the axes of an item, {axes}, which only a "
            f"convolution and its adjoint take, got {type(op).__name__}: pass "
            f"{name}.rechunk({dict.fromkeys(axes, -1)})"
        )
    return _Graph(op, array).result()


def _by_items(op: Any, array: da.Array) -> da.Array:
    """The product where items are whole in the chunks."""
    lead = array.ndim - len(op.input_shape)
    chunks = (*array.chunks[:lead], *((n,) for n in op.output_shape))
    dtype = np.result_type(op.dtype, working_dtype(array.dtype, "the operand"))
    numbers = list(range(array.ndim))
    out = [*numbers[:lead], *range(array.ndim, array.ndim + len(op.output_shape))]
    return da.blockwise(
        _product_of_items,
        out,
        array,
        numbers,
        shipped=Shipped(op),
        new_axes=dict(zip(out[lead:], (along for along in chunks[lead:]))),
        concatenate=True,
        dtype=dtype,
        meta=meta_from_array(array._meta, len(out), dtype=dtype),
        name=f"convinv-product-{tokenize(Shipped(op), array.name)}",
    )


def _product_of_items(items, shipped):
    with share_of_threads():
        return shipped.value.forward(items)


class _Graph:
    """The tasks of a product of a convolution, or of its adjoint."""

    def __init__(self, op: Any, array: da.Array) -> None:
        self.op, self.array = op, array
        g = op.layer.geometry
        self.reaches = [Reach.of(g, axis) for axis in range(3 - g.ndim, 3)]
        self.spatial = array.chunks[array.ndim - g.ndim :]
        self.lead = array.ndim - g.ndim - 1  # of the batch; one of channels follows

    def result(self) -> da.Array:
        op, array = self.op, self.array
        shipped = Shipped(Unpadded(op.layer))
        token = tokenize(shipped, op.is_convolution, array.name)
        name, sent = f"convinv-product-{token}", f"convinv-operator-{token}"
        strips = Strips(array, len(self.reaches), f"convinv-strips-{token}")
        spatial = [
            self._edges(r, along) for r, along in zip(self.reaches, self.spatial)
        ]
        graph: dict[Any, Any] = {sent: shipped}
        make = self._rows if op.is_convolution else self._samples
        lengths = [range(len(along) - 1) for along in spatial]
        for lead in np.ndindex(*array.numblocks[: self.lead]):
            for index in itertools.product(*lengths):
                box = [(e[i], e[i + 1]) for e, i in zip(spatial, index)]
                graph[(name, *lead, 0, *index)] = make(strips, sent, (*lead, 0), box)
        chunks = (
            *array.chunks[: self.lead],
            op.output_shape[:1],
            *(tuple(np.diff(along).tolist()) for along in spatial),
        )
        dtype = np.result_type(op.dtype, working_dtype(array.dtype, "the operand"))
        meta = meta_from_array(array._meta, array.ndim, dtype=dtype)
        whole = HighLevelGraph.from_collections(
            name, {**strips.tasks, **graph}, dependencies=[array]
        )
        return da.Array(whole, name, chunks, meta=meta)

    def _edges(self, reach: Reach, along: tuple[int, ...]) -> list[int]:
        """The edges of the chunks of the result along an axis, those of the array's."""
        edges = np.cumsum([0, *along])
        if self.op.is_convolution:
            edges, last = -(-edges // reach.stride), reach.rows
        else:
            edges, last = edges * reach.stride, reach.samples
        edges = np.minimum(edges, last)
        edges[-1] = last
        return np.unique(edges).tolist()

    def _rows(self, strips, sent, lead, rows):
        runs = [reading(r, one).runs for r, one in zip(self.reaches, rows)]
        return forward_block, sent, strips.joined(lead, runs), rows

    def _samples(self, strips, sent, lead, box):
        along = [touching(r, one) for r, one in zip(self.reaches, box)]
        parts = [
            strips.joined(lead, [(part.rows,) for part in parts])
            for parts in itertools.product(*along)
        ]
        if not parts:  # no row reads these samples: a chunk says what zeros they are
            some = [((0, 1),)] * len(self.reaches)
            return zero_block, sent, strips.joined(lead, some), box
        return adjoint_block, sent, parts, box


def forward_block(shipped: Shipped, pieces: list, rows: list) -> Any:
    """Rows of a convolution from pieces of what they read."""
    boxes, reaches = _boxes_of(shipped)
    x = join(pieces, len(reaches))
    batch = x.shape[: x.ndim - len(reaches) - 1]
    with share_of_threads():
        x = x.reshape((-1, *x.shape[len(batch) :]))
        for axis, (reach, one) in enumerate(zip(reaches, rows)):
            x = gathered(x, 2 + axis, reading(reach, tuple(one)).places)
        y = boxes.on(x.shape[2:]).apply(x)
    return y.reshape((*batch, *y.shape[1:]))


def adjoint_block(shipped: Shipped, parts: list, box: list) -> Any:
    """Samples of an adjoint from pieces of the rows that read them."""
    boxes, reaches = _boxes_of(shipped)
    along = [touching(reach, tuple(one)) for reach, one in zip(reaches, box)]
    found: Any = 0
    with share_of_threads():
        for pieces, segments in zip(parts, itertools.product(*along)):
            y = join(pieces, len(reaches))
            batch = y.shape[: y.ndim - len(reaches) - 1]
            y = y.reshape((-1, *y.shape[len(batch) :]))
            v = boxes.on([len(s.places) for s in segments]).apply_adjoint(y)
            for axis, (segment, one) in enumerate(zip(segments, box)):
                v = folded(v, 2 + axis, segment.places, 0, one[1] - one[0])
            found = found + v
    return found.reshape((*batch, *found.shape[1:]))


def zero_block(shipped: Shipped, pieces: list, box: list) -> Any:
    """Samples that no row reads."""
    boxes, reaches = _boxes_of(shipped)
    like = join(pieces, len(reaches))
    dtype = np.result_type(boxes.op.dtype, working_dtype(like.dtype, "the operand"))
    batch = like.shape[: like.ndim - len(reaches) - 1]
    shape = (*batch, boxes.op.input_shape[0], *(stop - first for first, stop in box))
    return namespace(like).zeros(shape, dtype=dtype, **placement(like))


def _boxes_of(shipped: Shipped) -> tuple[Unpadded, list[Reach]]:
    boxes = shipped.value
    g = boxes.op.geometry
    return boxes, [Reach.of(g, axis) for axis in range(3 - g.ndim, 3)]
