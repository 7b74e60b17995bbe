"""The products of an operator of whatever library, as functions of NumPy arrays.

Nothing is copied on the way, so that a check sees whether an operator writes into its
input or hands out memory of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._core.adapters import operator_of
from .._core.arrays import working_dtype
from .._core.typing import Shape
from ..operators._base import ShapedOperator
from ..operators._foreign import as_operator

Function = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Products:
    """An operator under test.

    Attributes
    ----------
    name : str
    forward : callable
        Of an array of `input_shape`.
    adjoint : callable or None
        Of an array of `output_shape`.
    input_shape, output_shape : tuple of int
    dtype : dtype
        The least dtype of products.
    batch, adjoint_batch : callable or None
        Of arrays with one more axis in front, where it takes these.
    """

    name: str
    forward: Function
    adjoint: Function | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    dtype: np.dtype
    batch: Function | None = None
    adjoint_batch: Function | None = None


def products_of(
    op: Any, input_shape: Shape | None, dtype: DTypeLike | None
) -> Products:
    """The products of what `check_operator` takes."""
    if isinstance(op, tuple) and len(op) == 2 and callable(op[0]):
        return _of_functions(op, input_shape, dtype)
    if isinstance(op, ShapedOperator):
        return _of_shaped(op)
    library = type(op).__module__.partition(".")[0]
    if _is_physics(op):
        return _of_physics(op, input_shape, dtype)
    if library == "sigpy" or hasattr(op, "ishape"):
        return _of_linop(op, dtype)
    if hasattr(op, "matvec"):
        return _of_flat(op, dtype)
    found = operator_of(op)
    return _of_shaped(as_operator(op) if found is None else found, type(op).__name__)


def _of_shaped(op: ShapedOperator, name: str = "") -> Products:
    adjoint = op.adjoint if op.has_adjoint else None
    return Products(
        name or repr(op),
        op.forward,
        adjoint,
        op.input_shape,
        op.output_shape,
        np.dtype(op.dtype),
        op.forward,
        adjoint,
    )


def _of_flat(op: Any, dtype: DTypeLike | None) -> Products:
    """Of objects with products of flat vectors: SciPy's, PyLops' and others."""
    m, n = (int(size) for size in op.shape)
    taken = tuple(int(size) for size in getattr(op, "dims", (n,)))
    given = tuple(int(size) for size in getattr(op, "dimsd", (m,)))
    own = getattr(op, "dtype", None) if dtype is None else dtype

    def product(name: str, shape: tuple[int, ...]) -> Function | None:
        function = getattr(op, name, None)
        if function is None:
            return None
        return lambda x: np.asarray(function(x.reshape(-1))).reshape(shape)

    def many(name: str, shape: tuple[int, ...]) -> Function | None:
        function = getattr(op, name, None)
        if function is None:
            return None
        return lambda X: np.asarray(function(X.reshape(len(X), -1).T)).T.reshape(
            len(X), *shape
        )

    forward = product("matvec", given)
    assert forward is not None
    return Products(
        f"{type(op).__name__} of {type(op).__module__.partition('.')[0]}, {m} x {n}",
        forward,
        product("rmatvec", taken) if _can_turn(op) else None,
        taken,
        given,
        working_dtype(float if own is None else own, "op"),
        many("matmat", given),
        many("rmatmat", taken) if _can_turn(op) else None,
    )


def _can_turn(op: Any) -> bool:
    """Whether it has an adjoint: SciPy's operators say so only when asked to."""
    try:
        op.rmatvec(np.zeros(op.shape[0], getattr(op, "dtype", None) or float))
    except (NotImplementedError, AttributeError, TypeError):
        return False
    return True


def _of_linop(op: Any, dtype: DTypeLike | None) -> Products:
    """Of a Linop of SigPy."""
    if dtype is None:
        with np.errstate(all="ignore"):  # SigPy casts memory that holds no values
            dtype = op.apply(np.zeros(op.ishape, np.float32)).dtype
    shapes = tuple(op.ishape), tuple(op.oshape)
    name = f"{type(op).__name__} of sigpy, {shapes[0]} to {shapes[1]}"
    return Products(name, op.apply, op.H.apply, *shapes, np.dtype(dtype))


def _of_functions(op: Any, input_shape: Shape | None, dtype: DTypeLike | None):
    forward, adjoint = op
    if input_shape is None:
        raise TypeError(
            "a pair of functions needs input_shape, of what the first takes"
        )
    own = np.dtype(float if dtype is None else dtype)
    output = np.asarray(forward(np.zeros(input_shape, own)))
    shapes = tuple(input_shape), output.shape
    name = getattr(forward, "__name__", "function")
    return Products(name, forward, adjoint, *shapes, own)


def _is_physics(op: Any) -> bool:
    return hasattr(op, "A") and hasattr(op, "A_adjoint")


def _of_physics(op: Any, input_shape: Shape | None, dtype: DTypeLike | None):
    """Of a LinearPhysics of deepinv, which takes tensors in batches."""
    if input_shape is None:
        raise TypeError("a physics needs input_shape, (C, *spatial) of one image")
    torch = importlib.import_module("torch")

    def batched(function: Any) -> Function:
        def product(x: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return function(torch.from_numpy(x)).numpy()

        return product

    def single(function: Function) -> Function:
        return lambda x: function(x[None])[0]

    forward, adjoint = batched(op.A), batched(op.A_adjoint)
    own = np.dtype("float32" if dtype is None else dtype)
    shape = tuple(input_shape)
    output = single(forward)(np.zeros(shape, own)).shape
    name = f"{type(op).__name__} of deepinv, {shape} to {output}"
    return Products(
        name, single(forward), single(adjoint), shape, output, own, forward, adjoint
    )
