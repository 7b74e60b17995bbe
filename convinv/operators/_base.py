"""Linear operators on shaped arrays of any library, and their algebra.

SciPy's LinearOperator converts its argument to a NumPy array in every public product,
which a device array refuses. The operators here are SciPy's in every other respect, but
their products let arrays of the operator's own library pass untouched.
"""

import importlib
import math

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from .._core.arrays import namespace


class _Bare(LinearOperator):
    """What SciPy itself puts into an operator."""

    def _matvec(self, x):
        return x


# Attributes that SciPy sets and that differ between its versions: no part of a pickle.
SCIPYS = frozenset(vars(_Bare(np.dtype(float), (1, 1)))) - {"dtype", "shape"}


class ShapedOperator(LinearOperator):
    """A LinearOperator with `forward` and `adjoint` on shaped batches.

    Subclasses set `input_shape`, `output_shape` and `dtype` through ``__init__`` and
    define ``_forward(X)`` and ``_backward(Y)`` on arrays of shape ``(B, *shape)``.
    """

    def __init__(self, dtype, input_shape, output_shape):
        self.input_shape = tuple(input_shape)
        self.output_shape = tuple(output_shape)
        shape = (math.prod(self.output_shape), math.prod(self.input_shape))
        super().__init__(dtype, shape)

    def __getstate__(self):
        state = {k: v for k, v in self.__dict__.items() if k not in SCIPYS}
        if state.get("xp") is not None:
            state["xp"] = state["xp"].__name__
        return state

    def __setstate__(self, state):
        LinearOperator.__init__(self, state["dtype"], state["shape"])
        self.__dict__.update(state)
        if isinstance(state.get("xp"), str):
            self.xp = importlib.import_module(state["xp"])

    # The library that products take arrays of; None: whatever the parts take.
    xp = np
    has_adjoint = True

    def forward(self, X):
        """Apply the operator to ``X`` of shape ``(..., *input_shape)``."""
        return self._shaped(X, "X", self.input_shape, self.output_shape, self._forward)

    def adjoint(self, Y=None):
        """Apply the adjoint to ``Y`` of shape ``(..., *output_shape)``.

        Without an argument, return the adjoint operator, as SciPy does.
        """
        if Y is None:
            return self._adjoint()
        return self._shaped(Y, "Y", self.output_shape, self.input_shape, self._backward)

    def _shaped(self, array, name, taken, given, apply):
        array = self._own(array, name)
        batch = array.shape[: max(array.ndim - len(taken), 0)]
        if array.shape != (*batch, *taken):
            raise ValueError(
                f"{name} must have shape (..., {', '.join(map(str, taken))}), "
                f"got {array.shape}"
            )
        flat = array.reshape((math.prod(batch), *taken))
        return apply(flat).reshape((*batch, *given))

    def _own(self, array, name):
        """`array` as an array of the operator's library."""
        xp = namespace(array)
        if self.xp is None:  # any library's
            return np.asarray(array) if xp is None else array
        if self.xp is np:
            if xp is None or isinstance(array, np.matrix):
                array = np.asarray(array)
            elif xp is not np:
                raise TypeError(
                    f"{name} must be a NumPy array, as the operator's kernel is, "
                    f"got {type(array).__module__}.{type(array).__name__}"
                )
        elif xp is not self.xp:
            raise TypeError(
                f"{name} must be a {self.xp.__name__} array, as the operator's kernel "
                f"is, got {type(array).__module__}.{type(array).__name__}"
            )
        return array

    # SciPy's flat products

    def _flat(self, x, name, size, shape, apply):
        x = self._own(x, name)
        if x.shape != (size,) and x.shape != (size, 1):
            raise ValueError(
                f"dimension mismatch: {name} must have shape ({size},) or ({size}, 1), "
                f"got {x.shape}"
            )
        y = apply(x.reshape((1, *shape)))
        return y.reshape((-1,) if x.ndim == 1 else (-1, 1))

    def _columns(self, X, name, size, shape, apply):
        X = self._own(X, name)
        if X.ndim != 2 or X.shape[0] != size:
            raise ValueError(
                f"dimension mismatch: {name} must have shape ({size}, k), got {X.shape}"
            )
        y = apply(X.T.reshape((X.shape[1], *shape)))
        return y.reshape((X.shape[1], math.prod(y.shape[1:]))).T

    def matvec(self, x):
        """``A x`` for ``x`` of shape ``(n,)`` or ``(n, 1)``."""
        return self._flat(x, "x", self.shape[1], self.input_shape, self._forward)

    def rmatvec(self, x):
        """``A^H x`` for ``x`` of shape ``(m,)`` or ``(m, 1)``."""
        return self._flat(x, "x", self.shape[0], self.output_shape, self._backward)

    def matmat(self, X):
        """``A X`` for ``X`` of shape ``(n, k)``."""
        return self._columns(X, "X", self.shape[1], self.input_shape, self._forward)

    def rmatmat(self, X):
        """``A^H X`` for ``X`` of shape ``(m, k)``."""
        return self._columns(X, "X", self.shape[0], self.output_shape, self._backward)

    _matvec, _rmatvec, _matmat, _rmatmat = matvec, rmatvec, matmat, rmatmat

    def _adjoint(self):
        return AdjointOperator(self)

    def _transpose(self):
        return TransposedOperator(self)

    @property
    def H(self):
        """The adjoint operator."""
        return self._adjoint()

    @property
    def T(self):
        """The transposed operator, without conjugation."""
        return self._transpose()

    def dot(self, x):
        """Product with a scalar, an operator, a vector or a matrix.

        A product with an operator or a sparse matrix is an operator.
        """
        if sparse.issparse(x):
            x = _matrix_operator(x)
        if isinstance(x, ShapedOperator):
            return ProductOperator(self, x)
        if isinstance(x, LinearOperator):
            return super().dot(x)
        if np.isscalar(x):
            return self._scaled(x)
        x = self._own(x, "x")
        return self.matmat(x) if x.ndim == 2 and x.shape[1] != 1 else self.matvec(x)

    def __call__(self, x):
        return self.dot(x)

    def __mul__(self, x):
        return self.dot(x)

    def __matmul__(self, x):
        if np.isscalar(x):
            raise ValueError("Scalar operands are not allowed, use '*' instead")
        return self.dot(x)

    def __rmul__(self, x):
        return self._scaled(x) if np.isscalar(x) else self._rdot(x)

    def __rmatmul__(self, x):
        if np.isscalar(x):
            raise ValueError("Scalar operands are not allowed, use '*' instead")
        return self._rdot(x)

    def _rdot(self, x):
        if sparse.issparse(x):
            return ProductOperator(_matrix_operator(x), self)
        if isinstance(x, LinearOperator):
            return LinearOperator.dot(x, self)
        x = self._own(x, "x")
        return self.T.dot(x.T).T

    def _scaled(self, factor):
        return ScaledOperator(self, factor)

    def __add__(self, other):
        if isinstance(other, ShapedOperator):
            return SumOperator(self, other)
        return super().__add__(other)

    def __neg__(self):
        return self._scaled(-1)

    def __sub__(self, other):
        return self + (-other)

    def __truediv__(self, factor):
        if not np.isscalar(factor):
            raise ValueError("Can only divide a linear operator by a scalar.")
        return self._scaled(1.0 / factor)

    def __pow__(self, power):
        if not np.isscalar(power) or power != int(power) or power < 0:
            return NotImplemented
        if self.shape[0] != self.shape[1]:
            raise ValueError(f"square operator expected, got shape {self.shape}")
        result = IdentityOperator(self)
        for _ in range(int(power)):
            result = ProductOperator(self, result)
        return result


