"""Operators made of others: adjoints, transposes, multiples, sums and products."""

from functools import cached_property

import numpy as np

from ._base import ShapedOperator, common_library
from ._batches import batch_of, common_shape


class AdjointOperator(ShapedOperator):
    """The adjoint of an operator."""

    def __init__(self, op):
        self.op, self.xp = op, op.xp
        super().__init__(op.dtype, op.output_shape, op.input_shape)

    def _apply(self, X):
        return self.op.apply_adjoint(X)

    def _apply_adjoint(self, Y):
        return self.op.apply(Y)

    def _adjoint(self):
        return self.op


class TransposedOperator(ShapedOperator):
    """The transpose of an operator, the conjugate of its adjoint."""

    def __init__(self, op):
        self.op, self.xp = op, op.xp
        super().__init__(op.dtype, op.output_shape, op.input_shape)

    def _apply(self, X):
        return self.op.apply_adjoint(X.conj()).conj()

    def _apply_adjoint(self, Y):
        return self.op.apply(Y.conj()).conj()

    def _transpose(self):
        return self.op


class ScaledOperator(ShapedOperator):
    """A multiple of an operator."""

    def __init__(self, op, factor):
        self.op, self.factor, self.xp = op, factor, op.xp
        dtype = np.result_type(op.dtype, factor)
        super().__init__(dtype, op.input_shape, op.output_shape)

    @cached_property
    def has_adjoint(self):
        return self.op.has_adjoint

    def _apply(self, X):
        return self.op.apply(X) * self.factor

    def _apply_adjoint(self, Y):
        return self.op.apply_adjoint(Y) * self.factor.conjugate()


class _Pair(ShapedOperator):
    """An operator made of two."""

    def __init__(self, a, b, input_shape, output_shape):
        self.a, self.b, self.xp = a, b, common_library([a, b])
        super().__init__(np.result_type(a.dtype, b.dtype), input_shape, output_shape)

    @cached_property
    def has_adjoint(self):
        return self.a.has_adjoint and self.b.has_adjoint


class SumOperator(_Pair):
    """The sum of two operators of one shape."""

    def __init__(self, a, b):
        if a.shape != b.shape:
            raise ValueError(f"cannot add operators of shapes {a.shape} and {b.shape}")
        input_shape = common_shape([a.input_shape, b.input_shape])
        output_shape = common_shape([a.output_shape, b.output_shape])
        super().__init__(a, b, input_shape, output_shape)

    def _apply(self, X):
        first, second = (batch_of(X, op.input_shape) for op in (self.a, self.b))
        Y = batch_of(self.a.apply(first), self.output_shape)
        return Y + batch_of(self.b.apply(second), self.output_shape)

    def _apply_adjoint(self, Y):
        first, second = (batch_of(Y, op.output_shape) for op in (self.a, self.b))
        X = batch_of(self.a.apply_adjoint(first), self.input_shape)
        return X + batch_of(self.b.apply_adjoint(second), self.input_shape)


class ProductOperator(_Pair):
    """``a b``: first `b`, then `a`."""

    def __init__(self, a, b):
        if a.shape[1] != b.shape[0]:
            raise ValueError(
                f"cannot multiply operators of shapes {a.shape} and {b.shape}"
            )
        super().__init__(a, b, b.input_shape, a.output_shape)

    def _apply(self, X):
        return self.a.apply(batch_of(self.b.apply(X), self.a.input_shape))

    def _apply_adjoint(self, Y):
        X = self.a.apply_adjoint(Y)
        return self.b.apply_adjoint(batch_of(X, self.b.output_shape))


class IdentityOperator(ShapedOperator):
    """The identity with the shapes of a square operator."""

    def __init__(self, op):
        self.xp = op.xp
        super().__init__(op.dtype, op.input_shape, op.output_shape)

    def _apply(self, X):
        return batch_of(X, self.output_shape)

    def _apply_adjoint(self, Y):
        return batch_of(Y, self.input_shape)
