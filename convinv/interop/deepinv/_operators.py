"""Operators of convinv as maps of tensors, and physics of deepinv as operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._core.typing import AnyArray
from ...operators._base import ShapedOperator
from .._layer_map import LayerMap
from ..torch._layers import map_of
from ..torch._sizes import fitted
from ..torch._tensors import array_of, tensor_of
from ._filters import for_channels, image_size, layer_of_physics

CALL = "convinv.interop.deepinv.ConvPhysics(physics, img_size)"
SINGLE, DOUBLE = torch.float32, torch.float64


def tensor_map(op: ShapedOperator) -> tuple[LayerMap, Tensor]:
    """The map of a convolution or its adjoint, and its weight, a copy."""
    layer = op.layer
    if layer is None:
        raise TypeError(
            "op must be a ConvLinearOperator or its adjoint, got "
            f"{type(op).__name__}; other operators have A and A_adjoint of their own: "
            "deepinv.physics.LinearPhysics(A=..., A_adjoint=...)"
        )
    transposed = not op.is_convolution
    kernel, g = layer.weights, layer.geometry
    kernel = kernel.reshape((*kernel.shape[:2], *g.kernel[3 - g.ndim :]))
    kernel = kernel.conj() if transposed else kernel
    return LayerMap(g, transposed), torch.from_dlpack(kernel.copy())


def operator_of_physics(
    physics: Any, shape: tuple[int, ...], name: str, side: str
) -> ShapedOperator:
    """The operator of a physics for data of this shape, of its output or input."""
    found = layer_of_physics(physics)
    if found is None:
        if len(shape) < 2:
            raise ValueError(
                f"{name} must have shape (B, ...) where op is a "
                f"{type(physics).__name__}, got {shape}"
            )
        return PhysicsOperator(physics, shape[1:], side)
    axes = found.weight.ndim - 2
    if len(shape) <= axes:
        raise ValueError(
            f"{name} must have shape (B, C, *spatial) with {axes} spatial axes, or "
            f"without B, where op is a {type(physics).__name__}, got {shape}"
        )
    item = shape[-axes - 1 :]
    found = for_channels(found, item[0])
    size = item if side == "input" else image_size(physics)
    if size is None:
        found, size = fitted(found, item, None, f"pass {CALL}")
    return map_of(found, size).operator(array_of(found.weight).copy())


class PhysicsOperator(ShapedOperator):
    """A linear physics by its products: ``A`` and ``A_adjoint``.

    It computes in double precision where the physics does, by a copy whose buffers are
    of that precision; else in the physics' own.
    """

    def __init__(self, physics: Any, shape: tuple[int, ...], side: str):
        zeros = torch.zeros((1, *shape), device=_device(physics))
        self._physics, self._dtype = physics.clone().to(DOUBLE), DOUBLE
        try:
            sizes = _sizes(self._physics, zeros.to(DOUBLE), side)
        except RuntimeError:  # of PyTorch: tensors that are no buffers stay single
            self._physics, self._dtype = physics, SINGLE
            sizes = _sizes(physics, zeros, side)
        dtype = np.float64 if self._dtype == DOUBLE else np.float32
        super().__init__(dtype, *sizes)
        self.xp = None if zeros.is_cuda else np

    def _apply(self, X: AnyArray) -> AnyArray:
        return self._product(self._physics.A, X)

    def _apply_adjoint(self, Y: AnyArray) -> AnyArray:
        return self._product(self._physics.A_adjoint, Y)

    def _product(self, function: Any, array: AnyArray) -> AnyArray:
        given = torch.from_dlpack(array.copy())
        made = function(given.to(self._dtype)).detach()
        return array_of(tensor_of(array_of(made), given).to(given.dtype))


def _sizes(physics: Any, zeros: Tensor, side: str) -> list[tuple[int, ...]]:
    """The shapes of an image and of what is measured of it."""
    images = zeros if side == "input" else physics.A_adjoint(zeros)
    pair = [images, physics.A(images)]
    for thing in pair:
        if not isinstance(thing, Tensor):
            raise TypeError(
                f"op is a {type(physics).__name__}, which has "
                f"{type(thing).__name__} in place of tensors"
            )
    return [tuple(tensor.shape[1:]) for tensor in pair]


def _device(physics: Any) -> Any:
    tensors = [*physics.buffers(), *physics.parameters()]
    return tensors[0].device if tensors else "cpu"
