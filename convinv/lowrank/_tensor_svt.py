"""Soft thresholding of third-order tensors, slice by slice in a transform domain."""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np

from .._core.arrays import namespace
from .._core.typing import AnyArray, ArrayInput
from .._core.validation import choice
from .._linalg.batched import matrices, real_dtype, singular_values
from ._svt import svt

TRANSFORMS = ("dft", "dct")


def tensor_svt(
    x: ArrayInput, threshold: ArrayInput, *, transform: Literal["dft", "dct"] = "dft"
) -> AnyArray:
    """Soft-threshold the singular values of a tensor's slices after a transform.

    The transform along the last axis is unitary, so that this is the proximal operator
    of ``threshold`` times `tensor_nuclear_norm`.

    Parameters
    ----------
    x : array_like, shape (..., m, n, k)
        One tensor or a stack, real or complex. It is not modified.
    threshold : float or array_like
        Not negative; broadcasts to the stack ``x.shape[:-3]``.
    transform : {"dft", "dct"}
        The orthonormal discrete Fourier transform, or discrete cosine transform of the
        second kind, along the last axis.

    Returns
    -------
    array, shape (..., m, n, k)
        In the dtype of `x`: real for real tensors.

    Raises
    ------
    ValueError, TypeError
        As `svt`, or for an unknown `transform`.

    Notes
    -----
    The cost is that of k singular value decompositions of ``m x n`` matrices. For real
    data the second half of the Fourier transform is the conjugate of the first, so that
    ``k // 2 + 1`` suffice.

    References
    ----------
    C. Lu et al., "Tensor robust principal component analysis with a new tensor nuclear
    norm", IEEE Trans. Pattern Anal. Mach. Intell. 42 (2020). Its transform is not
    normalized and its norm is divided by k: for equal thresholds the operator is the
    same.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.lowrank import tensor_svt
    >>> x = np.ones((2, 2, 4))  # one slice that is not zero, of norm 4
    >>> tensor_svt(x, 1.0)[0, 0].round(12)
    array([0.75, 0.75, 0.75, 0.75])
    """
    x = tensors(x, transform)
    xp = namespace(x)
    if namespace(threshold) is None:
        threshold = np.asarray(threshold)
    slices, _ = forward(x, transform)
    slices = svt(slices, xp.asarray(threshold)[..., None])
    return backward(slices, x, transform)


def tensor_nuclear_norm(
    x: ArrayInput, *, transform: Literal["dft", "dct"] = "dft"
) -> AnyArray:
    """The sum of the singular values of a tensor's slices after a unitary transform.

    Parameters
    ----------
    x : array_like, shape (..., m, n, k)
        One tensor or a stack.
    transform : {"dft", "dct"}
        See `tensor_svt`.

    Returns
    -------
    array, shape (...)
        One number per tensor.

    Raises
    ------
    ValueError, TypeError
        As `tensor_svt`.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.lowrank import tensor_nuclear_norm
    >>> float(tensor_nuclear_norm(np.ones((2, 2, 4))))
    4.0
    """
    x = tensors(x, transform)
    slices, counts = forward(x, transform)
    sums = singular_values(slices).sum(axis=-1)
    return (sums * counts).sum(axis=-1)


def tensors(x, transform):
    """`x` as an array of shape ``(..., m, n, k)``."""
    choice(transform, "transform", TRANSFORMS)
    x = matrices(x, "x")
    if x.ndim < 3 or x.shape[-1] == 0:
        raise ValueError(f"x must have shape (..., m, n, k) with k > 0, got {x.shape}")
    return x


def forward(x, transform):
    """Slices ``(..., k', m, n)``, and the multiplicity of each."""
    xp = namespace(x)
    k = x.shape[-1]
    counts = xp.ones(k, dtype=real_dtype(x.dtype))
    if transform == "dct":
        y = x @ xp.asarray(_cosines(k).T, dtype=counts.dtype)
    elif x.dtype.kind == "c":
        y = xp.fft.fft(x, axis=-1, norm="ortho")
    else:
        y = xp.fft.rfft(x, axis=-1, norm="ortho")
        counts = counts[: y.shape[-1]]
        counts[1 : (k + 1) // 2] = 2  # all but the first and, for even k, the last
    return xp.ascontiguousarray(xp.moveaxis(y, -1, -3)), counts


def backward(slices, x, transform):
    """The tensor like `x` with these slices."""
    xp = namespace(x)
    y = xp.moveaxis(slices, -3, -1)
    if transform == "dct":
        return y @ xp.asarray(_cosines(x.shape[-1]), dtype=real_dtype(x.dtype))
    if x.dtype.kind == "c":
        return xp.fft.ifft(y, axis=-1, norm="ortho").astype(x.dtype, copy=False)
    y = xp.fft.irfft(y, n=x.shape[-1], axis=-1, norm="ortho")
    return y.astype(x.dtype, copy=False)


@functools.lru_cache(maxsize=32)
def _cosines(k):
    """The orthonormal transform as a matrix, which is fast for few samples."""
    rows, columns = np.arange(k)[:, None], np.arange(k)[None, :]
    matrix = np.sqrt(2 / k) * np.cos(np.pi * rows * (2 * columns + 1) / (2 * k))
    matrix[0] = np.sqrt(1 / k)
    matrix.flags.writeable = False
    return matrix
