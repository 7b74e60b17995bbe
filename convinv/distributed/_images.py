"""Solves of images that are cut into chunks, in overlapping tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import dask
import dask.array as da
import numpy as np

from .._core.arrays import working_dtype
from .._solve.outcome import Outcome, merged
from .._solve.request import Request
from .._solve.tiles import MOST, SAMPLES, TiledProblem, sampled_damp
from .._tiles import TilePlan, iterate, read
from ._batches import in_order
from ._driver import DaskDriver
from ._layout import Layout, block_of, places
from ._products import product

METHODS = "auto", "cgls"


@dataclass(frozen=True)
class Images:
    """Images in chunks, and how they are to be solved for.

    Attributes
    ----------
    op : ConvLinearOperator
    b : dask.array.Array, shape (..., *op.output_shape)
    request : Request
    given : dict
        The other arguments of the solve that are not None.
    callback
    progress : bool
    tile, halo : int, sequence of int or None
    """

    op: Any
    b: da.Array
    request: Request
    given: dict[str, Any]
    callback: Any
    progress: bool
    tile: Any
    halo: Any

    @property
    def lead(self) -> int:
        """The number of leading axes."""
        return self.b.ndim - len(self.op.output_shape)

    def outcome(self, solve: Any) -> Outcome:
        """Solve; x is an array of Dask that is held in memory, in the chunks of b.

        `solve` finds the damp by a rule on windows of the data.
        """
        self._refuse()
        with np.errstate(all="ignore"):  # what is not finite is looked for
            damp = self._damp(solve)
            regularizer = self.given.get("regularizer")
            problem = TiledProblem(self.op, regularizer, damp, self.request.rtol)
            blocks = list(np.ndindex(*self.b.numblocks[: self.lead]))
            outcomes = [self._block(problem, index) for index in blocks]
        x = self._joined([outcome.x for outcome in outcomes])
        outcome = merged(outcomes, x) if len(outcomes) > 1 else outcomes[0]
        outcome.x = x
        if isinstance(self.given.get("damp"), str):
            outcome.notes["damp"] = damp
        return in_order(outcome, places(self.b, self.lead))

    def _refuse(self):
        """Refuse what needs images that are whole in the chunks."""
        axes = range(self.lead, self.b.ndim)
        way = f"pass b.rechunk({dict.fromkeys(axes, -1)}) to solve image by image"
        if not self.op.is_convolution:
            raise TypeError(
                f"images that are cut into chunks need a ConvLinearOperator, got "
                f"{type(self.op).__name__}: {way}"
            )
        if self.request.method not in METHODS:
            raise ValueError(
                f"method {self.request.method!r} needs images that are whole in the "
                f"chunks: use 'auto' or 'cgls', or {way}"
            )
        names = {"low": "bounds", "high": "bounds"}
        wanting = "weights", "mask", "prior", "x0", "low", "high"
        found = [names.get(name, name) for name in wanting if name in self.given]
        rest = "preconditioner", "conlim"
        found += [name for name in rest if getattr(self.request, name) is not None]
        if found:
            raise ValueError(
                f"{found[0]} needs images that are whole in the chunks: {way}"
            )
        if self.callback is not None and math.prod(self.b.numblocks[: self.lead]) > 1:
            raise ValueError(
                "callback can't be called for several blocks of images: rechunk the "
                "leading axes of b to one block, or solve the blocks one by one"
            )

    def _damp(self, solve):
        """The damp, by a rule on windows of the first image if there is one."""
        damp = self.given.get("damp", 0.0)
        if not isinstance(damp, str):
            return damp
        image = self.b[(0,) * self.lead]
        regularizer = self.given.get("regularizer")
        level = self.given.get("noise_level")
        return sampled_damp(solve, self.op, _Windows(image), regularizer, damp, level)

    def _block(self, problem: TiledProblem, index: tuple[int, ...]) -> Outcome:
        """The outcome for a block of images; x has their shape."""
        b = self.b[block_of(self.b, index)]
        lead, request = b.shape[: self.lead], self.request
        b = b.reshape((math.prod(lead), *self.op.output_shape))
        plan = self._plan(problem, b)
        plan.take_units(_largest(plan, b))
        found = iterate(
            plan,
            DaskDriver(plan, b, self.progress),
            b,
            rtol=request.rtol,
            rtol_normal=request.rtol_normal,
            atol=request.atol,
            maxiter=MOST if request.maxiter is None else request.maxiter,
            callback=_heard(self.callback, lead),
        )
        x = found.x.reshape((*lead, *self.op.input_shape))
        outcome = problem.outcome(plan, found, x)
        if request.method == "cgls":
            outcome.method, outcome.tried = "cgls", []
        return outcome

    def _plan(self, problem: TiledProblem, b: da.Array) -> TilePlan:
        plan = problem.plan(
            np.result_type(self.op.dtype, working_dtype(b.dtype, "b")),
            memory=self.request.max_memory,
            tile=self.tile,
            halo=self.halo,
            batch=b.shape[0],
        )
        if self.request.method == "cgls":
            plan.without_inverses()
        return plan

    def _joined(self, blocks: list) -> da.Array:
        """The x of all blocks of images, in chunks like those that b has."""
        grid = np.empty(self.b.numblocks[: self.lead], object)
        for index, block in zip(np.ndindex(*grid.shape), blocks):
            grid[index] = block
        x = _concatenated(grid.tolist(), self.lead, 0)
        return x.rechunk(product(self.op.H, self.b, "b").chunks).persist()


def _concatenated(blocks: Any, depth: int, axis: int) -> da.Array:
    """Nested lists of blocks of images as one array, from an axis on."""
    if depth == 0:
        return blocks
    parts = [_concatenated(one, depth - 1, axis + 1) for one in blocks]
    return da.concatenate(parts, axis=axis)


class _Windows:
    """One image of which windows are computed, as a batch of one."""

    def __init__(self, image: da.Array) -> None:
        self._image = image

    def __getitem__(self, key: tuple) -> Any:
        return self._image[key].compute()[None]


def _largest(plan: TilePlan, b: da.Array) -> float:
    """About the largest magnitude in the data, from some of the tiles."""
    step = -(-len(plan.checks) // SAMPLES)
    pieces = [read(b, tile.runs("b")) for tile in plan.checks[::step]]
    found = dask.compute(*(abs(piece).max() for piece in pieces if piece.size))
    return max(map(float, found), default=0.0)


def _heard(callback: Any, lead: tuple[int, ...]) -> Any:
    """The user's callback with a state of x in the user's shape."""
    if callback is None:
        return None
    return lambda state: callback(_State(state, lead))


class _State:
    """What the user's callback sees."""

    def __init__(self, state: Any, lead: tuple[int, ...]) -> None:
        self._state, self._lead, self.nit = state, lead, state.nit

    @property
    def x(self) -> da.Array:
        """The present x, which the workers hold."""
        x = self._state.x
        return x.reshape((*self._lead, *x.shape[1:]))

    @property
    def residual_norm(self) -> Any:
        """The norm of the normal residual before."""
        return Layout(self._lead).items(self._state.residual_norm)
