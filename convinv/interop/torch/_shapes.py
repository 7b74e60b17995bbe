"""The shape of a module's output, without a computation."""

from __future__ import annotations

import torch
from torch import nn

from ._layers import is_layer, map_of, read, without_side_effects

ITEMS = 2  # of the batch that is passed: a shape of 1 would fit too much


def shape_after(module: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of one item, for items of a shape; a ValueError says what does not fit.

    By a pass on the device "meta", which holds no numbers; that of layers by their
    options.
    """
    if is_layer(module):
        layer = read(module)
        if not layer.linear:
            return map_of(layer, shape).output_shape
        outputs, inputs = layer.weight.shape[:2]
        if shape[-1:] != (inputs,):
            raise ValueError(f"it takes {inputs} numbers, got a shape of {shape}")
        return *shape[:-1], outputs
    tensors = dict([*module.named_parameters(), *module.named_buffers()])
    try:
        state = {n: torch.empty_like(t, device="meta") for n, t in tensors.items()}
        real = [t.dtype for t in tensors.values() if t.is_floating_point()]
        x = torch.empty((ITEMS, *shape), device="meta", dtype=real[0] if real else None)
        with torch.no_grad(), without_side_effects(module):
            y = torch.func.functional_call(module, state, (x,))
    except Exception as error:  # whatever a module raises for what it does not take
        words = (
            str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        )
        raise ValueError(f"it does not take items of shape {shape}: {words}") from error
    if not isinstance(y, torch.Tensor) or len(y) != ITEMS:
        raise ValueError("it does not map items of a batch to items")
    return tuple(y.shape[1:])
