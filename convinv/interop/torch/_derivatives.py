"""Derivatives of solves that PyTorch differentiates further, or forward.

In the words of `convinv.interop._derivatives`, which has the first ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._derivatives import Gradients

Matrix = Any  # that of `_differentiable`, which imports this file


def normal_gradients(
    B: Matrix, c: Tensor, g: Tensor, damp: Tensor, v: Tensor, parameters: bool
) -> Gradients:
    """Those of a `NormalSolve` by g, and if asked for by the weight and damp."""
    u = B.normal_solve(c, damp)
    if not parameters:
        return u, None, None
    image, other = B.apply(v), B.apply(u)
    by_weight = -B.weight_gradient(v, other) - B.weight_gradient(u, image)
    if B.call.both_terms:
        # of d(N^+) the terms with the projection on the null space
        for vector, product, partner in ((g, image, u), (c, other, v)):
            rest = vector - B.H.apply(product)
            far = B.apply(B.normal_solve(partner, damp))
            by_weight = by_weight + B.weight_gradient(rest, far)
    return u, by_weight, -2 * damp * B.inner(u, v, damp)


class Change(NamedTuple):
    """The changes of a right-hand side, the matrix and damp; None for no change."""

    rhs: Tensor | None
    matrix: Matrix | None
    damp: Tensor | None

    def of_rhs(self, like: Tensor) -> Tensor:
        return torch.zeros_like(like) if self.rhs is None else self.rhs

    def of_square(self, damp: Tensor, v: Tensor) -> Tensor | float:
        """The change of ``d^2 v`` for a v that stays."""
        return 0.0 if self.damp is None else 2 * damp * self.damp * v


def tangent(B: Matrix, change: Change, y: Tensor, damp: Tensor, x: Tensor) -> Tensor:
    """The change of the x of a `Solve`."""
    dB, rhs = change.matrix, change.of_rhs(y)
    if dB is not None:
        rhs = rhs - dB.apply(x)
    if B.is_regular:
        dx = B.solve(rhs, damp)
        if B.is_regular:  # still
            return dx
    if B.rows < B.columns:
        return _wide_tangent(B, change, rhs, y, damp, x)
    rhs = B.H.apply(rhs) - change.of_square(damp, x)
    if dB is None:
        return B.normal_solve(rhs, damp)
    dx = B.normal_solve(rhs + dB.H.apply(y - B.apply(x)), damp)
    if B.call.both_terms:
        s = dB.H.apply(B.apply(B.normal_solve(x, damp)))
        dx = dx + s - B.normal_solve(B.H.apply(B.apply(s)), damp)
    return dx


def _wide_tangent(
    B: Matrix, change: Change, rhs: Tensor, y: Tensor, damp: Tensor, x: Tensor
) -> Tensor:
    """The same by ``x = B^H u``."""
    dB, outer = change.matrix, B.H
    if dB is None and change.damp is None:
        return outer.apply(outer.normal_solve(rhs, damp))
    u = outer.normal_solve(y, damp)
    rhs = rhs - change.of_square(damp, u)
    if dB is None:
        return outer.apply(outer.normal_solve(rhs, damp))
    s = dB.H.apply(u)
    dx = s + outer.apply(outer.normal_solve(rhs - B.apply(s), damp))
    if B.call.both_terms:
        far = B.apply(dB.H.apply(y - B.apply(x)))
        far = outer.normal_solve(outer.normal_solve(far, damp), damp)
        dx = dx + outer.apply(far)
    return dx


def normal_tangent(
    B: Matrix, change: Change, g: Tensor, damp: Tensor, v: Tensor
) -> Tensor:
    """The change of the v of a `NormalSolve`."""
    dB, rhs = change.matrix, change.of_rhs(g) - change.of_square(damp, v)
    if dB is None:
        return B.normal_solve(rhs, damp)
    image = B.apply(v)
    rhs = rhs - dB.H.apply(image) - B.H.apply(dB.apply(v))
    if not B.call.both_terms:
        return B.normal_solve(rhs, damp)
    # of d(N^+) the terms with the projection on the null space
    rest = B.H.apply(dB.apply(g - B.H.apply(image)))
    dv = B.normal_solve(rhs + B.normal_solve(rest, damp), damp)
    s = dB.H.apply(B.apply(B.normal_solve(v, damp)))
    return dv + s - B.normal_solve(B.H.apply(B.apply(s)), damp)
