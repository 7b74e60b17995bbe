"""Batches in blocks: each task solves the items of a block as `convinv.solve` does."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields, replace
from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from .._core.arrays import working_dtype
from .._solve.front import outcome_of
from .._solve.outcome import Outcome, merged
from .._solve.request import Request
from ._aligned import Aligned
from ._computing import held
from ._layout import block_of, places
from ._shipped import Shipped
from ._threads import share_of_threads

NO_NUMBERS = np.random.default_rng(0)  # in place of a generator that is not sent
SAMPLE = 32  # items by which a rule chooses the damp of all


@dataclass(frozen=True)
class Batch:
    """A batch of right-hand sides whose images are whole in the chunks.

    Attributes
    ----------
    op : ShapedOperator
    b : dask.array.Array, shape (..., *op.output_shape)
    request : Request
    given : Aligned
        The other arguments of the solve, with the bounds as "low" and "high".
    progress : bool
    """

    op: Any
    b: da.Array
    request: Request
    given: Aligned
    progress: bool

    @property
    def lead(self) -> int:
        """The number of leading axes."""
        return self.b.ndim - len(self.op.output_shape)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.b.shape[: self.lead]

    def outcome(self) -> Outcome:
        """Solve all blocks; x is an array of Dask that is held in memory."""
        note: dict[str, Any] = {}
        batch = self
        if isinstance(self.given.shared.get("damp"), str):
            batch, note = self._with_damp()
        x, told = held(*batch._graph(), progress=self.progress)
        outcome = merged(told.compute().ravel().tolist(), x)
        outcome.notes |= note
        return in_order(outcome, places(self.b, self.lead))

    def _graph(self) -> tuple[da.Array, da.Array]:
        """x, and the outcomes of the blocks, before anything is computed.

        Both are arrays: Dask would compute for each kind of collection by itself.
        """
        b, op, cut = self.b, self.op, self.given.cut
        # each block has numbers and bounds of its own
        request = replace(
            self.request, rng=NO_NUMBERS, bounds=None, items=math.prod(self.batch_shape)
        )
        shipped = Shipped((op, request, self.given.shared))
        blocks = math.prod(b.numblocks)
        seeds = self.request.rng.integers(2**63, size=blocks).tolist()
        token = tokenize(shipped, b.name, seeds, *(a.name for a in cut.values()))
        solved, x, told, sent = (
            f"convinv-{word}-{token}"
            for word in ("solve-block", "solution", "solve", "operator")
        )
        graph: dict[Any, Any] = {sent: shipped}
        for seed, index in zip(seeds, np.ndindex(*b.numblocks)):
            arrays = [
                (a.name, *index[: self.lead], *(0,) * (a.ndim - self.lead))
                for a in cut.values()
            ]
            task = (solve_block, sent, (b.name, *index), seed, list(cut), arrays)
            graph[(solved, *index)] = (*task, self._first(index))
            x_index = (*index[: self.lead], *(0,) * len(op.input_shape))
            graph[(x, *x_index)] = (operator.itemgetter(0), (solved, *index))
            graph[(told, *index)] = (_record, (solved, *index), b.ndim)
        whole = HighLevelGraph.from_collections(
            x, graph, dependencies=[b, *cut.values()]
        )
        chunks = (*b.chunks[: self.lead], *((n,) for n in op.input_shape))
        meta = meta_from_array(b._meta, len(chunks), dtype=self._dtype())
        ones = tuple((1,) * n for n in b.numblocks)
        outcomes = da.Array(whole, told, ones, meta=np.empty((0,) * b.ndim, object))
        return da.Array(whole, x, chunks, meta=meta), outcomes

    def _dtype(self) -> np.dtype:
        dtypes = [self.op.dtype, working_dtype(self.b.dtype, "b")]
        x0 = self.given.cut.get("x0", self.given.shared.get("x0"))
        if x0 is not None:
            dtypes.append(working_dtype(x0.dtype, "x0"))
        return np.result_type(*dtypes)

    def _first(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """The place of the first item of a block in the batch."""
        return tuple(block.start for block in block_of(self.b, index[: self.lead]))

    def _with_damp(self) -> tuple[Batch, dict[str, Any]]:
        """The same with the damp that a rule chooses by a sample, and its notes."""
        count = math.prod(self.batch_shape)
        some = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(int))
        taken = np.unravel_index(some, self.batch_shape) if self.lead else ()
        names, arrays = list(self.given.cut), [self.b, *self.given.cut.values()]
        if self.lead:
            arrays = [a.vindex[(*taken, ...)] for a in arrays]
        b, *cut = da.compute(*arrays)
        given = {**self.given.shared, **dict(zip(names, cut))}
        notes = _outcome(self.request, self.op, b, given)[1].notes
        note = {name: notes[name] for name in ("damp", "damp_path")}
        note["damp_items"] = some
        shared = {**self.given.shared, "damp": note["damp"]}
        shared.pop("noise_level", None)
        return replace(self, given=Aligned(shared, self.given.cut)), note


def solve_block(
    shipped: Shipped, b: Any, seed: int, names: list, arrays: list, first: tuple
) -> tuple[Any, Outcome]:
    """``(x, outcome)`` of the items of a block; the outcome has no x."""
    op, request, shared = shipped.value
    request = replace(request, rng=np.random.default_rng(seed))
    given = {**shared, **dict(zip(names, arrays))}
    try:
        with shipped.first_alone(str(b.dtype)), share_of_threads():
            layout, outcome = _outcome(request, op, b, given)
    except ValueError as error:
        if not first or type(error) is not ValueError:
            raise
        raise ValueError(
            f"{error} (in the block of b that begins at {first})"
        ) from None
    x, outcome.x = layout.restore(outcome.x), None
    return x, outcome


def _record(solved: tuple[Any, Outcome], ndim: int) -> np.ndarray:
    """The outcome of a block as the one entry of an array."""
    found = np.empty((1,) * ndim, object)
    found[(0,) * ndim] = solved[1]
    return found


def _outcome(request: Request, op: Any, b: Any, given: dict) -> tuple[Any, Outcome]:
    """The layout and the outcome of a batch in memory."""
    given = dict(given)
    bounds = given.pop("low", None), given.pop("high", None)
    if any(end is not None for end in bounds):
        request = replace(request, bounds=bounds)
    return outcome_of(request, op, b, **given)


def in_order(outcome: Outcome, numbers: np.ndarray) -> Outcome:
    """An outcome of items in the order of blocks as one in that of the batch."""
    order = np.argsort(numbers)
    if (order == np.arange(len(order))).all():
        return outcome
    changed: dict[str, Any] = {
        "item_status": [outcome.item_status[i] for i in order],
        "history": outcome.history[:, order],
        "per_item": {name: v[order] for name, v in outcome.per_item.items()},
    }
    for field in fields(outcome):
        value = getattr(outcome, field.name)
        if isinstance(value, np.ndarray) and field.name not in changed:
            changed[field.name] = value[order]
    return replace(outcome, **changed)
