"""Real functions of a weight whose gradient is found together with the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

# from a weight and whether its gradient is wanted to the value and the gradient
Compute = Callable[[Tensor, bool], "tuple[Tensor, Tensor]"]


def first_order(weight: Tensor, compute: Compute, name: str) -> Tensor:
    """The value, with its gradient, which cannot be differentiated again.

    `compute` returns a gradient without entries where there is none.
    """
    if torch.is_grad_enabled() and weight.requires_grad:
        return _FirstOrder.apply(weight, compute, name)[0]
    return compute(weight.detach(), False)[0]


class _FirstOrder(Function):
    @staticmethod
    def forward(weight: Any, compute: Any, name: Any) -> Any:
        return compute(weight, True)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        weight, _, ctx.name = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(weight, output[1])

    @staticmethod
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        weight, gradient = ctx.saved_tensors
        if not gradient.numel():
            raise RuntimeError(
                f"the layer is singular to working precision: {ctx.name} has no "
                "gradient"
            )
        return _Once.apply(g, gradient, weight, ctx.name), None, None


class _Once(Function):
    """A gradient times a number, which refuses to be differentiated.

    It depends on the weight, so that it is asked for its own gradient.
    """

    @staticmethod
    def forward(g: Any, gradient: Any, weight: Any, name: Any) -> Any:
        return g * gradient

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.name = inputs[3]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        raise RuntimeError(
            f"the gradient of {ctx.name} cannot be differentiated again: leave out "
            "create_graph=True, or detach the gradient"
        )
