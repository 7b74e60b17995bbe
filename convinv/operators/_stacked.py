"""Operators below each other: one operator for several kinds of data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._core.arrays import namespace
from .._core.typing import AnyArray, OperatorInput
from ._base import ShapedOperator, common_library
from ._batches import batch_of, check_out, checked_batch, common_shape, finished
from ._foreign import as_operator


class StackedOperator(ShapedOperator):
    """The rows of several operators below each other, as one operator.

    It applies all of them to the same x. With ``StackedOperator([A, 0.1 * L])`` and the
    data ``stack([b, 0])`` least squares minimize ``||A x - b||^2 + 0.01 ||L x||^2``.

    Parameters
    ----------
    operators : sequence of operators
        Of one number of columns. Those on shaped arrays have one input shape; matrices
        and operators on vectors take their x flat.

    Attributes
    ----------
    operators : tuple of ShapedOperator
    input_shape : tuple of int
        That of the operators.
    output_shape : tuple of int
        Where all output shapes agree but for their first axis, their channels follow
        each other: ``(sum of C_i, *spatial)``. Else it is flat.
    convolutions : tuple of ConvLinearOperator
        The operators, if all are convolutions: the exact methods then take the stack.
        Else none.

    Raises
    ------
    ValueError
        If there is no operator, or the inputs differ.
    TypeError
        If an entry is no operator, or they take arrays of different libraries.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, solve
    >>> from convinv.operators import DifferenceOperator, StackedOperator
    >>> blur = ConvLinearOperator(np.full((1, 1, 5), 0.2), (1, 40))
    >>> op = StackedOperator([blur, 0.1 * DifferenceOperator((1, 40))])
    >>> op.output_shape
    (76,)
    >>> b = blur.forward(np.arange(40.0)[None] // 20)
    >>> data = op.stack([b, np.zeros((1, 40))])
    >>> x = solve(op, data).x
    >>> [part.shape for part in op.split(op.forward(x))]
    [(1, 36), (1, 40)]
    """

    def __init__(self, operators: Iterable[OperatorInput]):
        self.operators = tuple(as_operator(op) for op in operators)
        if not self.operators:
            raise ValueError("operators must hold at least one operator, got none")
        self.xp = common_library(self.operators)
        inputs = [op.input_shape for op in self.operators]
        self._refuse_other_inputs(inputs)
        outputs = [op.output_shape for op in self.operators]
        sizes = [math.prod(shape) for shape in outputs]
        self._ends = np.cumsum(sizes).tolist()
        if all(shape[1:] == outputs[0][1:] for shape in outputs):
            output_shape = (sum(shape[0] for shape in outputs), *outputs[0][1:])
        else:
            output_shape = (sum(sizes),)
        dtype = np.result_type(*(op.dtype for op in self.operators))
        super().__init__(dtype, common_shape(inputs), output_shape)

    def _refuse_other_inputs(self, inputs):
        wanted = common_shape(inputs)
        for number, shape in enumerate(inputs):
            if shape not in (wanted, (math.prod(wanted),)):
                raise ValueError(
                    "operators must have one input shape, got "
                    f"{shape} of operator {number} beside {wanted}"
                )

    @cached_property
    def has_adjoint(self) -> bool:
        return all(op.has_adjoint for op in self.operators)

    @property
    def fused(self) -> bool:  # type: ignore[override]
        return bool(self.weighted_convolutions)

    @cached_property
    def convolutions(self) -> tuple:  # type: ignore[override]
        pairs = self.weighted_convolutions
        plain = all(weights is None for _, weights in pairs)
        return tuple(op for op, _ in pairs) if plain else ()

    @cached_property
    def weighted_convolutions(self) -> tuple:  # type: ignore[override]
        shaped = all(op.input_shape == self.input_shape for op in self.operators)
        found = [op.weighted_convolutions for op in self.operators]
        return sum(found, ()) if shaped and all(found) else ()

    def bare(self) -> StackedOperator:
        """The same stack of convolutions, with weights or without, and nothing kept."""
        return StackedOperator([op.bare() for op in self.operators])

    def astype(self, dtype: DTypeLike) -> StackedOperator:
        """The stack of convolutions with their kernels in another dtype."""
        dtype = np.dtype(dtype)
        if all(op.dtype == dtype for op in self.operators):
            return self
        return self.cached(
            ("astype", dtype.name),
            lambda: StackedOperator([op.astype(dtype) for op in self.operators]),
        )

    def scaled(self, factor: complex) -> StackedOperator:
        """The stack of the operators times a number."""
        return StackedOperator([op.scaled(factor) for op in self.operators])

    def split(self, y: AnyArray) -> list[AnyArray]:
        """The parts of `y` that belong to each operator.

        Parameters
        ----------
        y : array, shape (..., *output_shape)

        Returns
        -------
        list of array
            One for each operator, of shape ``(..., *operators[i].output_shape)``.
        """
        y = self.own_array(y, "y")
        batch = y.shape[: max(y.ndim - len(self.output_shape), 0)]
        if y.shape != (*batch, *self.output_shape):
            raise ValueError(
                f"y must have shape (..., {', '.join(map(str, self.output_shape))}), "
                f"got {y.shape}"
            )
        flat = y.reshape((math.prod(batch), self.shape[0]))
        return [
            part.reshape((*batch, *op.output_shape))
            for op, part in zip(self.operators, self._parts(flat))
        ]

    def stack(self, parts: Sequence[AnyArray]) -> AnyArray:
        """The data whose parts are given, what `split` takes apart.

        Parameters
        ----------
        parts : sequence of array
            One for each operator, of shape ``(..., *operators[i].output_shape)``, all
            with the same leading axes.

        Returns
        -------
        array
            Of shape ``(..., *output_shape)``.
        """
        parts = [self.own_array(part, "parts") for part in parts]
        if len(parts) != len(self.operators):
            raise ValueError(
                f"parts must hold {len(self.operators)} arrays, one for each operator, "
                f"got {len(parts)}"
            )
        ndim = max(parts[0].ndim - len(self.operators[0].output_shape), 0)
        batch = parts[0].shape[:ndim]
        for number, (op, part) in enumerate(zip(self.operators, parts)):
            if part.shape != (*batch, *op.output_shape):
                raise ValueError(
                    f"parts[{number}] must have shape {(*batch, *op.output_shape)}, "
                    f"got {part.shape}"
                )
        stacked = self._joined(parts, math.prod(batch))
        return stacked.reshape((*batch, *self.output_shape))

    def apply(
        self, X: AnyArray, *, out: AnyArray | None = None, sumsq: bool = False
    ) -> Any:
        X = checked_batch(X, "X", self.input_shape)
        if len(X) != 1 or not self.fused:
            return finished(self._apply(X), out, sumsq)
        # each operator writes its part of one item, which lies in one piece
        xp, dtype = namespace(X), np.result_type(self.dtype, X.dtype)
        if out is None:
            out = xp.empty((1, *self.output_shape), dtype=dtype)
        check_out(out, (1, *self.output_shape), dtype)
        sums = []
        for op, part in zip(self.operators, self._parts(out.reshape(1, -1))):
            part = batch_of(part, op.output_shape)
            image = batch_of(X, op.input_shape).astype(dtype, copy=False)
            _, squares = op.apply(image, out=part, sumsq=True)
            sums.append(squares)
        return (out, sum(sums[1:], sums[0])) if sumsq else out

    def _apply(self, X):
        parts = [op.apply(batch_of(X, op.input_shape)) for op in self.operators]
        return self._joined(parts, X.shape[0])

    def _apply_adjoint(self, Y):
        total = None
        for op, part in zip(self.operators, self._parts(batch_of(Y, self.shape[:1]))):
            X = op.apply_adjoint(batch_of(part, op.output_shape))
            X = batch_of(X, self.input_shape)
            total = X if total is None else total + X
        return total

    def _parts(self, flat):
        """The columns of a batch ``(B, m)`` that belong to each operator."""
        starts = [0, *self._ends]
        return [flat[:, i:j] for i, j in zip(starts, self._ends)]

    def _joined(self, parts, count):
        """A batch of `count` items from those of its parts."""
        flat = [
            part.reshape((count, op.shape[0]))
            for op, part in zip(self.operators, parts)
        ]
        return batch_of(namespace(flat[0]).concat(flat, axis=1), self.output_shape)
