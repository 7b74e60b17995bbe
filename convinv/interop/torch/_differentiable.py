"""Solves as functions that PyTorch differentiates, to any order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._core.arrays import namespace, to_numpy
from ..._core.result import OnFailure, SolveResult, deliver
from ..._core.typing import AnyArray
from ..._solve.front import solve
from ..._solve.normal import normal_result
from ...operators._base import ShapedOperator
from . import _products as products
from ._derivatives import (
    Change,
    gradients,
    normal_gradients,
    normal_tangent,
    tangent,
)
from ._layers import LayerMap
from ._setups import OPERATORS
from ._tensors import array_of, is_wrapped, tensor_of

# relative size from which a residual is what no x takes away, and no rounding
BEYOND = {4: 1e-3, 8: 1e-5}  # by the bytes of a real number


@dataclass
class Call:
    """What a call of `conv_solve` passes on to its gradients, and learns.

    Attributes
    ----------
    layer_map : LayerMap
    method : str
    rtol, gradient_rtol : float
    on_failure : str
    result : SolveResult or None
        Of the solve.
    damped : bool
        Whether a damp was not zero.
    deficient : bool
        Whether a right-hand side has shown that the layer has no full rank.
    further : bool
        Whether what follows is differentiated too, and forward: then the rank is asked
        for, since the right-hand sides at hand may lie in the range.
    """

    layer_map: LayerMap
    method: str = "auto"
    rtol: float = 1e-6
    gradient_rtol: float = 1e-6
    on_failure: OnFailure = "warn"
    result: SolveResult | None = field(default=None, repr=False)
    damped: bool = False
    deficient: bool = False
    further: bool = False

    @property
    def both_terms(self) -> bool:
        return self.deficient and not self.damped


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
            op = _operator(self.call, self.weight, self.adjoint)
            return tensor_of(op.forward(array_of(x)), x)  # several times faster
        function = products.apply_adjoint if self.adjoint else products.apply
        return function(self.call.layer_map, x, self.weight)

    def weight_gradient(self, x: Tensor, w: Tensor) -> Tensor:
        """The gradient of ``Re <w, B x>`` by the weight."""
        if self.adjoint:  # Re <w, A^H x> = Re <x, A w>
            x, w = w, x
        return products.weight_gradient(self.call.layer_map, x, w, self.weight)

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
        op = _operator(call, weight, adjoint)
        b, axes = array_of(y), len(op.output_shape)
        call.damped |= bool(damp)
        if not y.numel():
            return y.new_zeros((*y.shape[: y.ndim - axes], *op.input_shape))
        result = solve(
            op,
            b,
            "auto" if adjoint else call.method,
            damp=float(damp),
            x0=None if x0 is None else array_of(x0),
            rtol=call.gradient_rtol if adjoint else call.rtol,
            on_failure=call.on_failure,
        )
        if not adjoint:
            call.result = result
        if op.shape[0] <= op.shape[1]:  # of full rank it reaches every y
            call.deficient |= _beyond(result.residual_norm, b, axes)
        _learn_rank(call, op)
        return tensor_of(result.x, y)

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
        op = _operator(call, weight, adjoint)
        result = normal_result(op, array_of(g), float(damp), rtol=call.gradient_rtol)
        deliver(result, call.on_failure)
        if not damp:
            limit = BEYOND[g.real.dtype.itemsize]
            call.deficient |= bool((result.extra["left"] > limit).any())
        _learn_rank(call, op)
        return tensor_of(result.x, g)

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


def _operator(call: Call, weight: Tensor, adjoint: bool) -> ShapedOperator:
    op = OPERATORS.operator(call.layer_map, array_of(weight))
    return op.H if adjoint else op


def _learn_rank(call: Call, op: ShapedOperator) -> None:
    """Find out whether the operator has full rank, where that will be needed."""
    if call.further and not (call.damped or call.deficient):
        call.deficient = op.layer.cached(("deficient",), lambda: _is_deficient(op))


def _is_deficient(op: ShapedOperator) -> bool:
    """Whether some right-hand side is out of the reach of the rows that are fewer."""
    op = op if op.shape[0] <= op.shape[1] else op.H
    b = op.xp.asarray(np.random.default_rng(0).standard_normal(op.output_shape))
    result = solve(op, b.astype(op.dtype), on_failure="ignore")
    return _beyond(result.residual_norm, b, len(op.output_shape))


def _norms(array: AnyArray, axes: int) -> np.ndarray:
    """The norm of each item."""
    flat = array.reshape((-1, math.prod(array.shape[array.ndim - axes :])))
    return to_numpy(namespace(flat).linalg.norm(flat, axis=1))


def unreached(residual: Tensor, y: Tensor, call: Call) -> bool:
    """Whether some residual shows that the layer does not reach every y."""
    axes = len(call.layer_map.output_shape)
    return _beyond(_norms(array_of(residual), axes), array_of(y), axes)


def _beyond(residuals: Any, b: AnyArray, axes: int) -> bool:
    """Whether the residual of some item is no rounding."""
    limit = BEYOND[b.real.dtype.itemsize]
    return bool((np.ravel(to_numpy(residuals)) > limit * _norms(b, axes)).any())


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
