"""Tensors and layers where the package takes arrays and operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._core.adapters import Adapter
from ..._core.typing import AnyArray
from ._layers import CONVOLUTIONS, is_layer, operator_of, read
from ._sizes import fitted
from ._tensors import HALVES, array_of, is_wrapped, tensor_of

CALL = "convinv.interop.torch.operator(layer, input_shape)"


class TorchAdapter(Adapter):
    """Tensors and layers of PyTorch."""

    def is_array(self, thing: Any) -> bool:
        return isinstance(thing, Tensor)

    def is_layer(self, thing: Any) -> bool:
        return isinstance(thing, nn.Module)

    def snapshot(self, array: Tensor, name: str) -> AnyArray:
        _refuse(array, name)
        try:
            return array_of(array)
        except (RuntimeError, BufferError, ValueError) as error:
            raise TypeError(
                f"{name} is a tensor of dtype {array.dtype} on the device "
                f"{array.device} whose memory can't be read as an array "
                f"({str(error).partition(chr(10))[0]})"
            ) from None

    def argument(self, array: Tensor, name: str, function: str) -> AnyArray:
        _refuse(array, name)
        if array.requires_grad and torch.is_grad_enabled():
            raise TypeError(
                f"{name} requires a gradient, which {function} would drop: for "
                "gradients there is convinv.interop.torch.conv_solve, else pass "
                f"{name}.detach()"
            )
        return self.snapshot(array, name)

    def restored(self, array: AnyArray, like: Tensor) -> Tensor:
        tensor = tensor_of(array, like)
        halved = like.dtype in HALVES and tensor.is_floating_point()
        return tensor.to(like.dtype) if halved else tensor

    def convolution(self, layer: nn.Module) -> tuple[AnyArray, dict[str, Any]]:
        if not isinstance(layer, CONVOLUTIONS):
            raise TypeError(
                f"kernel is a {type(layer).__name__}, which is no plain convolution"
                f"{_unless(layer)}"
            )
        found = read(layer)
        options = dict(found.options)
        options.pop("transposed", None)
        options["boundary"] = options.pop("padding_mode")
        return array_of(found.weight), options

    def system(
        self, layer: nn.Module, data: AnyArray, name: str, side: str
    ) -> tuple[Any, AnyArray]:
        if not is_layer(layer):
            raise TypeError(f"op is a {type(layer).__name__}{_unless(layer)}")
        found, shape = read(layer), tuple(np.shape(data))
        axes = 0 if found.linear else found.weight.ndim - 2
        if len(shape) <= axes:
            raise ValueError(
                f"{name} must have shape (C, *spatial) or (N, C, *spatial) where op is "
                f"a {type(layer).__name__}, whose size follows from it, got {shape}"
            )
        own = shape[len(shape) - axes - 1 :]
        if found.linear:
            own = (found.weight.shape[1],)
        elif side == "output":
            found, own = fitted(found, own, None, f"pass {CALL}")
        op = operator_of(found, own)
        if found.bias is None or side == "input":
            return op, data
        data = op.own_array(data, name)
        bias = op.own_array(self.snapshot(found.bias, "the bias of op"), "its bias")
        if data.shape[-axes - 1] != len(bias):
            return op, data  # what takes them tells their shapes
        return op, data - bias.reshape(-1, *[1] * axes)

    def way_out(self, layer: nn.Module) -> str:
        return f"pass {CALL}" if is_layer(layer) else _unless(layer).lstrip(": ")


def _unless(module: nn.Module) -> str:
    """What to do about a module that is no plain convolution."""
    if is_layer(module):
        return f": pass {CALL}"
    return (
        ": convinv.interop.torch.operator takes Conv, ConvTranspose and Linear layers"
    )


def _refuse(tensor: Tensor, name: str) -> None:
    """Raise for tensors that hold no numbers in a row."""
    if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
        raise ValueError(f"{name} has no shape yet: apply its layer once")
    if is_wrapped(tensor):
        raise TypeError(
            f"{name} is a tensor inside a transform of torch.func, such as vmap, where "
            "its numbers can't be read: use convinv.interop.torch.conv_solve there"
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"{name} is a sparse tensor: pass {name}.to_dense()")
