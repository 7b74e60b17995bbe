"""The weight of a layer, or a weight with a layer's options, and their map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._core.typing import Shape
from .._layer_map import LayerMap, layer_map
from ._layers import is_layer, map_of, read
from ._tensors import check_tensor


def weight_and_map(
    layer_or_weight: nn.Module | Tensor, input_shape: Shape, options: dict[str, Any]
) -> tuple[Tensor, LayerMap]:
    """The weight as it stands, of convolution kind, and its map.

    `options` are those of the layer in its words, for a weight alone.
    """
    if isinstance(layer_or_weight, Tensor):
        check_tensor(layer_or_weight, "layer_or_weight", halves=True)
        if layer_or_weight.ndim == 2:
            if options:
                raise TypeError(
                    "a weight of two axes is that of a linear layer, which has no "
                    f"options, got {', '.join(options)}"
                )
            weight, shape = layer_or_weight[:, :, None], tuple(input_shape)
            return weight, layer_map(tuple(weight.shape), (*shape, 1)[:2])
        shape = tuple(layer_or_weight.shape)
        return layer_or_weight, layer_map(shape, input_shape, **options)
    if not is_layer(layer_or_weight):
        raise TypeError(
            "layer_or_weight must be a layer (nn.Conv1d, 2d, 3d, nn.ConvTranspose1d, "
            "2d, 3d or nn.Linear) or its weight, got "
            f"{type(layer_or_weight).__name__}"
        )
    if options:
        raise TypeError(
            f"{', '.join(options)}: options are for a weight alone, a layer has its own"
        )
    found = read(layer_or_weight)
    return found.weight, map_of(found, input_shape)


def layer_weight(layer: nn.Module) -> nn.Parameter:
    """The weight of a layer to be changed in place."""
    if not is_layer(layer):
        raise TypeError(
            "layer must be an nn.Conv1d, 2d, 3d, nn.ConvTranspose1d, 2d, 3d or "
            f"nn.Linear, got {type(layer).__name__}"
        )
    weight = layer.weight
    if not isinstance(weight, nn.Parameter):
        raise ValueError(
            "the layer's weight is parametrized and cannot be changed in place: set "
            "layer.weight, or remove the parametrization"
        )
    return weight


def real_dtype(weight: Tensor) -> torch.dtype:
    """That of norms: the real one of the weight, of half precision float32."""
    if weight.dtype in (torch.float16, torch.bfloat16):
        return torch.float32
    return weight.dtype.to_real() if weight.is_complex() else weight.dtype
