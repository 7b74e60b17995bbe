"""Operators of PyLops: ours as theirs, and theirs as ours.

``to_pylops(op)`` goes into every solver and operator of PyLops; an operator of PyLops
goes into `convinv.solve` as it is.
"""

from __future__ import annotations

from typing import Any

from scipy import sparse

from .._core.adapters import Adapter
from .._core.optional import optional
from .._core.typing import AnyArray, OperatorInput
from ..operators._base import ShapedOperator
from ..operators._foreign import GeneralOperator, as_operator

pylops: Any = optional("pylops", "convinv.interop.pylops")

__all__ = ["PyLopsOperator", "from_pylops", "to_pylops"]


class PyLopsOperator(pylops.LinearOperator):
    """An operator of convinv as one of PyLops; `to_pylops` makes it.

    Parameters
    ----------
    op : ShapedOperator

    Attributes
    ----------
    op : ShapedOperator
        The operator of convinv.
    """

    def __init__(self, op: ShapedOperator) -> None:
        self.op = op
        super().__init__(
            dtype=op.dtype,
            shape=op.shape,
            dims=op.input_shape,
            dimsd=op.output_shape,
            name="convinv",
        )

    def _matvec(self, x: AnyArray) -> AnyArray:
        return self.op.matvec(x)

    def _rmatvec(self, x: AnyArray) -> AnyArray:
        return self.op.rmatvec(x)

    # all columns at once, where PyLops takes them one by one

    def _matmat(self, X: AnyArray) -> AnyArray:
        return self.op.matmat(_dense(X))

    def _rmatmat(self, X: AnyArray) -> AnyArray:
        return self.op.rmatmat(_dense(X))


def _dense(X: AnyArray) -> AnyArray:
    """Columns as an array: PyLops takes those of a sparse identity to make matrices."""
    return X.toarray() if sparse.issparse(X) else X


def to_pylops(op: OperatorInput) -> PyLopsOperator:
    """An operator of convinv as one of PyLops.

    Parameters
    ----------
    op : ConvLinearOperator, ShapedOperator, LinearOperator, matrix
        What `convinv.solve` takes as an operator.

    Returns
    -------
    PyLopsOperator
        A ``pylops.LinearOperator``, whose ``dims`` and ``dimsd`` are the input and the
        output shape, in op's dtype. Products with arrays of shape ``dims`` have shape
        ``dimsd``; those with columns ``(n, k)`` or ``(*dims, k)`` are one product with
        a batch. Arrays of CuPy pass where op is one of CuPy.

    Raises
    ------
    ImportError
        If PyLops is not installed.
    TypeError
        If `op` is no operator.

    Examples
    --------
    >>> import numpy as np
    >>> import pylops
    >>> from convinv import ConvLinearOperator, gallery
    >>> from convinv.interop.pylops import to_pylops
    >>> psf = gallery.gaussian_kernel(5, 1.0)
    >>> blur = ConvLinearOperator(psf[None, None], (1, 32, 32), padding="same")
    >>> op = to_pylops(blur)
    >>> bool(pylops.utils.dottest(op))
    True
    >>> (op @ np.ones((1, 32, 32))).shape
    (1, 32, 32)
    """
    return PyLopsOperator(as_operator(op))


def from_pylops(op: Any) -> ShapedOperator:
    """An operator of PyLops as one of convinv.

    `convinv.solve` and the other functions that take operators call it for you.

    Parameters
    ----------
    op : pylops.LinearOperator
        On NumPy or CuPy arrays. It has to be linear over the complex numbers where its
        dtype is complex.

    Returns
    -------
    ShapedOperator
        Its input and output shapes are ``op.dims`` and ``op.dimsd``. What `to_pylops`
        made becomes the operator that it was made of.

    Raises
    ------
    ImportError
        If PyLops is not installed.
    TypeError
        If `op` is none of PyLops, or linear over the real numbers alone.

    Examples
    --------
    >>> import numpy as np
    >>> import pylops
    >>> from convinv import solve
    >>> D = pylops.FirstDerivative((4, 5), kind="forward", edge=True)
    >>> A = pylops.VStack([D, pylops.Identity(20)])
    >>> b = A @ np.arange(20.0)
    >>> bool(np.allclose(solve(A, b).x, np.arange(20.0), atol=1e-4))
    True
    """
    if isinstance(op, PyLopsOperator):
        return op.op
    if not isinstance(op, pylops.LinearOperator):
        raise TypeError(f"op must be a pylops.LinearOperator, got {type(op).__name__}")
    if not op.clinear:
        raise TypeError(
            f"op is a {type(op).__name__} of PyLops that is linear over the real "
            "numbers alone (its clinear is False), which no method here can invert: "
            "take one between complex spaces, such as pylops.signalprocessing.FFT "
            "with real=False"
        )
    return GeneralOperator(op, tuple(map(int, op.dims)), tuple(map(int, op.dimsd)))


class PyLopsAdapter(Adapter):
    """Operators of PyLops where the package takes operators."""

    def is_operator(self, thing: Any) -> bool:
        return isinstance(thing, pylops.LinearOperator)

    def operator(self, op: Any) -> ShapedOperator:
        return from_pylops(op)
