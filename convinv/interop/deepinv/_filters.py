"""The filters of deepinv's blurs as the weights of convolution layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from deepinv.physics import Blur, BlurFFT, Downsampling
from torch import Tensor

from ..torch._layers import ReadLayer

PADDINGS = "valid", "circular", "replicate", "reflect", "constant", "zeros", "symmetric"
AXES = 2, 3


def layer_of_filter(filter: Any, padding: str, stride: Any = 1) -> ReadLayer:
    """The layer that convolves each channel with a filter, as deepinv's `Blur` does.

    Its center is at ``k // 2``. A filter for all channels makes a layer of one channel,
    one for each a layer with groups.
    """
    if padding not in PADDINGS:
        raise ValueError(f"padding must be one of {PADDINGS}, got {padding!r}")
    filter = _tensor(filter)
    axes = filter.ndim - 2
    taps = tuple(filter.shape[2:])
    options: dict[str, Any] = {"stride": stride, "groups": filter.shape[1]}
    if padding != "valid":
        # correlation with the flipped filter, whose center is at k - 1 - k // 2
        options["padding"] = tuple((k - 1 - k // 2, k // 2) for k in taps)
        options["padding_mode"] = padding
    weight = filter[0][:, None].flip(tuple(range(-axes, 0)))
    return ReadLayer(weight, None, options)


def _tensor(filter: Any) -> Tensor:
    """A filter ``(1, c, *k)`` of what a user gave."""
    if not isinstance(filter, Tensor):  # images have the default dtype as a rule
        filter = torch.as_tensor(np.asarray(filter), dtype=torch.get_default_dtype())
    if filter.ndim in AXES:
        filter = filter[None, None]
    if filter.ndim - 2 not in AXES or len(filter) != 1 or 0 in filter.shape:
        raise ValueError(
            "a filter must have shape (h, w), (d, h, w) or, as deepinv has it, (1, c, "
            f"*k) with two or three axes of taps, got {tuple(filter.shape)}"
            + (
                "; invert the items of a batch of filters one by one"
                * (len(filter) > 1)
            )
        )
    return filter


def layer_of_physics(physics: Any) -> ReadLayer | None:
    """The layer that a physics of deepinv is, or None.

    Classes of users that derive from its blurs may do something else and are not read.
    """
    kind = type(physics)
    if kind not in (Blur, BlurFFT, Downsampling):
        return None
    filter = physics.filter
    if filter is None and kind is Downsampling:
        filter = torch.ones(1, 1, 1, 1)
    if filter is None:
        raise ValueError(f"the {kind.__name__} has no filter yet: give it one")
    padding = "circular" if kind is BlurFFT else physics.padding.lower()
    stride = physics.factor if kind is Downsampling else 1
    return layer_of_filter(filter, padding, stride)


def for_channels(layer: ReadLayer, channels: int) -> ReadLayer:
    """The layer with a filter for each of this many channels."""
    if len(layer.weight) == channels or len(layer.weight) > 1:
        return layer
    weight = layer.weight.expand(channels, *layer.weight.shape[1:])
    return ReadLayer(weight, None, {**layer.options, "groups": channels})


def image_size(physics: Any) -> tuple[int, ...] | None:
    """``(C, *spatial)`` of a physics' images, where it tells."""
    for name in ("img_size", "imsize"):
        size = getattr(physics, name, None)
        if size is not None:
            return tuple(int(n) for n in size)
    return None
