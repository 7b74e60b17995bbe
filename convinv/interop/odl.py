"""Operators of ODL: ours as theirs, and theirs as ours.

``to_odl(op)`` goes into ODL's solvers and operators; a linear operator of ODL goes into
`convinv.solve` as it is. Spaces of ODL weight their inner products (by the size of a
cell, as a rule); adjoints are converted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.adapters import Adapter
from .._core.optional import optional
from .._core.typing import AnyArray, OperatorInput
from ..operators._base import ShapedOperator
from ..operators._foreign import as_operator
from ..operators._shaped_products import operator_of_products

with np.printoptions():  # which ODL sets to those of an old NumPy, for everybody
    odl: Any = optional("odl", "convinv.interop.odl")

__all__ = ["OdlOperator", "from_odl", "to_odl"]


class OdlOperator(odl.Operator):
    """An operator of convinv as one of ODL; `to_odl` makes it.

    Parameters
    ----------
    op : ShapedOperator
    domain, range : odl.LinearSpace
        Spaces of arrays of op's input and output shape.

    Attributes
    ----------
    op : ShapedOperator
        The operator of convinv.
    adjoint : odl.Operator
        For the inner products of the two spaces.
    """

    def __init__(self, op: ShapedOperator, domain: Any, range: Any) -> None:
        self.op = op
        super().__init__(domain, range, linear=True)

    def _call(self, x: Any) -> AnyArray:
        return self.op.forward(x.asarray())

    @property
    def adjoint(self) -> Any:
        return _WeightedAdjoint(self)


class _WeightedAdjoint(odl.Operator):
    """``W_X^-1 A^H W_Y`` for the weights of the inner products of A's spaces."""

    def __init__(self, forward: OdlOperator) -> None:
        self._forward = forward
        self._inner, self._outer = _weights(forward.domain), _weights(forward.range)
        super().__init__(forward.range, forward.domain, linear=True)

    def _call(self, y: Any) -> AnyArray:
        return self._forward.op.adjoint(y.asarray() * self._outer) / self._inner

    @property
    def adjoint(self) -> OdlOperator:
        return self._forward


def to_odl(op: OperatorInput, domain: Any = None, range: Any = None) -> OdlOperator:
    """An operator of convinv as one of ODL.

    Parameters
    ----------
    op : ConvLinearOperator, ShapedOperator, LinearOperator, matrix
        What `convinv.solve` takes as an operator, on NumPy arrays.
    domain, range : odl.LinearSpace, optional
        Of arrays of op's input and output shape, with the inner product of one number
        or of an array of weights: ``odl.rn``, ``odl.cn``, ``odl.uniform_discr`` or a
        power of these. By default ``odl.rn`` or ``odl.cn`` in op's dtype.

    Returns
    -------
    OdlOperator
        An ``odl.Operator``, whose adjoint is that for the inner products of its spaces.

    Raises
    ------
    ImportError
        If ODL is not installed.
    TypeError
        If `op` is no operator, or the inner product of a space another one.
    ValueError
        If a space has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> import odl
    >>> from convinv import ConvLinearOperator, gallery
    >>> from convinv.interop.odl import to_odl
    >>> psf = gallery.gaussian_kernel(3, 0.5)
    >>> blur = ConvLinearOperator(psf[None, None], (1, 16, 16), padding="same")
    >>> op = to_odl(blur)
    >>> x = np.random.default_rng(0).random((1, 16, 16))
    >>> found = op.domain.zero()
    >>> odl.solvers.conjugate_gradient_normal(op, found, op(x), niter=60)
    >>> bool(np.allclose(found.asarray(), x))
    True
    """
    op = as_operator(op)
    spaces = []
    for name, space, shape in (
        ("domain", domain, op.input_shape),
        ("range", range, op.output_shape),
    ):
        if space is None:
            of_numbers = odl.cn if op.dtype.kind == "c" else odl.rn
            space = of_numbers(shape, dtype=op.dtype.name)
        if tuple(space.shape) != shape:
            raise ValueError(
                f"{name} must be a space of arrays of shape {shape}, got one of "
                f"{tuple(space.shape)}"
            )
        _weights(space)  # refuses other inner products
        spaces.append(space)
    return OdlOperator(op, *spaces)


def from_odl(op: Any) -> ShapedOperator:
    """A linear operator of ODL as one of convinv.

    `convinv.solve` and the other functions that take operators call it for you.

    Parameters
    ----------
    op : odl.Operator
        A linear one, between spaces of NumPy arrays as `to_odl` takes them.

    Returns
    -------
    ShapedOperator
        Its input and output shapes are those of ``op.domain`` and ``op.range``; its
        adjoint is that of the matrix, without weights. What `to_odl` made becomes the
        operator that it was made of.

    Raises
    ------
    ImportError
        If ODL is not installed.
    TypeError
        If `op` is no linear operator of ODL, or the inner product of one of its spaces
        is another one than `to_odl` takes.

    Examples
    --------
    >>> import numpy as np
    >>> import odl
    >>> from convinv import dot_test
    >>> from convinv.interop.odl import from_odl
    >>> image = odl.uniform_discr([0, 0], [1, 1], (5, 6))
    >>> gradient = from_odl(odl.Gradient(image))
    >>> gradient.input_shape, gradient.output_shape
    ((5, 6), (2, 5, 6))
    >>> dot_test(gradient)
    True
    """
    if isinstance(op, OdlOperator):
        return op.op
    if not isinstance(op, odl.Operator) or not op.is_linear:
        raise TypeError(f"op must be a linear odl.Operator, got {type(op).__name__}")
    inner, outer = _weights(op.domain), _weights(op.range)
    dtype = np.result_type(_dtype(op.domain), _dtype(op.range))

    def apply(x: AnyArray) -> AnyArray:
        return op(op.domain.element(x)).asarray()

    def adjoint(y: AnyArray) -> AnyArray:
        x = op.adjoint(op.range.element(y / outer)).asarray()
        return x * inner

    has_adjoint = _has_adjoint(op)
    shapes = tuple(op.domain.shape), tuple(op.range.shape)
    return operator_of_products(apply, adjoint if has_adjoint else None, *shapes, dtype)


def _has_adjoint(op: Any) -> bool:
    try:
        op.adjoint
    except NotImplementedError:
        return False
    return True


def _dtype(space: Any) -> np.dtype:
    """That of the numbers of a space, or of a power of one."""
    while isinstance(space, odl.ProductSpace):
        space = space[0]
    return np.dtype(space.dtype_identifier)


def _weights(space: Any) -> Any:
    """The weights of a space's inner product, a number or an array."""
    own: Any = 1.0
    if isinstance(space, odl.ProductSpace):
        if not space.is_power_space:
            raise TypeError(
                "the spaces of op must be of arrays of one shape, got a product of "
                f"different spaces: {space!r}"
            )
        own = _weights(space[0])
    weighting = space.weighting
    found = getattr(weighting, "const", None)
    if found is None:
        found = getattr(weighting, "array", None)
    if found is None or weighting.exponent != 2:
        raise TypeError(
            "the inner products of op's spaces must be those of a number or of an "
            f"array of weights, got {type(weighting).__name__} with the exponent "
            f"{weighting.exponent}"
        )
    if isinstance(space, odl.ProductSpace) and np.ndim(found):
        found = np.reshape(found, (-1, *[1] * len(space[0].shape)))
    return own * found


class OdlAdapter(Adapter):
    """Operators of ODL where the package takes operators."""

    def is_operator(self, thing: Any) -> bool:
        return isinstance(thing, odl.Operator)

    def operator(self, op: Any) -> ShapedOperator:
        return from_odl(op)
