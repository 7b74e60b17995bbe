"""Linear operators on shaped arrays of any library, and their algebra.

SciPy's LinearOperator converts its argument to a NumPy array in every public product,
which a device array refuses. The operators here are SciPy's in every other respect, but
their products let arrays of the operator's own library pass untouched.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from .._core.adapted_calls import adapts
from .._core.adapters import operator_of, way_out
from .._core.arrays import namespace, settled, working_dtype
from .._core.typing import AnyArray, ArrayInput, Shape
from ._batches import (
    checked_batch,
    finished,
    shaped_product,
)

KEPT = 2  # set-ups of one kind that an operator keeps


class _Bare(LinearOperator):
    """What SciPy itself puts into an operator."""

    def _matvec(self, x):
        return x


# Attributes that SciPy sets and that differ between its versions: no part of a pickle.
SCIPYS = frozenset(vars(_Bare(np.dtype(float), (1, 1)))) - {"dtype", "shape"}


class ShapedOperator(LinearOperator):
    """A linear operator on shaped arrays, the base class of all operators here.

    A subclass calls ``__init__`` and defines ``_apply(X)``, and ``_apply_adjoint(Y)``
    if it has an adjoint, on batches of arrays with one leading axis. It has SciPy's
    products, `forward` and `adjoint`, `apply` and `apply_adjoint`, sums, products,
    multiples and powers, and `inverse`, and all that takes operators takes it.

    Parameters
    ----------
    dtype : dtype
        The least dtype of products.
    input_shape, output_shape : tuple of int
        Of one item.

    Attributes
    ----------
    shape : tuple of int
        ``(m, n)`` with ``m = prod(output_shape)`` and ``n = prod(input_shape)``.
    dtype : dtype
    input_shape, output_shape : tuple of int
    xp : module or None
        The library that products take arrays of; None: whatever its parts take.
    has_adjoint : bool
        Whether the adjoint can be applied.
    layer : ConvLinearOperator or None
        The convolution, of a convolution and of its adjoint; None of other operators.
    convolutions : tuple of ConvLinearOperator
        Those whose rows below each other are its rows: a convolution alone, or those of
        a `StackedOperator`; empty of other operators.
    weighted_convolutions : tuple of (ConvLinearOperator, array or None)
        The same where rows may have weights: pairs with None for weights of 1.
    matrix : array, sparse array or None
        The matrix, of an operator that is made of one.
    fused : bool
        Whether `apply` and `apply_adjoint` write into ``out`` and sum squares on the
        way; for others each costs a pass over the result.
    coisometry : bool
        Whether ``A A^H = I`` is known; such an operator has a method ``nearest(v, b)``,
        the nearest x to v with ``A x = b``.
    H, T : ShapedOperator
        The adjoint and the transpose.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.operators import ShapedOperator
    >>> class Mirror(ShapedOperator):
    ...     def __init__(self, shape):
    ...         super().__init__(np.float64, shape, shape)
    ...     def _apply(self, X):
    ...         return X[..., ::-1]
    ...     _apply_adjoint = _apply
    >>> op = Mirror((2, 3))
    >>> op.forward([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    array([[3., 2., 1.],
           [6., 5., 4.]])
    >>> (2 * op.H) @ np.arange(6.0)
    array([ 4.,  2.,  0., 10.,  8.,  6.])
    """

    xp: Any = np
    layer: Any = None
    convolutions: Any = ()
    weighted_convolutions: Any = ()
    matrix: Any = None
    has_adjoint: Any = True
    fused = False
    coisometry = False

    def __init__(self, dtype: DTypeLike, input_shape: Shape, output_shape: Shape):
        self.input_shape = tuple(input_shape)
        self.output_shape = tuple(output_shape)
        self._cache: dict = {}
        shape = (math.prod(self.output_shape), math.prod(self.input_shape))
        super().__init__(dtype, shape)

    def __getstate__(self) -> dict[str, Any]:
        left_out = SCIPYS | {"_cache"}
        state = {k: v for k, v in self.__dict__.items() if k not in left_out}
        if state.get("xp") is not None:
            state["xp"] = state["xp"].__name__
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        LinearOperator.__init__(self, state["dtype"], state["shape"])
        self._cache = {}
        self.__dict__.update(state)
        if isinstance(state.get("xp"), str):
            self.xp = importlib.import_module(state["xp"])

    @property
    def dims(self) -> tuple[int, ...]:
        """The input shape, by the name that PyLops looks for."""
        return self.input_shape

    @property
    def dimsd(self) -> tuple[int, ...]:
        """The output shape, by the name that PyLops looks for."""
        return self.output_shape

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution itself, and not the adjoint of one."""
        return self.layer is self

    @property
    def has_rows(self) -> bool:
        """Whether its rows can be read.

        It is a convolution itself, or has a matrix on the host.
        """
        return self.is_convolution or (self.matrix is not None and self.xp is np)

    def cached(self, key: tuple, make: Callable[[], Any]) -> Any:
        """What ``make()`` gives, made once and kept with the operator.

        Parameters
        ----------
        key : tuple
            Its first entry is the kind of set-up; the latest two of a kind are kept.
        make : callable
            Called without arguments where nothing is kept under this key. What it makes
            should not hold the operator itself.

        Returns
        -------
        object

        Notes
        -----
        Copies and pickles have nothing kept.
        """
        found = self._cache.get(key)
        if found is None:
            found = settled(make(), self.xp)
            others = list(self._cache)  # other threads may change the dict meanwhile
            old = [k for k in others if k[0] == key[0]]
            for k in old[: max(len(old) - KEPT + 1, 0)]:
                self._cache.pop(k, None)
            self._cache[key] = found
        return found

    @property
    def cached_keys(self) -> list:
        """The keys of what `cached` keeps now, the oldest first."""
        return list(self._cache)

    @property
    def cached_bytes(self) -> int:
        """Bytes of what `cached` keeps, of the objects in it that tell their size."""
        return sum(getattr(kept, "nbytes", 0) for kept in self._cache.values())

    def apply(
        self, X: AnyArray, *, out: AnyArray | None = None, sumsq: bool = False
    ) -> Any:
        """Apply the operator to a batch, without any conversion of it.

        Parameters
        ----------
        X : array, shape (B, *input_shape)
            Of the operator's library.
        out : array, shape (B, *output_shape), optional
            Memory for the result, C-contiguous and of the result's dtype.
        sumsq : bool
            Whether to return the squared norms of the results too.

        Returns
        -------
        Y : array, shape (B, *output_shape)
            With ``out``, what it holds.
        squares : array of float64, shape (B,)
            With `sumsq` only: the squared norm of each item, in double precision.
        """
        Y = self._apply(checked_batch(X, "X", self.input_shape))
        return finished(Y, out, sumsq)

    def apply_adjoint(
        self, Y: AnyArray, *, out: AnyArray | None = None, sumsq: bool = False
    ) -> Any:
        """Apply the adjoint to a batch, as `apply` does the operator.

        Parameters
        ----------
        Y : array, shape (B, *output_shape)
            Of the operator's library.
        out : array, shape (B, *input_shape), optional
            Memory for the result, C-contiguous and of the result's dtype.
        sumsq : bool
            Whether to return the squared norms of the results too.

        Returns
        -------
        X : array, shape (B, *input_shape)
            With ``out``, what it holds.
        squares : array of float64, shape (B,)
            With `sumsq` only: the squared norm of each item, in double precision.
        """
        X = self._apply_adjoint(checked_batch(Y, "Y", self.output_shape))
        return finished(X, out, sumsq)

    def _apply(self, X):
        raise NotImplementedError(f"{type(self).__name__} does not define _apply")

    def _apply_adjoint(self, Y):
        raise NotImplementedError(
            f"{type(self).__name__} does not define _apply_adjoint"
        )

    def _promoted(self, array):
        """`array` in the dtype that its product with the operator has."""
        own = working_dtype(array.dtype, "what the operator is applied to")
        return array.astype(np.result_type(self.dtype, own), copy=False)

    @adapts("X")
    def forward(self, X: ArrayInput) -> AnyArray:
        """Apply the operator to ``X`` of shape ``(..., *input_shape)``."""
        shapes = self.input_shape, self.output_shape
        return shaped_product(self.own_array(X, "X"), "X", *shapes, self.apply)

    @adapts("Y")
    def adjoint(self, Y: ArrayInput | None = None) -> Any:
        """Apply the adjoint to ``Y`` of shape ``(..., *output_shape)``.

        Without an argument, return the adjoint operator, as SciPy does.
        """
        if Y is None:
            return self._adjoint()
        shapes = self.output_shape, self.input_shape
        return shaped_product(self.own_array(Y, "Y"), "Y", *shapes, self.apply_adjoint)

    def inverse(
        self,
        damp: float = 0.0,
        *,
        method: str = "auto",
        rtol: float = 1e-8,
        **options: Any,
    ) -> ShapedOperator:
        """The inverse as an operator of shape ``(n, m)``; it solves when it is applied.

        Parameters
        ----------
        damp : float
            What it gives minimizes ``||A x - b||^2 + damp^2 ||x||^2``. With 0 it is the
            pseudoinverse, if the method finds solutions of least norm.
        method : str
            As `convinv.solve` takes it. The adjoint of the inverse solves with ``A^H``,
            which some methods refuse.
        rtol : float
            Tolerance of each solve.
        **options
            What else `convinv.solve` takes.

        Returns
        -------
        ShapedOperator
            Its ``forward(b)`` is ``solve(A, b).x``, its ``adjoint(x)`` is
            ``solve(A.H, x).x``.

        Raises
        ------
        TypeError
            If the operator has no adjoint.

        Examples
        --------
        >>> import numpy as np
        >>> from convinv import ConvLinearOperator
        >>> kernel = np.random.default_rng(0).standard_normal((4, 2, 3, 3))
        >>> op = ConvLinearOperator(kernel, (2, 8, 8))
        >>> x = np.ones((5, 2, 8, 8))
        >>> inverse = op.inverse()
        >>> inverse.shape == op.shape[::-1]
        True
        >>> bool(np.allclose(inverse.forward(op.forward(x)), x))
        True
        """
        if not self.has_adjoint:
            raise TypeError("inverse needs the adjoint of op, and op has no rmatvec")
        if _make_inverse is None:  # not for users: they have imported the package
            raise RuntimeError("register_inverse has not been called")
        return _make_inverse(self, damp, method, rtol, options)

    def own_array(self, array: Any, name: str) -> AnyArray:
        """`array` as one of the operator's library; errors call it `name`."""
        xp = namespace(array)
        if self.xp is None:  # any library's
            return np.asarray(array) if xp is None else array
        if self.xp is np:
            if xp is None or isinstance(array, np.matrix):
                array = np.asarray(array)
            elif xp is not np:
                raise TypeError(
                    f"{name} must be a NumPy array, as the operator's are, "
                    f"got {type(array).__module__}.{type(array).__name__}"
                )
        elif xp is not self.xp:
            raise TypeError(
                f"{name} must be a {self.xp.__name__} array, as the operator's "
                f"are, got {type(array).__module__}.{type(array).__name__}"
            )
        return array

    # SciPy's flat products

    def _flat(self, x, name, size, shape, apply):
        x = self.own_array(x, name)
        if x.shape != (size,) and x.shape != (size, 1):
            raise ValueError(
                f"dimension mismatch: {name} must have shape ({size},) or ({size}, 1), "
                f"got {x.shape}"
            )
        y = apply(x.reshape((1, *shape)))
        return y.reshape((-1,) if x.ndim == 1 else (-1, 1))

    def _columns(self, X, name, size, shape, apply):
        X = self.own_array(X, name)
        if X.ndim != 2 or X.shape[0] != size:
            raise ValueError(
                f"dimension mismatch: {name} must have shape ({size}, k), got {X.shape}"
            )
        y = apply(X.T.reshape((X.shape[1], *shape)))
        return y.reshape((X.shape[1], math.prod(y.shape[1:]))).T

    @adapts("x")
    def matvec(self, x: ArrayInput) -> AnyArray:
        """``A x`` for ``x`` of shape ``(n,)`` or ``(n, 1)``."""
        return self._flat(x, "x", self.shape[1], self.input_shape, self.apply)

    @adapts("x")
    def rmatvec(self, x: ArrayInput) -> AnyArray:
        """``A^H x`` for ``x`` of shape ``(m,)`` or ``(m, 1)``."""
        return self._flat(x, "x", self.shape[0], self.output_shape, self.apply_adjoint)

    @adapts("X")
    def matmat(self, X: ArrayInput) -> AnyArray:
        """``A X`` for ``X`` of shape ``(n, k)``."""
        return self._columns(X, "X", self.shape[1], self.input_shape, self.apply)

    @adapts("X")
    def rmatmat(self, X: ArrayInput) -> AnyArray:
        """``A^H X`` for ``X`` of shape ``(m, k)``."""
        return self._columns(
            X, "X", self.shape[0], self.output_shape, self.apply_adjoint
        )

    _matvec, _rmatvec, _matmat, _rmatmat = matvec, rmatvec, matmat, rmatmat

    def _adjoint(self):
        return _composed().AdjointOperator(self)

    def _transpose(self):
        return _composed().TransposedOperator(self)

    @property
    def H(self) -> ShapedOperator:
        """The adjoint operator."""
        return self._adjoint()

    @property
    def T(self) -> ShapedOperator:
        """The transposed operator, without conjugation."""
        return self._transpose()

    @adapts("x")
    def dot(self, x: Any) -> Any:
        """Product with a scalar, an operator, a vector or a matrix.

        A product with an operator or a sparse matrix is an operator.
        """
        x = _operand(x)
        if isinstance(x, ShapedOperator):
            return _composed().ProductOperator(self, x)
        if isinstance(x, LinearOperator):
            return super().dot(x)
        if np.isscalar(x):
            return self.scaled(x)
        x = self.own_array(x, "x")
        return self.matmat(x) if x.ndim == 2 and x.shape[1] != 1 else self.matvec(x)

    def __call__(self, x: Any) -> Any:
        return self.dot(x)

    def __mul__(self, x: Any) -> Any:
        return self.dot(x)

    def __matmul__(self, x: Any) -> Any:
        if np.isscalar(x):
            raise ValueError("Scalar operands are not allowed, use '*' instead")
        return self.dot(x)

    def __rmul__(self, x: Any) -> Any:
        return self.scaled(x) if np.isscalar(x) else self._rdot(x)

    def __rmatmul__(self, x: Any) -> Any:
        if np.isscalar(x):
            raise ValueError("Scalar operands are not allowed, use '*' instead")
        return self._rdot(x)

    @adapts("x")
    def _rdot(self, x):
        x = _operand(x)
        if isinstance(x, ShapedOperator):
            return _composed().ProductOperator(x, self)
        if isinstance(x, LinearOperator):
            return LinearOperator.dot(x, self)
        x = self.own_array(x, "x")
        return self.T.dot(x.T).T

    def scaled(self, factor: Any) -> ShapedOperator:
        """The operator times a number."""
        return _composed().ScaledOperator(self, factor)

    def __add__(self, other: Any) -> Any:
        other = _operand(other)
        if isinstance(other, ShapedOperator):
            return _composed().SumOperator(self, other)
        return super().__add__(other)

    def __neg__(self) -> ShapedOperator:
        return self.scaled(-1)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __truediv__(self, factor: complex) -> ShapedOperator:
        if not np.isscalar(factor):
            raise ValueError("Can only divide a linear operator by a scalar.")
        return self.scaled(1.0 / factor)

    def __pow__(self, power: int) -> ShapedOperator:
        if not np.isscalar(power) or power != int(power) or power < 0:
            return NotImplemented
        if self.shape[0] != self.shape[1]:
            raise ValueError(f"square operator expected, got shape {self.shape}")
        result = _composed().IdentityOperator(self)
        for _ in range(int(power)):
            result = _composed().ProductOperator(self, result)
        return result


_make_inverse: Callable | None = None


def register_inverse(make):
    """Let `ShapedOperator.inverse` return ``make(op, damp, method, rtol, options)``.

    Solvers lie above operators, and nothing here may import them. ``convinv/_solve``,
    where the inverse is defined (`InverseOperator`), calls this when the package is
    imported.
    """
    global _make_inverse
    _make_inverse = make


def is_layer(op) -> bool:
    """Whether `op`, whatever it is, is a convolution or the adjoint of one."""
    return isinstance(op, ShapedOperator) and op.layer is not None


def check_layer(op) -> None:
    """Refuse what is no convolution or the adjoint of one."""
    if not is_layer(op):
        raise TypeError(
            f"op must be a ConvLinearOperator, got {type(op).__name__}{way_out(op)}"
        )


def common_library(operators):
    """The library of operators that are combined, None where any will do."""
    found = [op.xp for op in operators if op.xp is not None]
    for xp in found:
        if xp is not found[0]:
            raise TypeError(
                f"cannot combine operators on {found[0].__name__} and {xp.__name__} "
                "arrays"
            )
    return found[0] if found else None


def _composed():
    """The operators made of others, which are made of this module's class."""
    from . import _composed as composed

    return composed


def __getattr__(name):
    """Pickles made before they had a file of their own look for them here."""
    if name.endswith("Operator"):
        return getattr(_composed(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _operand(x):
    """A sparse matrix, or an operator of another library's own class, as one of ours.

    What else there is, among it SciPy's operators, stays what it is.
    """
    if sparse.issparse(x):
        from ._foreign import MatrixOperator  # which is made of this module's class

        return MatrixOperator(x)
    found = operator_of(x)
    return x if found is None else found
