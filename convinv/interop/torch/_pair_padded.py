"""A convolution whose padding differs between the ends of an axis."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .._layer_map import layer_map
from . import _products as products


class PairPadded(nn.Module):
    """A convolution, transposed or not, padded by pairs, which PyTorch has no layer of.

    Attributes
    ----------
    weight, bias : nn.Parameter
    options : dict
        As `layer_map` takes them.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, **options: Any):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        axes = self.weight.ndim - 2
        shape = tuple(x.shape[-axes - 1 :])
        found = layer_map(tuple(self.weight.shape), shape, **self.options)
        y = products.apply(found, x, self.weight)
        return y if self.bias is None else y + self.bias.reshape(-1, *[1] * axes)
