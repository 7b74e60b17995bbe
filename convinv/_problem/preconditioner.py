"""The user's preconditioner as a function on the arrays of a solve."""

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._core.arrays import contiguous, copy, namespace
from ..operators._foreign import as_operator
from ..operators._weighted import unweighted
from ..precondition import PRECONDITIONERS, Preconditioner
from .problem import Unsuitable
from .units import ldexp


def preconditioner(scaled, given, equations):
    """A function on ``(B, n)`` arrays in scaled units.

    `equations` names the matrix whose inverse it approximates, see `Preconditioner`.
    """
    if isinstance(given, str):
        return _named(scaled, given, equations)
    n = scaled.wide.shape[1]
    if isinstance(given, Preconditioner):
        given = _for_equations(given, equations)
    if isinstance(given, LinearOperator) or hasattr(given, "matvec"):
        function = _operator(given, n)
    elif getattr(given, "ndim", 0) == 2:
        function = _operator(given, n)
    elif callable(given):
        function = _Items(given, scaled.wide.input_shape)
    else:
        raise TypeError(
            "preconditioner must be a name, a callable, an operator or a matrix, got "
            f"{type(given).__name__}"
        )
    squared = equations == "normal"
    kind, power = scaled.kind, np.asarray(scaled.units.operator * (1 + squared))
    xp = scaled.xp

    def apply(v):
        # it approximates the inverse of a matrix in the user's units
        w = ldexp(xp, xp.reshape(function(v), v.shape), power)
        return contiguous(xp.astype(w, kind, copy=True))

    return apply


def check_name(name):
    """Refuse names that no preconditioner has."""
    if name not in PRECONDITIONERS:
        raise ValueError(
            f"preconditioner must be one of {', '.join(map(repr, PRECONDITIONERS))}, a "
            f"callable, an operator or a matrix, got {name!r}"
        )


def _named(scaled, name, equations):
    """A preconditioner by name, kept with the operator."""
    check_name(name)
    op = scaled.working
    if op.layer is None and not op.weighted_convolutions:
        raise TypeError(f"preconditioner {name!r} needs a ConvLinearOperator")
    make = PRECONDITIONERS[name]

    def made():
        near = op if op.layer is not None or op.convolutions else unweighted(op)
        return make._named(near, scaled.damp, equations)

    try:
        key = (f"preconditioner {name}", scaled.damp, equations)
        return op.cached(key, made).apply_flat
    except np.linalg.LinAlgError as error:
        raise Unsuitable(f"preconditioner {name!r}: {error}") from None


def _for_equations(given, equations):
    """A preconditioner object, unchanged for every damp; see `Preconditioner.at`."""
    try:
        return given.at(equations)
    except np.linalg.LinAlgError as error:
        raise Unsuitable(f"the preconditioner: {error}") from None


def _operator(given, n):
    """The product with an operator or a matrix."""
    operator = as_operator(given)
    if operator.shape != (n, n):
        raise ValueError(
            f"preconditioner must have shape {(n, n)}, got {operator.shape}"
        )

    def function(v):
        shaped = namespace(v).reshape(v, (v.shape[0], *operator.input_shape))
        return operator.apply(shaped)

    return function


class _Items:
    """A function of arrays ``(B, *shape)``, or of vectors one by one.

    SciPy's preconditioners are functions of one vector. For a matrix or another
    operator on vectors, the function gets vectors. For a layer it gets the batch in the
    layer's shape, and vectors if it refuses that.
    """

    def __init__(self, function, shape):
        self.function, self.shape = function, shape
        self.flat = len(shape) == 1

    def __call__(self, v):
        if not self.flat:
            shaped = namespace(v).reshape(v, (v.shape[0], *self.shape))
            try:
                return self._checked(self.function(shaped), v.shape)
            except (ValueError, TypeError) as error:
                self.flat = True
                try:
                    return self._one_by_one(v)
                except (ValueError, TypeError):
                    raise error from None
        return self._one_by_one(v)

    def _one_by_one(self, v):
        out = copy(v)
        for i in range(v.shape[0]):
            w = self._checked(self.function(copy(v[i, ...])), (v.shape[1],))
            out[i, ...] = namespace(v).reshape(w, (v.shape[1],))
        return out

    def _checked(self, w, shape):
        found = tuple(getattr(w, "shape", ()))
        taken = {tuple(shape), (shape[0], *self.shape), (*shape, 1)}
        if found not in taken:
            raise ValueError(
                "preconditioner must return an array of the shape that it is given, "
                f"{(shape[0], *self.shape) if len(shape) > 1 else shape}, got "
                f"{found or w!r}"
            )
        return w
