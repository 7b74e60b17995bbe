"""Convolutions whose rows have weights: masked data, data of known accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._core.arrays import namespace
from .._core.typing import AnyArray
from ._base import ShapedOperator
from ._batches import check_out, checked_batch, squared_norms
from ._convolution import ConvLinearOperator


class WeightedConvolution(ShapedOperator):
    """The rows of a convolution times weights, as weighted least squares need them.

    Parameters
    ----------
    convolution : ConvLinearOperator
    weights : array, shape (*output_shape,)
        Real, of the convolution's library.

    Attributes
    ----------
    convolution : ConvLinearOperator
    weights : array
        Not to be written to, in the real dtype of the convolution.
    """

    fused = True

    def __init__(self, convolution: ConvLinearOperator, weights: AnyArray):
        self.convolution, self.xp = convolution, convolution.xp
        real = np.empty(0, convolution.dtype).real.dtype
        self.weights = weights.astype(real, copy=True)
        shapes = convolution.input_shape, convolution.output_shape
        super().__init__(convolution.dtype, *shapes)

    @property
    def weighted_convolutions(self) -> tuple:  # type: ignore[override]
        """The convolution and its weights."""
        return ((self.convolution, self.weights),)

    def bare(self) -> WeightedConvolution:
        """The same operator with nothing kept."""
        return WeightedConvolution(self.convolution.bare(), self.weights)

    def astype(self, dtype: DTypeLike) -> WeightedConvolution:
        """The operator with its kernel and its weights in another dtype."""
        if np.dtype(dtype) == self.dtype:
            return self
        return WeightedConvolution(self.convolution.astype(dtype), self.weights)

    def scaled(self, factor: complex) -> WeightedConvolution:
        """The operator times a number."""
        return WeightedConvolution(self.convolution.scaled(factor), self.weights)

    def apply(
        self, X: AnyArray, *, out: AnyArray | None = None, sumsq: bool = False
    ) -> Any:
        X = checked_batch(X, "X", self.input_shape)
        y = self.convolution.apply(X, out=out)
        y *= self._weights_of(y)
        return (y, squared_norms(y)) if sumsq else y

    def apply_adjoint(
        self, Y: AnyArray, *, out: AnyArray | None = None, sumsq: bool = False
    ) -> Any:
        Y = checked_batch(Y, "Y", self.output_shape)
        if out is not None:
            dtype = np.result_type(self.dtype, Y.dtype)
            check_out(out, (len(Y), *self.input_shape), dtype)
        weighted = Y * self._weights_of(Y)
        return self.convolution.apply_adjoint(weighted, out=out, sumsq=sumsq)

    def _weights_of(self, batch):
        """The weights in the precision of a batch."""
        return self.weights.astype(namespace(batch).real(batch).dtype, copy=False)


def unweighted(op):
    """Convolutions near those of `op`, with one weight for all rows of each.

    The weight is the root mean square. Of a stack they are a stack.
    """
    from ._stacked import StackedOperator  # which knows the weighted ones

    parts = []
    for convolution, weights in op.weighted_convolutions:
        mean = 1.0 if weights is None else float((weights**2).mean()) ** 0.5
        parts.append(convolution if mean == 1 else convolution.scaled(mean or 1.0))
    return parts[0] if len(parts) == 1 else StackedOperator(parts)
