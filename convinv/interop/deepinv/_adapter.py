"""Physics of deepinv where the package takes operators."""

from __future__ import annotations

from typing import Any

import numpy as np
from deepinv.physics import LinearPhysics, Physics, StackedPhysics

from ..._core.typing import AnyArray
from ..torch._adapter import TorchAdapter
from ._operators import CALL, operator_of_physics
from ._physics import ConvPhysics


class DeepinvAdapter(TorchAdapter):
    """deepinv's physics, beside the tensors and layers that it has from PyTorch."""

    def system(
        self, layer: Any, data: AnyArray, name: str, side: str
    ) -> tuple[Any, AnyArray]:
        if not isinstance(layer, Physics):
            return super().system(layer, data, name, side)
        if not isinstance(layer, LinearPhysics):
            raise TypeError(
                f"op is a {type(layer).__name__}, which is no LinearPhysics: only "
                "linear ones have a least-squares solution"
            )
        if isinstance(layer, StackedPhysics):
            raise TypeError(
                f"op is a {type(layer).__name__}, whose results are lists: make a "
                "convinv.operators.StackedOperator of ConvPhysics(part).operator(shape)"
            )
        shape = tuple(np.shape(data))
        if isinstance(layer, ConvPhysics):
            return layer.operator(shape, name, side), data
        return operator_of_physics(layer, shape, name, side), data

    def way_out(self, layer: Any) -> str:
        if isinstance(layer, Physics):
            return f"pass {CALL}"
        return super().way_out(layer)
