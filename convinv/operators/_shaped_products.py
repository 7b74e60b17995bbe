"""Two functions of shaped arrays as an operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike

from .._core.arrays import namespace
from .._core.typing import AnyArray, Shape
from ._foreign import GeneralOperator

Product = Callable[[AnyArray], Any]


class ShapedProducts:
    """Products with flat vectors, by functions of arrays of a shape."""

    def __init__(
        self,
        apply: Product,
        adjoint: Product | None,
        input_shape: Shape,
        output_shape: Shape,
        dtype: DTypeLike,
    ) -> None:
        self.dtype = dtype
        self.shape = math.prod(output_shape), math.prod(input_shape)
        self.matvec = _flat(apply, tuple(input_shape), tuple(output_shape))
        if adjoint is not None:
            self.rmatvec = _flat(adjoint, tuple(output_shape), tuple(input_shape))


def _flat(function: Product, taken: tuple[int, ...], given: tuple[int, ...]) -> Product:
    """The function of a flat array, whose result is flat."""

    def product(x: AnyArray) -> AnyArray:
        y = function(namespace(x).reshape(x, taken))
        if tuple(y.shape) != given:
            raise ValueError(
                f"op returned an array of shape {tuple(y.shape)}, expected {given}"
            )
        return namespace(y).reshape(y, (-1,))

    return product


def operator_of_products(
    apply: Product,
    adjoint: Product | None,
    input_shape: Shape,
    output_shape: Shape,
    dtype: DTypeLike,
) -> GeneralOperator:
    """The operator whose products with an item of a shape these functions make."""
    products = ShapedProducts(apply, adjoint, input_shape, output_shape, dtype)
    return GeneralOperator(products, tuple(input_shape), tuple(output_shape))
