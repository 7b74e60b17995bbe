"""Stages that are solves: convolutions, transposed ones, linear layers."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from .._call import Call
from .._layer_map import LayerMap
from . import _products as products
from ._conv_solve import solved
from ._determined import Ends, ends
from ._elementwise_stages import listed
from ._layers import CONVOLUTIONS, TRANSPOSED, ReadLayer, map_of, read
from ._pair_padded import PairPadded
from ._stages import Solves, Stage, inverts, norms


@inverts(*CONVOLUTIONS, *TRANSPOSED, nn.Linear, PairPadded)
class LayerStage(Stage):
    """A layer, of whose output some channels may not be known.

    Attributes
    ----------
    unknown : list of int
        Channels of the output that are left out.
    after : str
        The stage that has lost them.
    """

    unknown: list[int] = []
    after = ""

    @cached_property
    def layer(self) -> ReadLayer:
        return read(self.module)

    @cached_property
    def map(self) -> LayerMap:
        linear = self.layer.linear
        shape = (self.input_shape[-1], 1) if linear else self.input_shape
        return map_of(self.layer, shape)

    @cached_property
    def weight(self) -> Tensor:
        """Without what leads to channels that are not known."""
        weight, known = self.layer.weight, self._known(self.layer.weight)
        if not self.unknown:
            return weight
        axes = [1] * (weight.ndim - 2)
        if not self.layer.options.get("transposed"):
            return weight * known.reshape(-1, 1, *axes)
        groups = self.layer.options.get("groups", 1)
        rows = known.reshape(groups, -1).repeat_interleave(len(weight) // groups, 0)
        return weight * rows.reshape(*rows.shape, *axes)

    @cached_property
    def ends(self) -> Ends:
        """Of the singular values, from known outputs alone."""
        channels, *spatial = self.map.output_shape
        known = (channels - len(self.unknown)) * math.prod(spatial)
        found = ends(self.map, self.weight.detach())
        if known < math.prod(self.map.input_shape):
            return replace(found, smallest=0.0)
        return found

    def problem(self) -> str | None:
        if self.unknown and self.after and not self.ends.determined:
            return (
                f"its channels {listed(self.unknown)} are not known, since the slopes "
                f"of {self.after} are not positive there, and the others do not "
                "determine its input"
            )
        return None

    def apply(self, x: Tensor) -> Tensor:
        weight, bias = self.layer.weight.to(x.dtype), self.layer.bias
        y = products.apply(self.map, self._items(x, self.map.input_shape), weight)
        if bias is not None:
            y = y + self._along(bias.to(x.dtype))
        return y.reshape(len(x), *self.output_shape)

    def invert(self, y: Tensor, solves: Solves) -> Tensor:
        bias = self.layer.bias
        if bias is not None and self.unknown:
            bias = bias * self._known(bias)
        x = self._solve(self._masked(y), bias, solves)
        if self.unknown:
            self.notes = (
                f"its channels {listed(self.unknown)}, of which {self.after} has lost "
                "the sign, were left out"
            )
        return x

    def failure(self, y: Tensor) -> str | None:
        outputs, inputs = math.prod(self.output_shape), math.prod(self.input_shape)
        if outputs < inputs:
            return (
                f"{outputs} outputs do not determine {inputs} inputs: x is the one of "
                "least norm"
            )
        if not self.ends.determined:
            return (
                f"numerically singular (condition {self.ends.condition:.1g} in "
                f"{str(self.weight.dtype).removeprefix('torch.')}): its output does "
                "not determine its input"
            )
        if self.result is not None and not self.result.success:
            return f"{self.result.method}: {self.result.message}"
        return None

    def difference(self, x: Tensor, y: Tensor) -> Tensor:
        return self._masked(y - self.apply(x))

    def rounding(self, x: Tensor, y: Tensor) -> Tensor:
        weight, bias = self.layer.weight.abs().to(y.dtype), self.layer.bias
        items = self._items(x.abs().to(y.dtype), self.map.input_shape)
        size = products.apply(self.map, items, weight).abs()
        if bias is not None:
            size = size + self._along(bias.abs().to(size.dtype))
        return size.reshape(y.shape)

    def defect(self, x: Tensor, y: Tensor, solves: Solves) -> Tensor:
        """The residual; with a damp its solution is a part of what x lacks."""
        rest = self.difference(x, y)
        if not solves.damp:
            return rest
        least = max(self.ends.smallest, self.ends.zero)
        return rest * (1 + (solves.damp / least) ** 2)

    def moved(self, x: Tensor, delta: Tensor, solves: Solves) -> Tensor:
        result, self.result = self.result, None
        quiet = replace(solves, on_failure="ignore")
        found = self._solve(self._masked(delta), None, quiet)
        failed = self.result is not None and not self.result.success
        self.result = result
        if failed and self.ends.smallest:
            # at the longest that it can be
            longest = norms(delta) / self.ends.smallest
            size = norms(found)
            scale = torch.where(size < longest, longest / size, torch.ones_like(size))
            found = found * _like(scale, found)
        return found

    def condition(self) -> float:
        return self.ends.condition

    def _solve(self, y: Tensor, bias: Tensor | None, solves: Solves) -> Tensor:
        call = Call(self.map, "auto", solves.rtol, solves.gradient_rtol, "ignore")
        if torch.compiler.is_compiling():
            call.on_failure = solves.on_failure
        items = self._items(y, self.map.output_shape)
        x = solved(items, self.weight, bias, solves.damp, None, call)
        call.on_failure = solves.on_failure  # of the gradients
        self.result = None if call.result is None else replace(call.result, x=None)
        return x.reshape(len(y), *self.input_shape)

    def _items(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return x.reshape(-1, *shape)

    def _along(self, values: Tensor) -> Tensor:
        """A number for each channel, for outputs of the map."""
        return values.reshape(-1, *[1] * (len(self.map.output_shape) - 1))

    def _known(self, like: Tensor) -> Tensor:
        """1 for channels that are known, 0 for others."""
        known = torch.ones(
            self.map.output_shape[0], dtype=like.dtype, device=like.device
        )
        known[self.unknown] = 0
        return known

    def _masked(self, y: Tensor) -> Tensor:
        if not self.unknown:
            return y
        items = self._items(y, self.map.output_shape)
        return (items * self._along(self._known(y))).reshape(y.shape)


def _like(values: Tensor, items: Tensor) -> Tensor:
    """A number for each item, to be multiplied with them."""
    return values.to(items.real.dtype).reshape(-1, *[1] * (items.ndim - 1))
