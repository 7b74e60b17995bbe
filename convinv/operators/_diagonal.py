"""Multiplication by an array, entry by entry."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.arrays import host_array, namespace, working_dtype
from .._core.typing import AnyArray, Shape
from .._core.validation import integer
from ._base import ShapedOperator


class DiagonalOperator(ShapedOperator):
    """The product with an array, entry by entry: weights, masks, phases.

    Parameters
    ----------
    diagonal : array_like
        Real or complex, of a shape that broadcasts to `input_shape`: one number for
        each entry, or for each channel as ``(C, 1, 1)``. It is copied. On its library
        the operator takes arrays.
    input_shape : tuple of int, optional
        By default the shape of `diagonal`.

    Attributes
    ----------
    diagonal : array
        Not to be written to.

    Raises
    ------
    ValueError
        If `diagonal` does not broadcast to `input_shape`, or has no axis and there is
        none.
    TypeError
        If it holds no numbers.

    Notes
    -----
    To weight the data of a least-squares problem by the inverses w of their standard
    deviations, solve with ``DiagonalOperator(w) @ op`` and ``w * b``.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.operators import DiagonalOperator
    >>> op = DiagonalOperator([[1.0], [10.0]], (2, 3))
    >>> op.forward(np.ones((2, 3)))
    array([[ 1.,  1.,  1.],
           [10., 10., 10.]])
    >>> op.shape
    (6, 6)
    """

    def __init__(self, diagonal: AnyArray, input_shape: Shape | None = None):
        xp = namespace(diagonal)
        if xp is None or xp is np:
            diagonal, xp = host_array(diagonal, "diagonal"), np
        dtype = working_dtype(diagonal.dtype, "diagonal")
        shape = tuple(diagonal.shape) if input_shape is None else tuple(input_shape)
        shape = tuple(integer(n, "input_shape entries", 1) for n in shape)
        if not shape:
            raise ValueError(
                "diagonal must have an axis, or input_shape must be given, got a number"
            )
        try:
            fits = np.broadcast_shapes(diagonal.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"diagonal must broadcast to input_shape {shape}, got shape "
                f"{tuple(diagonal.shape)}"
            )
        self.xp, self.diagonal = xp, diagonal.astype(dtype, copy=True)
        if xp is np:
            self.diagonal.flags.writeable = False
        super().__init__(dtype, shape, shape)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.xp is np:
            self.diagonal.flags.writeable = False

    def _apply(self, X):
        return self._promoted(X) * self.diagonal

    def _apply_adjoint(self, Y):
        return self._promoted(Y) * self.diagonal.conj()

    def _adjoint(self):
        if self.dtype.kind != "c":
            return self
        return DiagonalOperator(self.diagonal.conj(), self.input_shape)

    def _transpose(self):
        return self
