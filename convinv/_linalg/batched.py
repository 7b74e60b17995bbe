"""Stacks of matrices: their checks, and their factors on several threads."""

import contextlib
import math

import numpy as np

from .._core.arrays import namespace, working_dtype
from .._core.blas_threads import one_blas_thread
from .._core.threads import parallel_map, thread_count

# Work (batch m n min(m, n)) below which a second thread costs more than it saves.
SERIAL_WORK = 1e6
# Matrices with a longer shorter side use the threads of the BLAS.
SMALL_SIDE = 256
PIECES = 4  # per thread, so that no thread waits long for the others


def matrices(a, name="a", finite=True):
    """`a` as an array of shape ``(..., m, n)`` of a working dtype."""
    xp = namespace(a)
    if xp is None or isinstance(a, np.matrix):
        a, xp = np.asarray(a), np
    if a.ndim < 2:
        raise ValueError(f"{name} must have shape (..., m, n), got {a.shape}")
    dtype = working_dtype(a.dtype, name)
    if a.dtype != dtype:
        a = a.astype(dtype)
    if finite and xp is np and not np.isfinite(a).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return a


def square(a, name="a"):
    """The Hermitian parts of `matrices`."""
    a = matrices(a, name)
    if a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{name} must have shape (..., n, n), got {a.shape}")
    return (a + adjoint(a)) / 2


def thresholds(threshold, a, name="threshold"):
    """Thresholds in the real dtype of `a`, shaped ``a.shape[:-2]`` or to broadcast."""
    xp = namespace(a)
    if namespace(threshold) is None:
        threshold = np.asarray(threshold)
    if threshold.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real, got dtype {threshold.dtype}")
    if namespace(threshold) is np and not (threshold >= 0).all():
        raise ValueError(f"{name} must not be negative or NaN, got {threshold}")
    try:
        fits = np.broadcast_shapes(threshold.shape, a.shape[:-2]) == a.shape[:-2]
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} must broadcast to the stack of matrices {a.shape[:-2]}, got shape "
            f"{threshold.shape}"
        )
    return xp.asarray(threshold, dtype=real_dtype(a.dtype))


def real_dtype(dtype):
    """The dtype of the singular values."""
    return np.empty(0, dtype).real.dtype


def adjoint(a):
    """The conjugate transpose of each matrix."""
    return a.swapaxes(-1, -2).conj()


def svd(a):
    """The thin factors ``(u, s, vh)`` of each matrix."""
    xp = namespace(a)
    return by_pieces(lambda part: tuple(xp.linalg.svd(part, full_matrices=False)), a)


def eigh(a):
    """Eigenvalues, ascending, and eigenvectors ``(w, v)`` of Hermitian matrices."""
    xp = namespace(a)
    return by_pieces(lambda part: tuple(xp.linalg.eigh(part)), a)


def singular_values(a):
    """The singular values of each matrix, descending."""
    xp = namespace(a)
    return by_pieces(lambda part: (xp.linalg.svd(part, compute_uv=False),), a)[0]


def by_pieces(function, a, *others):
    """The arrays ``function(a, *others)``, on the CPU by pieces of the stack.

    `function` takes stacks ``(B, m, n)`` and arrays of length B and returns a tuple of
    arrays of length B. The pieces run on threads, each with one BLAS thread: for small
    matrices more BLAS threads only cost time.
    """
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    count = math.prod(batch)
    a = a.reshape((count, m, n))
    others = [other.reshape((count, *other.shape[len(batch) :])) for other in others]
    if namespace(a) is not np or min(m, n) > SMALL_SIDE or count == 0:
        parts = function(a, *others)
    else:
        parts = _on_threads(function, count, count * m * n * min(m, n), a, *others)
    return tuple(part.reshape((*batch, *part.shape[1:])) for part in parts)


def _on_threads(function, count, work, *arrays):
    pieces = 1
    if work > SERIAL_WORK and count > 1:
        threads = thread_count()
        pieces = min(count, PIECES * threads) if threads > 1 else 1
    with one_blas_thread if count > 1 else contextlib.nullcontext():
        if pieces == 1:
            return function(*arrays)
        ends = [i * count // pieces for i in range(pieces + 1)]
        tasks = [[a[i:j] for a in arrays] for i, j in zip(ends, ends[1:])]
        found = parallel_map(lambda task: function(*task), tasks)
    return tuple(map(np.concatenate, zip(*found)))
