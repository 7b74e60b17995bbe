"""The solves of a differentiable call, and what they tell of the layer's rank."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .._core.arrays import namespace, to_numpy
from .._core.result import OnFailure, Result, SolveResult, deliver
from .._core.typing import AnyArray
from .._solve.front import solve
from .._solve.normal import normal_result
from ..operators._base import ShapedOperator
from ._layer_map import LayerMap
from ._setups import OPERATORS

# tolerances of the solve and of those for gradients, by the bytes of a real number
RTOL = {4: (1e-6, 1e-5), 8: (1e-10, 1e-10)}

# relative size from which a residual is what no x takes away, and no rounding
BEYOND = {4: 1e-3, 8: 1e-5}  # by the bytes of a real number


@dataclass
class Call:
    """What a call of a `conv_solve` passes on to its gradients, and learns.

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

    def operator(self, weight: AnyArray, adjoint: bool) -> ShapedOperator:
        """The layer with a weight, or its adjoint."""
        op = OPERATORS.operator(self.layer_map, weight)
        return op.H if adjoint else op

    def solve(
        self,
        op: ShapedOperator,
        b: AnyArray,
        damp: float,
        x0: AnyArray | None = None,
        adjoint: bool = False,
    ) -> AnyArray:
        """``(B^H B + d^2)^-1 B^H b`` for the layer or its adjoint B, b not empty."""
        self.damped |= bool(damp)
        result = solve(
            op,
            b,
            "auto" if adjoint else self.method,
            damp=damp,
            x0=x0,
            rtol=self.gradient_rtol if adjoint else self.rtol,
            on_failure=self.on_failure,
        )
        if not adjoint:
            self.result = result
        if op.shape[0] <= op.shape[1]:  # of full rank it reaches every b
            axes = len(op.output_shape)
            self.deficient |= unreached(result.residual_norm, b, axes)
        self._learn_rank(op)
        return result.x

    def normal_solve(self, op: ShapedOperator, g: AnyArray, damp: float) -> AnyArray:
        """``(B^H B + d^2)^-1 g``, g not empty."""
        result: Result = normal_result(op, g, damp, rtol=self.gradient_rtol)
        deliver(result, self.on_failure)
        if not damp:
            limit = BEYOND[g.real.dtype.itemsize]
            self.deficient |= bool((result.extra["left"] > limit).any())
        self._learn_rank(op)
        return result.x

    def _learn_rank(self, op: ShapedOperator) -> None:
        """Find out whether the operator has full rank, where that will be needed."""
        if self.further and not (self.damped or self.deficient):
            found = op.layer.cached(("deficient",), lambda: _is_deficient(op))
            self.deficient = found


def _is_deficient(op: ShapedOperator) -> bool:
    """Whether some right-hand side is out of the reach of the rows that are fewer."""
    op = op if op.shape[0] <= op.shape[1] else op.H
    b = op.xp.asarray(np.random.default_rng(0).standard_normal(op.output_shape))
    result = solve(op, b.astype(op.dtype), on_failure="ignore")
    return unreached(result.residual_norm, b, len(op.output_shape))


def norms(array: AnyArray, axes: int) -> np.ndarray:
    """The norm of each item, which has that many axes."""
    flat = array.reshape((-1, math.prod(array.shape[array.ndim - axes :])))
    return to_numpy(namespace(flat).linalg.norm(flat, axis=1))


def unreached(residuals: AnyArray, b: AnyArray, axes: int) -> bool:
    """Whether the residual of some item is no rounding."""
    limit = BEYOND[b.real.dtype.itemsize]
    return bool((np.ravel(to_numpy(residuals)) > limit * norms(b, axes)).any())
