"""Operators of SigPy: ours as theirs, and theirs as ours.

``to_sigpy(op)`` goes into SigPy's apps and compositions; a Linop of SigPy goes into
`convinv.solve` as it is.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.exceptions import ComplexWarning
from numpy.typing import DTypeLike

from .._core.adapters import Adapter
from .._core.optional import optional
from .._core.typing import AnyArray, OperatorInput
from ..operators._base import ShapedOperator
from ..operators._foreign import as_operator
from ..operators._shaped_products import Product, operator_of_products

sigpy: Any = optional("sigpy", "convinv.interop.sigpy")

__all__ = ["SigPyOperator", "from_sigpy", "to_sigpy"]


class SigPyOperator(sigpy.linop.Linop):
    """An operator of convinv as a Linop of SigPy; `to_sigpy` makes it.

    Parameters
    ----------
    op : ShapedOperator
    batch : tuple of int
        Leading axes of its arrays.

    Attributes
    ----------
    op : ShapedOperator
        The operator of convinv, of one item.
    batch : tuple of int
    """

    def __init__(self, op: ShapedOperator, batch: tuple[int, ...] = ()) -> None:
        self.op, self.batch = op, batch
        super().__init__(
            (*batch, *op.output_shape), (*batch, *op.input_shape), repr_str="convinv"
        )

    def _apply(self, input: AnyArray) -> AnyArray:
        return self.op.forward(input)

    def _adjoint_linop(self) -> SigPyOperator:
        return SigPyOperator(self.op.H, self.batch)


def to_sigpy(op: OperatorInput, batch: int | tuple[int, ...] = ()) -> SigPyOperator:
    """An operator of convinv as a Linop of SigPy.

    Parameters
    ----------
    op : ConvLinearOperator, ShapedOperator, LinearOperator, matrix
        What `convinv.solve` takes as an operator.
    batch : int or tuple of int, optional
        Leading axes of the arrays that it takes: with 5 it takes batches of five items,
        which are one product. By default it takes one item.

    Returns
    -------
    SigPyOperator
        A ``sigpy.linop.Linop``, whose ``ishape`` and ``oshape`` are `batch` and the
        input and output shape. Arrays of CuPy pass where op is one of CuPy.

    Raises
    ------
    ImportError
        If SigPy is not installed.
    TypeError
        If `op` is no operator.

    Examples
    --------
    >>> import numpy as np
    >>> import sigpy
    >>> from convinv import ConvLinearOperator, gallery
    >>> from convinv.interop.sigpy import to_sigpy
    >>> psf = gallery.gaussian_kernel(3, 0.5)
    >>> blur = ConvLinearOperator(psf[None, None], (1, 16, 16), padding="same")
    >>> x = np.random.default_rng(0).random((1, 16, 16))
    >>> app = sigpy.app.LinearLeastSquares(
    ...     to_sigpy(blur), blur.forward(x), max_iter=100, show_pbar=False)
    >>> bool(np.allclose(app.run(), x))
    True
    """
    leading = (batch,) if isinstance(batch, (int, np.integer)) else batch
    return SigPyOperator(as_operator(op), tuple(int(n) for n in leading))


def from_sigpy(op: Any, *, dtype: DTypeLike | None = None) -> ShapedOperator:
    """A Linop of SigPy as an operator of convinv.

    `convinv.solve` and the other functions that take operators call it for you.

    Parameters
    ----------
    op : sigpy.linop.Linop
    dtype : dtype, optional
        The least dtype of products: a real one for operators that map real arrays to
        real ones. By default that of a product with real numbers in single precision,
        which is made to find out; give the dtype for operators on a GPU.

    Returns
    -------
    ShapedOperator
        Its input and output shapes are ``op.ishape`` and ``op.oshape``. What `to_sigpy`
        made for one item becomes the operator that it was made of.

    Raises
    ------
    ImportError
        If SigPy is not installed.
    TypeError
        If `op` is no Linop.

    Examples
    --------
    >>> import numpy as np
    >>> import sigpy
    >>> from convinv import solve
    >>> A = sigpy.linop.Vstack([sigpy.linop.FFT((4, 4)), sigpy.linop.Identity((4, 4))],
    ...                        axis=0)
    >>> x = np.arange(16.0).reshape(4, 4) + 1j
    >>> result = solve(A, A(x))
    >>> result.x.shape, bool(np.allclose(result.x, x, atol=1e-4))
    ((4, 4), True)
    """
    if not isinstance(op, sigpy.linop.Linop):
        raise TypeError(f"op must be a sigpy.linop.Linop, got {type(op).__name__}")
    if isinstance(op, SigPyOperator) and not op.batch:
        return op.op
    apply, adjoint = _quiet(op.apply), _quiet(op.H.apply)
    if dtype is None:
        dtype = _least_dtype(op, apply)
    if np.dtype(dtype).kind == "c":
        apply, adjoint = _of_complex(apply), _of_complex(adjoint)
    return operator_of_products(apply, adjoint, op.ishape, op.oshape, dtype)


def _least_dtype(op: Any, apply: Product) -> np.dtype:
    """That of the product of real numbers, complex where SigPy would drop a part."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ComplexWarning)
        try:
            return apply(np.zeros(op.ishape, np.float32)).dtype
        except RuntimeError:  # SigPy's, about the warning or what comes up again
            pass
    return apply(np.zeros(op.ishape, np.complex64)).dtype


def _of_complex(function: Product) -> Product:
    """A product of complex numbers: stacks have the dtype of what they take."""

    def product(x: AnyArray) -> AnyArray:
        return function(x if x.dtype.kind == "c" else x + x.dtype.type(0) * 1j)

    return product


def _quiet(function: Any) -> Any:
    """Without NumPy's warnings: SigPy's convolutions cast memory that holds no values.

    What is not finite in a result stays so, and solves look for it.
    """

    def product(x: AnyArray) -> AnyArray:
        with np.errstate(all="ignore"):
            return function(x)

    return product


class SigPyAdapter(Adapter):
    """Operators of SigPy where the package takes operators."""

    def is_operator(self, thing: Any) -> bool:
        return isinstance(thing, sigpy.linop.Linop)

    def operator(self, op: Any) -> ShapedOperator:
        return from_sigpy(op)
