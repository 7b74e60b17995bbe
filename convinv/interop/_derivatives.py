"""Derivatives of pseudoinverses: what changes with the data, the matrix, and damp.

With ``x = B^+ y``, the damped pseudoinverse ``B^+ = (B^H B + d^2)^-1 B^H``, the
gradient g of a loss by x gives, for ``w = B^+H g`` (Golub and Pereyra, "The
differentiation of pseudo-inverses and nonlinear least squares problems whose variables
separate", 1973, DOI 10.1137/0710036)::

    by y      w
    by B      - w x^H + r v^H + u q^H
    by d      - 2 d Re <v, x> = - 2 d Re <w, u>

with ``r = y - B x``, ``v = (B^H B + d^2)^-1 g``, ``q = g - B^H w`` and ``u = (B B^H +
d^2)^-1 y``. With a damp, ``r v^H`` and ``u q^H`` are the same, and one of them counts.
Without, the one is zero for matrices of full row rank, the other for those of full
column rank. Where neither holds, because of the layer's shape and whatever its weight,
both count. (Where a change of the weight changes the rank there is no gradient.)
"""

from __future__ import annotations

from typing import Any, Protocol

from .._core.typing import AnyArray

Gradients = tuple[AnyArray, "AnyArray | None", "AnyArray | None"]


class Matrix(Protocol):
    """A layer or its adjoint, with the weight as a variable, on a library's arrays."""

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> int: ...

    @property
    def is_regular(self) -> bool:
        """Whether it is square, and as far as is known has an inverse."""

    @property
    def H(self) -> Any:
        """The adjoint."""

    @property
    def call(self) -> Any:
        """The `Call` that it belongs to."""

    def apply(self, x: AnyArray) -> AnyArray: ...

    def solve(self, y: AnyArray, damp: AnyArray) -> AnyArray:
        """``(B^H B + d^2)^-1 B^H y``."""

    def normal_solve(self, g: AnyArray, damp: AnyArray) -> AnyArray:
        """``(B^H B + d^2)^-1 g``."""

    def weight_gradient(self, x: AnyArray, w: AnyArray) -> AnyArray:
        """The gradient of ``Re <w, B x>`` by the weight."""

    def inner(self, u: AnyArray, v: AnyArray, damp: AnyArray) -> AnyArray:
        """``Re <u, v>``, like `damp`."""


def gradients(
    B: Matrix, g: AnyArray, y: AnyArray, damp: AnyArray, x: AnyArray, parameters: bool
) -> Gradients:
    """Those of a solve by y, and if asked for by the weight and damp."""
    if B.is_regular:
        w = B.H.solve(g, damp)
        if not parameters:
            return w, None, None
        if B.is_regular:  # still
            return w, -B.weight_gradient(x, w), 0 * damp
    if B.rows >= B.columns:
        v = B.normal_solve(g, damp)
        w = B.apply(v)
        if not parameters:
            return w, None, None
        by_weight = B.weight_gradient(v, y - B.apply(x))
        by_damp = -2 * damp * B.inner(v, x, damp)
        if B.call.both_terms:
            u = B.apply(B.normal_solve(x, damp))
            by_weight = by_weight + B.weight_gradient(g - B.H.apply(w), u)
    else:
        w = B.H.normal_solve(B.apply(g), damp)
        if not parameters:
            return w, None, None
        u = B.H.normal_solve(y, damp)
        by_weight = B.weight_gradient(g - B.H.apply(w), u)
        by_damp = -2 * damp * B.inner(w, u, damp)
        if B.call.both_terms:
            v = B.H.apply(B.H.normal_solve(w, damp))
            by_weight = by_weight + B.weight_gradient(v, y - B.apply(x))
    return w, by_weight - B.weight_gradient(x, w), by_damp
