"""Training pairs from the user, and as rows of matrices."""

import itertools

import numpy as np

from .._core.arrays import contiguous, cupy_module, namespace, working_dtype

BLOCK = 64  # pairs of an iterator or a file that are read together


def library_arrays(X, Y):
    """X and Y as arrays of one library."""
    X, Y = (np.asarray(a) if namespace(a) is None else a for a in (X, Y))
    xp = namespace(X)
    if xp is not namespace(Y):
        raise TypeError(
            "X and Y must be arrays of one library, got "
            f"{type(X).__module__}.{type(X).__name__} and "
            f"{type(Y).__module__}.{type(Y).__name__}"
        )
    if xp is not np and xp is not cupy_module():
        raise TypeError(f"X and Y must be NumPy or CuPy arrays, got {type(X).__name__}")
    return X, Y


def power_of_two(array, name):
    """The power of two that scales the largest entry to about 1."""
    if np.dtype(array.dtype).kind == "c":
        largest = float(abs(array).max())
    else:  # without a temporary array of this size
        largest = max(abs(float(array.max())), abs(float(array.min())))
    if not np.isfinite(largest):
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    exponent = -int(np.frexp(largest)[1])
    return 2.0 ** min(max(exponent, -1000), 1000)


def times(array, scale):
    """``array * scale`` for a power of two that may be outside its dtype's range."""
    exponent = int(np.frexp(scale)[1]) - 1
    for part in (exponent // 2, exponent - exponent // 2):
        array = array * 2.0**part
    return array


def blocks(X, Y):
    """The pairs in blocks ``(X, Y)`` with the pairs along the first axis.

    Arrays in memory are one block. Without Y, X is an iterable of pairs.
    """
    if Y is not None:
        if any(isinstance(a, np.memmap) for a in (X, Y)):
            for i in range(0, len(X), BLOCK):
                yield np.asarray(X[i : i + BLOCK]), np.asarray(Y[i : i + BLOCK])
            return
        yield X, Y
        return
    if namespace(X) is not None or not hasattr(X, "__iter__"):
        raise TypeError(
            "Y is missing; without it X must be an iterable of pairs (x, y), got "
            f"{type(X).__name__}"
        )
    pairs = iter(X)
    while block := list(itertools.islice(pairs, BLOCK)):
        yield tuple(_stack(block, part) for part in range(2))


def _stack(block, part):
    try:
        items = [pair[part] for pair in block]
    except (TypeError, IndexError):
        raise TypeError("X must be an iterable of pairs (x, y)") from None
    xp = namespace(items[0]) or np
    return xp.stack([xp.asarray(item) for item in items])


class Side:
    """Converts images, or data, to rows of a matrix and back.

    With weights w, rows are multiplied by ``sqrt(w)``, so that plain inner products of
    rows are the weighted ones of images. Rows are scaled by a power of two.
    """

    def __init__(self, array, name, weights):
        xp = namespace(array)
        self.name, self.shape = name, tuple(array.shape[1:])
        if 0 in array.shape:
            raise ValueError(f"{name} must not be empty, got shape {array.shape}")
        working_dtype(array.dtype, name)
        self.scale = power_of_two(array, name)
        self.root = None
        if weights is not None:
            weights = np.asarray(weights, dtype=float)
            try:
                weights = np.broadcast_to(weights, self.shape)
            except ValueError:
                raise ValueError(
                    f"the weights of {name} must have shape {self.shape}, or one that "
                    f"broadcasts to it, got {weights.shape}"
                ) from None
            if not (np.isfinite(weights).all() and (weights > 0).all()):
                raise ValueError(f"the weights of {name} must be positive and finite")
            self.root = xp.asarray(np.sqrt(weights).ravel())

    def rows(self, array):
        """A batch of shape (N, *shape) as rows."""
        if tuple(array.shape[1:]) != self.shape:
            raise ValueError(
                f"{self.name} must have shape (N, {', '.join(map(str, self.shape))}) "
                f"as the first pairs had, got {array.shape}"
            )
        dtype = working_dtype(array.dtype, self.name)
        power_of_two(array, self.name)  # raises for non-finite numbers
        rows = contiguous(array).reshape((array.shape[0], -1)).astype(dtype)
        return self.weighted(times(rows, self.scale))

    def weighted(self, rows):
        if self.root is None:
            return rows
        return rows * self.root.astype(rows.real.dtype)

    def unweighted(self, rows):
        if self.root is None:
            return rows
        return rows / self.root.astype(rows.real.dtype)
