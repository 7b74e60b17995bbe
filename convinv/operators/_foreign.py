"""Operators of other makers: matrices, SciPy's operators, objects with a product."""

import copy as copying
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .._core.adapters import operator_of, snapshot, way_out
from .._core.arrays import copy, namespace, placement, working_dtype
from ._base import ShapedOperator
from ._batches import batch_of

# what SciPy makes of a matrix and of functions
FROM_MATRIX = type(aslinearoperator(np.zeros((1, 1))))
FROM_FUNCTIONS = type(LinearOperator((1, 1), matvec=lambda x: x, dtype=float))


def as_operator(op):
    """A ShapedOperator from what `solve` takes."""
    if isinstance(op, ShapedOperator):
        return op
    adapted = operator_of(op)
    if adapted is not None:
        return adapted
    op = snapshot(op, "op")
    if isinstance(op, FROM_MATRIX):
        return MatrixOperator(op.A)
    if getattr(op, "ndim", 0) == 2 and not hasattr(op, "matvec"):
        return MatrixOperator(op)
    if hasattr(op, "shape") and hasattr(op, "matvec"):
        return GeneralOperator(op)
    raise TypeError(
        "op must be a ConvLinearOperator, a LinearOperator, a two-dimensional matrix "
        f"or an object with shape and matvec, got {type(op).__name__}{way_out(op)}"
    )


class MatrixOperator(ShapedOperator):
    """A dense or sparse matrix on flat vectors, in a floating dtype.

    Attributes
    ----------
    matrix : array or sparse array
        The user's own where its dtype is a floating one: not to be written to.
    """

    def __init__(self, matrix):
        if isinstance(matrix, np.ma.MaskedArray) and np.ma.is_masked(matrix):
            raise ValueError("op is a masked array; fill its masked entries first")
        self.is_sparse = hasattr(matrix, "tocsr")
        if sparse.issparse(matrix):
            self.xp = np
            if matrix.format in ("dok", "lil"):  # their data are no arrays of numbers
                matrix = matrix.tocsr()
        else:
            self.xp = namespace(matrix.data if self.is_sparse else matrix)
            matrix = np.asarray(matrix) if self.xp is np else matrix
        if len(matrix.shape) != 2:
            raise TypeError(f"op must be two-dimensional, got shape {matrix.shape}")
        name = matrix.dtype if self.xp is np else str(matrix.dtype).rsplit(".", 1)[-1]
        dtype = working_dtype(name, "op")
        self.matrix = self._in(matrix, dtype)
        super().__init__(dtype, (matrix.shape[1],), (matrix.shape[0],))

    def _in(self, matrix, dtype):
        if self.is_sparse or self.xp is np:
            return matrix if matrix.dtype == dtype else matrix.astype(dtype)
        return self.xp.astype(matrix, getattr(self.xp, dtype.name), copy=False)

    def astype(self, dtype):
        """The operator with its matrix in another dtype."""
        return MatrixOperator(self._in(self.matrix, np.dtype(dtype)))

    def _apply(self, X):
        X = self._promoted(X)
        return (self.matrix @ X.T).T if self.is_sparse else X @ self.matrix.T

    def _apply_adjoint(self, Y):
        turned = self._conjugate(self._promoted(Y))
        X = (self.matrix.T @ turned.T).T if self.is_sparse else turned @ self.matrix
        return self._conjugate(X)

    def _promoted(self, array):
        # array API libraries promote as they do
        return super()._promoted(array) if hasattr(array, "astype") else array

    def _conjugate(self, array):
        if self.dtype.kind != "c":  # also right for complex arrays then
            return array
        return array.conj() if self.is_sparse else self.xp.conj(array)