class AdjointOperator(ShapedOperator):
    """The adjoint of an operator."""

    def __init__(self, op):
        self.op, self.xp = op, op.xp
        super().__init__(op.dtype, op.output_shape, op.input_shape)

    def _forward(self, x):
        return self.op._backward(x)

    def _backward(self, y):
        return self.op._forward(y)

    def _adjoint(self):
        return self.op


class TransposedOperator(ShapedOperator):
    """The transpose of an operator, the conjugate of its adjoint."""

    def __init__(self, op):
        self.op, self.xp = op, op.xp
        super().__init__(op.dtype, op.output_shape, op.input_shape)

    def _forward(self, x):
        return self.op._backward(x.conj()).conj()

    def _backward(self, y):
        return self.op._forward(y.conj()).conj()

    def _transpose(self):
        return self.op


class ScaledOperator(ShapedOperator):
    """A multiple of an operator."""

    def __init__(self, op, factor):
        self.op, self.factor, self.xp = op, factor, op.xp
        dtype = np.result_type(op.dtype, factor)
        super().__init__(dtype, op.input_shape, op.output_shape)

    def _forward(self, x):
        return self.op._forward(x) * self.factor

    def _backward(self, y):
        return self.op._backward(y) * self.factor.conjugate()


class SumOperator(ShapedOperator):
    """The sum of two operators of one shape."""

    def __init__(self, a, b):
        if a.shape != b.shape:
            raise ValueError(f"cannot add operators of shapes {a.shape} and {b.shape}")
        self.a, self.b, self.xp = a, b, _common(a, b)
        dtype = np.result_type(a.dtype, b.dtype)
        super().__init__(dtype, a.input_shape, a.output_shape)

    def _forward(self, x):
        y = self.a._forward(x)
        return y + _fit(self.b._forward, x, self.b.input_shape, y.shape)

    def _backward(self, y):
        x = self.a._backward(y)
        return x + _fit(self.b._backward, y, self.b.output_shape, x.shape)


class ProductOperator(ShapedOperator):
    """``a b``: first `b`, then `a`."""

    def __init__(self, a, b):
        if a.shape[1] != b.shape[0]:
            raise ValueError(
                f"cannot multiply operators of shapes {a.shape} and {b.shape}"
            )
        self.a, self.b, self.xp = a, b, _common(a, b)
        dtype = np.result_type(a.dtype, b.dtype)
        super().__init__(dtype, b.input_shape, a.output_shape)

    def _forward(self, x):
        y = self.b._forward(x)
        return self.a._forward(y.reshape((y.shape[0], *self.a.input_shape)))

    def _backward(self, y):
        x = self.a._backward(y)
        return self.b._backward(x.reshape((x.shape[0], *self.b.output_shape)))


class IdentityOperator(ShapedOperator):
    """The identity with the shapes of a square operator."""

    def __init__(self, op):
        self.xp = op.xp
        super().__init__(op.dtype, op.input_shape, op.output_shape)

    def _forward(self, x):
        return x.reshape((x.shape[0], *self.output_shape))

    def _backward(self, y):
        return y.reshape((y.shape[0], *self.input_shape))


def _matrix_operator(matrix):
    from ._foreign import MatrixOperator  # which is made of this module's

    return MatrixOperator(matrix)


def _common(a, b):
    if a.xp is not b.xp:
        raise TypeError(
            f"cannot combine operators on {a.xp.__name__} and {b.xp.__name__} arrays"
        )
    return a.xp


def _fit(apply, array, taken, given):
    return apply(array.reshape((array.shape[0], *taken))).reshape(given)
