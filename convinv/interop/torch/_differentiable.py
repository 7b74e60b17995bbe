"""Solves as functions that PyTorch differentiates, to any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._call import Call
from .._derivatives import gradients
from . import _products as products
from ._derivatives import Change, normal_gradients, normal_tangent, tangent
from ._tensors import array_of, is_wrapped, tensor_of


@dataclass
class Matrix:
    """The layer A, or its adjoint, with the weight as a variable."""

    call: Call
    weight: Tensor
    adjoint: bool

    @property
    def rows(self) -> int:
        m = self.call.layer_map
        return math.prod(m.input_shape if self.adjoint else m.output_shape)

    @property
    def columns(self) -> int:
        m = self.call.layer_map
        return math.prod(m.output_shape if self.adjoint else m.input_shape)

    @property
    def is_regular(self) -> bool:
        """Whether it is square, and as far as is known has an inverse."""
        call = self.call
        return self.rows == self.columns and not (call.damped or call.deficient)

    @property
    def H(self) -> Matrix:
        return Matrix(self.call, self.weight, not self.adjoint)

    def apply(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() or is_wrapped(x) or is_wrapped(self.weight)):
            op = self.call.operator(array_of(self.weight), self.adjoint)
            return tensor_of(op.forward(array_of(x)), x)  # several times faster
        function = products.apply_adjoint if self.adjoint else products.apply
        return function(self.call.layer_map, x, self.weight)

    def weight_gradient(self, x: Tensor, w: Tensor) -> Tensor:
        """The gradient of ``Re <w, B x>`` by the weight."""
        if self.adjoint:  # Re <w, A^H x> = Re <x, A w>
            x, w = w, x
        return products.weight_gradient(self.call.layer_map, x, w, self.weight)

    def inner(self, u: Tensor, v: Tensor, damp: Tensor) -> Tensor:
        """``Re <u, v>``, like `damp`."""
        return (u.conj() * v).real.sum().to(damp.dtype).to(damp.device)

    def change(self, weight: Tensor | None) -> Matrix | None:
        """The matrix of a change of the weight, to which it is linear."""
        return None if weight is None else Matrix(self.call, weight, self.adjoint)

    def solve(self, y: Tensor, damp: Tensor) -> Tensor:
        return Solve.apply(y, self.weight, damp, None, self.call, self.adjoint)

    def normal_solve(self, g: Tensor, damp: Tensor) -> Tensor:
        """``(B^H B + d^2)^-1 g``."""
        return NormalSolve.apply(g, self.weight, damp, self.call, self.adjoint)


class Solve(torch.autograd.Function):
    """``(B^H B + d^2)^-1 B^H y``, B being the layer or its adjoint."""

    @staticmethod
    def forward(
        y: Tensor,
        weight: Tensor,
        damp: Tensor,
        x0: Tensor | None,
        call: Call,
        adjoint: bool,
    ) -> Tensor:
        if x0 is not None and not damp:
            raise ValueError(
                "x0 needs a damp above 0, or the number 0 in place of a tensor, to "
                "tell which of several solutions is meant"
            )
        op = call.operator(array_of(weight), adjoint)
        if not y.numel():
            call.damped |= bool(damp)
            return y.new_zeros(
                (*y.shape[: y.ndim - len(op.output_shape)], *op.input_shape)
            )
        start = None if x0 is None else array_of(x0)
        return tensor_of(call.solve(op, array_of(y), float(damp), start, adjoint), y)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        y, weight, damp, _, ctx.call, ctx.adjoint = inputs
        ctx.save_for_backward(y, weight, damp, output)
        ctx.save_for_forward(y, weight, damp, output)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        y, weight, damp, x = ctx.saved_tensors
        matrix = Matrix(ctx.call, weight, ctx.adjoint)
        needs = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        ctx.call.further |= torch.is_grad_enabled()
        with torch.autocast(g.device.type, enabled=False):
            found = gradients(matrix, g, y, damp, x, needs)
        return (*found, None, None, None)

    @staticmethod
    def jvp(ctx: Any, dy: Any, dweight: Any, ddamp: Any, *_: Any) -> Any:
        y, weight, damp, x = ctx.saved_tensors
        matrix = Matrix(ctx.call, weight, ctx.adjoint)
        ctx.call.further = True
        change = Change(dy, matrix.change(dweight), ddamp)
        with torch.autocast(y.device.type, enabled=False):
            return tangent(matrix, change, y, damp, x)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Any) -> Any:
        return _batched(Solve, info.batch_size, in_dims, inputs)


class NormalSolve(torch.autograd.Function):
    """``(B^H B + d^2)^-1 g``, B being the layer or its adjoint."""

    @staticmethod
    def forward(
        g: Tensor, weight: Tensor, damp: Tensor, call: Call, adjoint: bool
    ) -> Tensor:
        if not g.numel():
            return torch.zeros_like(g)
        op = call.operator(array_of(weight), adjoint)
        return tensor_of(call.normal_solve(op, array_of(g), float(damp)), g)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        g, weight, damp, ctx.call, ctx.adjoint = inputs
        ctx.save_for_backward(g, weight, damp, output)
        ctx.save_for_forward(g, weight, damp, output)

    @staticmethod
    def backward(ctx: Any, c: Tensor) -> Any:
        g, weight, damp, v = ctx.saved_tensors
        matrix = Matrix(ctx.call, weight, ctx.adjoint)
        needs = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        ctx.call.further |= torch.is_grad_enabled()
        with torch.autocast(c.device.type, enabled=False):
            found = normal_gradients(matrix, c, g, damp, v, needs)
        return (*found, None, None)

    @staticmethod
    def jvp(ctx: Any, dg: Any, dweight: Any, ddamp: Any, *_: Any) -> Any:
        g, weight, damp, v = ctx.saved_tensors
        matrix = Matrix(ctx.call, weight, ctx.adjoint)
        ctx.call.further = True
        change = Change(dg, matrix.change(dweight), ddamp)
        with torch.autocast(g.device.type, enabled=False):
            return normal_tangent(matrix, change, g, damp, v)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Any) -> Any:
        return _batched(NormalSolve, info.batch_size, in_dims, inputs)


def _batched(function: Any, size: int, in_dims: Any, inputs: Any) -> Any:
    """One call for a batch of right-hand sides, one for each of a batch of weights."""
    first, weight, damp, *rest = zip(inputs, in_dims)
    if weight[1] is None and damp[1] is None:
        turned = [
            t if not isinstance(t, Tensor) else _leading(t, dim, size)
            for t, dim in (first, *rest)
        ]
        return function.apply(turned[0], weight[0], damp[0], *turned[1:]), 0
    items = [
        function.apply(
            *(t if dim is None else t.select(dim, i) for t, dim in zip(inputs, in_dims))
        )
        for i in range(size)
    ]
    return torch.stack(items), 0


def _leading(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    if dim is None:
        return tensor.expand(size, *tensor.shape)
    return tensor.movedim(dim, 0)
