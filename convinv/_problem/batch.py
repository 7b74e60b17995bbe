"""The shapes of the user's b and x, and the flat batches that methods work on."""

import math
import warnings

import numpy as np
from scipy import sparse

from .. import kernels
from .._core.arrays import (
    check_device,
    contiguous,
    namespace,
    placement,
    working_dtype,
)


class Layout:
    """Converts b and x0 to ``(B, m)`` and ``(B, n)`` arrays, and x back.

    Attributes
    ----------
    b : array, shape (B, m)
        The user's own memory if its order and dtype allow that: read-only.
    extent : tuple of array, shape (B,)
        The result of the vector kernel `extent` for b.
    x0 : array, shape (B, n), or None
    dtype : dtype
        The working dtype, ``result_type(op, b, x0)``.
    batch : int
    batch_shape : tuple of int
    batched : bool
        Whether the user gave a batch.
    taken : slice
        The items of the user's batch that it holds.
    """

    def __init__(self, op, b, x0, columns=None):
        b = _plain(b, "b")
        self.xp = namespace(b)
        if op.xp is not None and op.xp is not self.xp:
            raise TypeError(
                f"b must be a {op.xp.__name__} array, as the operator's kernel is, "
                f"got {type(b).__module__}.{type(b).__name__}"
            )
        check_device(b, "b")
        for layer in op.convolutions:
            check_device(layer.kernel, "the operator")
        self.input_shape, self.columns = op.input_shape, False
        (m, n), shape, wanted = op.shape, tuple(b.shape), tuple(op.output_shape)
        dims = len(wanted)
        shaped = shape[max(len(shape) - dims, 0) :] == wanted
        in_columns = len(shape) == 2 and shape[0] == m
        if columns is None and dims == 1 and m > 1 and shaped and in_columns:
            warnings.warn(
                f"b of shape {shape} is read as {m} right-hand sides in its rows; say "
                "columns=False, or columns=True if they are its columns",
                stacklevel=4,
            )
        shaped = shaped and columns is not True
        in_columns = in_columns and columns is not False
        if shaped:
            self.batch_shape = shape[: len(shape) - dims]
            self.x_shape = (*self.batch_shape, *op.input_shape)
        elif shape == (m,):
            self.batch_shape, self.x_shape = (), (n,)
        elif in_columns:
            self.columns = True
            self.batch_shape, self.x_shape = (shape[1],), (n, shape[1])
        else:
            raise ValueError(_shapes_taken(m, wanted, columns) + f", got {shape}")
        self.batched = self.batch_shape != ()
        self.batch = math.prod(self.batch_shape)
        self.taken = slice(0, self.batch)
        self._data_shape, self._item_shape = shape, wanted
        self.whole_shape = self.x_shape
        if self.batch == 0:
            raise ValueError(f"b holds no right-hand side: its shape is {shape}")
        dtypes = [op.dtype, _dtype(self.xp, b, "b")]
        if x0 is not None:
            x0 = self._starting_point(x0)
            dtypes.append(_dtype(self.xp, x0, "x0"))
        self.dtype = np.result_type(*dtypes)
        self.kind = getattr(self.xp, self.dtype.name)
        b = b.T if self.columns else b
        self.b = self._flat(b, m)
        self.extent = self._extent(self.b, "b")
        self.x0 = None
        if x0 is not None:
            self.x0 = self._flat(x0, n)
            self._extent(self.x0, "x0")

    def _starting_point(self, x0):
        x0 = _plain(x0, "x0") if self.xp is np else x0
        if namespace(x0) is not self.xp:
            raise TypeError(
                f"x0 must be an array of the same library as b, got {type(x0).__name__}"
            )
        item = (*self.x_shape[:1],) if self.columns else self.input_shape
        flat = (math.prod(self.input_shape),)
        if tuple(x0.shape) == self.x_shape:
            return x0.T if self.columns else x0
        if tuple(x0.shape) in (item, flat):
            wide = self.xp.reshape(x0, (1, -1))
            return self.xp.broadcast_to(wide, (self.batch, wide.shape[1]))
        raise ValueError(f"x0 must have shape {self.x_shape}, got {tuple(x0.shape)}")

    def like_data(self, values, name):
        """A number, or an array like b or one item of it, as ``(1 or B, 1 or m)``."""
        item = self._item_shape
        return self._like(values, name, self._data_shape, item, "b")

    def like_unknowns(self, values, name):
        """A number, or an array like x or one item of it, as ``(1 or B, 1 or n)``."""
        return self._like(values, name, self.whole_shape, self.input_shape, "x")

    def _like(self, values, name, whole, item, like):
        xp = self.xp
        values = _plain(values, name) if xp is np else values
        if namespace(values) is None:
            values = xp.asarray(values, **placement(self.b))
        if namespace(values) is not xp:
            raise TypeError(
                f"{name} must be a number or an array of the same library as b, got "
                f"{type(values).__name__}"
            )
        if _dtype(xp, values, name).kind == "c":
            raise ValueError(f"{name} must be real, got {values.dtype}")
        shape, length = tuple(values.shape), math.prod(item)
        if shape == ():
            flat = xp.reshape(values, (1, 1))
        elif shape in (tuple(item), (length,)):
            flat = xp.reshape(values, (1, length))
        elif shape == tuple(whole):
            values = values.T if self.columns else values
            flat = xp.reshape(values, (-1, length))[self.taken, :]
        else:
            raise ValueError(
                f"{name} must be a number or have the shape of {like}, {tuple(whole)}, "
                f"or that of one item, {tuple(item)}, got {shape}"
            )
        return xp.astype(flat, xp.float64)

    def _flat(self, array, length):
        """A C-contiguous array of shape (B, length) in the working dtype."""
        xp = self.xp
        array = xp.reshape(
            xp.astype(array, self.kind, copy=False), (self.batch, length)
        )
        if xp is np:  # other kinds of array would compile the kernels again
            return np.require(array, requirements="CAWE")
        return contiguous(array)

    def _extent(self, array, name):
        """The largest magnitudes and squared norms; raises for non-finite numbers."""
        extent = kernels.load("vectors", self.xp).extent(array)
        if not bool(self.xp.all(self.xp.isfinite(extent[0]))):
            raise ValueError(
                f"{name} holds NaN or infinity; to leave out unknown entries of b, "
                "pass mask=isfinite(b) to solve"
            )
        return extent

    def restore(self, x):
        """A flat ``(B, n)`` result in the user's shape."""
        return x.T if self.columns else self.xp.reshape(x, self.x_shape)

    def items(self, values):
        """A host ``(B,)`` array in the batch's shape; a scalar without a batch."""
        return values.reshape(self.batch_shape) if self.batched else values[0].item()


def _dtype(xp, array, name):
    name_of = str(array.dtype).rsplit(".", 1)[-1]
    return working_dtype(array.dtype if xp is np else name_of, name)


def _plain(array, name):
    """The user's argument as an array of its library, without a mask."""
    if sparse.issparse(array):
        return array.toarray()
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise ValueError(
                f"{name} is a masked array, {np.ma.count_masked(array)} of whose "
                "entries, which would be taken for numbers; fill them, or leave out "
                "entries of b by mask=~numpy.ma.getmaskarray(b) of solve"
            )
        return array.data
    if namespace(array) is not None and not isinstance(array, np.matrix):
        return array
    try:
        return np.asarray(array)
    except ValueError as error:  # lists of lists of several lengths
        raise ValueError(f"{name} is no array of numbers: {error}") from None


def _shapes_taken(m, wanted, columns):
    if columns:
        return f"b must have shape ({m}, k), as columns=True says"
    last = "" if columns is False else f" or ({m}, k)"
    return f"b must have shape ({m},), {wanted}, (..., {str(wanted)[1:-1]}){last}"
