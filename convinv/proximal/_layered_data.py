"""Data of layers, one or several, with weights: what an operator is made of."""

import math
from typing import Any, NamedTuple

from ..operators._composed import ProductOperator, ScaledOperator
from ..operators._diagonal import DiagonalOperator
from ..operators._sampling import MaskOperator
from ..operators._stacked import StackedOperator


class Part(NamedTuple):
    """``gain * (layer x) - data``: the residual of some of the data.

    The data have shape ``(B, *layer.output_shape)``; the gain is None for 1, a number,
    or an array of shape ``layer.output_shape``.
    """

    layer: Any
    gain: Any
    data: Any


def parts_of(op, b) -> list[Part] | None:
    """The parts of an operator, for data ``(B, *op.output_shape)``.

    Operators are layers, multiples of parts, stacks of them, and products with a
    `DiagonalOperator` or a `MaskOperator`. None for others.
    """
    return _walk(op, b, None)


def _walk(op, b, gain):
    if op.is_convolution:
        return [Part(op, gain, b)]
    if isinstance(op, ScaledOperator):
        return _walk(op.op, b, op.factor if gain is None else gain * op.factor)
    if isinstance(op, StackedOperator):
        gains = [None] * len(op.operators)
        if gain is not None:
            gains = op.split(gain + op.xp.zeros(op.output_shape))
        parts = []
        for one, data, own in zip(op.operators, op.split(b), gains):
            found = _walk(one, data, own)
            if found is None:
                return None
            parts += found
        return parts
    if not isinstance(op, ProductOperator):
        return None
    shape = op.b.output_shape
    if isinstance(op.a, DiagonalOperator):
        own = op.a.diagonal + op.a.xp.zeros(op.a.input_shape, op.a.diagonal.dtype)
        own = own.reshape(shape)
        gain = own if gain is None else own * _shaped(gain, shape)
        return _walk(op.b, b.reshape((len(b), *shape)), gain)
    if isinstance(op.a, MaskOperator):
        xp = op.a.xp
        ones = xp.ones(op.a.output_shape, b.real.dtype)
        gain = op.a.adjoint(ones if gain is None else ones * gain)
        data = op.a.adjoint(b)
        return _walk(op.b, data.reshape((len(b), *shape)), gain.reshape(shape))
    return None


def _shaped(gain, shape):
    """A gain in another shape of the same data."""
    return gain.reshape(shape) if getattr(gain, "ndim", 0) else gain


def fit_together(parts) -> bool:
    """Whether one torus has room for all layers: one kind of input and of border."""
    geometries = [part.layer.geometry for part in parts]
    first = geometries[0]
    same = all(
        (g.groups, g.input, g.ndim) == (first.groups, first.input, first.ndim)
        for g in geometries
    )
    padded = {
        g.boundary for g in geometries if math.prod(g.padded) > math.prod(g.input)
    }
    return same and len(padded) <= 1