class GeneralOperator(ShapedOperator):
    """Any operator that has products with flat vectors.

    Its items are flat, unless they are given shapes. It may write into what it is
    given, give it back, or give the same memory every time: it works on copies, and
    what it gives is copied. Items of a batch go through its ``matvec`` one by one, as
    1-D arrays, unless it has a ``matmat`` of its own.
    """

    def __init__(self, op, input_shape=None, output_shape=None):
        self.op = op
        self.xp = np if isinstance(op, LinearOperator) else None
        try:
            m, n = (int(size) for size in op.shape)
        except (TypeError, ValueError):
            raise ValueError(f"op must have shape (m, n), got {op.shape!r}") from None
        dtype = getattr(op, "dtype", None)
        name = "float64" if dtype is None else str(dtype).rsplit(".", 1)[-1]
        super().__init__(
            working_dtype(name, "op"), input_shape or (n,), output_shape or (m,)
        )

    @cached_property
    def has_adjoint(self):
        """Whether it can apply its adjoint: SciPy's say so only when asked to."""
        if not isinstance(self.op, LinearOperator):
            return hasattr(self.op, "rmatvec")
        try:
            self.op.rmatvec(np.zeros(self.shape[0], dtype=self.dtype))
        except (NotImplementedError, TypeError, AttributeError):
            return False
        return True

    @cached_property
    def _takes_matrices(self):
        return _has_matmat(self.op, self.shape[1], self.dtype)

    def _apply(self, X):
        X = batch_of(X, self.shape[1:])
        Y = self._product("matvec", "matmat", X, self.shape[0])
        return batch_of(Y, self.output_shape)

    def _apply_adjoint(self, Y):
        Y = batch_of(Y, self.shape[:1])
        X = self._product("rmatvec", "rmatmat", Y, self.shape[1])
        return batch_of(X, self.input_shape)

    def _product(self, one, many, x, length):
        xp, batch = namespace(x), x.shape[0]
        wanted = np.result_type(self.dtype, str(x.dtype).rsplit(".", 1)[-1])
        kind = getattr(xp, wanted.name)
        out = xp.empty((batch, length), dtype=kind, **placement(x))
        if batch > 1 and self._takes_matrices and hasattr(self.op, many):
            given = self._checked(getattr(self.op, many)(copy(x.T)), many, wanted)
            if tuple(given.shape) != (length, batch):
                raise ValueError(
                    f"op's {many} returned shape {tuple(given.shape)}, "
                    f"expected {(length, batch)}"
                )
            out[...] = given.T
            return out
        product = getattr(self.op, one)
        for i in range(batch):
            y = self._checked(product(copy(x[i, ...])), one, wanted)
            shape = tuple(y.shape)
            if shape not in ((length,), (length, 1), (1, length)):
                raise ValueError(
                    f"op's {one} returned shape {shape}, expected {(length,)}"
                )
            out[i, ...] = xp.reshape(y, (length,))
        return out

    def _checked(self, y, name, wanted):
        """What a product gave as an array of numbers that `wanted` can hold."""
        if namespace(y) is None or isinstance(y, np.matrix):
            y = np.asarray(y)
        given = str(y.dtype).rsplit(".", 1)[-1]
        try:
            kind = np.dtype(given).kind
        except TypeError:
            kind = "O"
        if kind not in "biufc" or (kind == "c" and wanted.kind != "c"):
            raise TypeError(
                f"op says that its dtype is {self.dtype}, but its {name} returned an "
                f"array of dtype {given}; give op the dtype of its products"
            )
        return y


class _Asked(Exception):
    """A matrix product has come down to a product with a vector."""


def _has_matmat(op, n, dtype):
    """Whether products with matrices are the operator's own.

    SciPy makes them of products with columns otherwise, which functions that work along
    the last axis take for something else.
    """
    if not isinstance(op, LinearOperator):
        return hasattr(op, "matmat")
    if not isinstance(op, FROM_FUNCTIONS):
        names = {"_matmat", "matmat"}
        maker = next(c for c in type(op).__mro__ if names & set(vars(c)))
        return not maker.__module__.startswith("scipy.")

    def refuse(*args):
        raise _Asked

    probe = copying.copy(op)
    probe.matvec = probe._matvec = refuse
    try:
        probe.matmat(np.zeros((n, 1), dtype))
    except Exception:  # whatever it is: products with vectors are safe
        return False
    return True
