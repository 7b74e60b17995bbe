"""Fixed points of contractions, differentiable to any order."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._stages import norms

Map = Callable[..., Tensor]
FLOOR = 16  # roundings of z up to which a step counts as none
MORE = 20  # iterations beyond those that the contraction needs


class FixedPoint(torch.autograd.Function):
    """The z of ``z = f(z, *inputs)``, where f contracts by a factor below 1.

    The gradient of a loss by z, g, gives that by the inputs as ``(df / dinputs)^T v``
    with the fixed point v of ``v = g + (df / dz)^T v``, which contracts by the same
    factor: no iteration is stored.
    """

    @staticmethod
    def forward(
        ctx: Any, f: Map, factor: float, rtol: float, *inputs: Tensor
    ) -> Tensor:
        given = [t.detach() for t in inputs]
        z = iterated(f, factor, rtol, given)
        ctx.f, ctx.factor, ctx.rtol = f, factor, rtol
        ctx.save_for_backward(z, *inputs)
        return z

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        z, *inputs = ctx.saved_tensors
        f = ctx.f

        def adjoint(v: Tensor, g: Tensor, z: Tensor, *inputs: Tensor) -> Tensor:
            with torch.enable_grad():
                at = _alias(z)
                image = f(at, *inputs)
                (turned,) = torch.autograd.grad(image, at, v, create_graph=True)
            return g + turned

        again = torch.is_grad_enabled()
        v = FixedPoint.apply(adjoint, ctx.factor, ctx.rtol, g, z, *inputs)
        wanted = [i for i, need in enumerate(ctx.needs_input_grad[3:]) if need]
        with torch.enable_grad():
            # by the inputs alone, not by z, which depends on them
            at = [_alias(t) if i in wanted else t for i, t in enumerate(inputs)]
            image = f(z if again else z.detach(), *at)
            found = torch.autograd.grad(
                image, [at[i] for i in wanted], v, create_graph=again, allow_unused=True
            )
        gradients: list[Tensor | None] = [None] * len(inputs)
        for i, gradient in zip(wanted, found):
            gradients[i] = gradient
        return None, None, None, *gradients


def iterated(f: Map, factor: float, rtol: float, inputs: list[Tensor]) -> Tensor:
    """The fixed point, from the first of the inputs on, without a graph.

    A step s away from it at most ``factor / (1 - factor) ||s||`` is left.
    """
    z = inputs[0]
    if not z.numel():
        return z.clone()
    floor = FLOOR * torch.finfo(z.dtype).eps
    limit = min(rtol, 0.1) / 2 * (1 - factor)
    most = math.ceil(math.log(limit) / math.log(factor)) if factor else 1
    least = math.inf
    for _ in range(most + MORE):
        new = f(z, *inputs).detach()
        step = relative_step(new, z)
        z = new
        if step * factor <= limit or (step <= floor and step >= least):
            break
        least = min(step, least)
    return z


def relative_step(new: Tensor, old: Tensor) -> float:
    """The distance between two iterates over the norm, the largest of all items."""
    moved, size = norms(new - old), norms(new)
    return float(torch.where(moved == 0, moved, moved / size).max())


def _alias(t: Tensor) -> Tensor:
    """The same tensor as another variable, through which gradients go on."""
    return t.view_as(t) if t.requires_grad else t.detach().requires_grad_()
