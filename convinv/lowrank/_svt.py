"""Soft thresholding of singular values and of eigenvalues."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .._core.arrays import copy, namespace
from .._core.typing import AnyArray, ArrayInput
from .._core.validation import choice
from .._linalg.batched import (
    adjoint,
    by_pieces,
    matrices,
    real_dtype,
    singular_values,
    square,
    thresholds,
)

FORMS = ("general", "hermitian", "psd")
# The eigenvalues of A^H A have a rounding error of s_1^2, which gives an error of eps
# s_1 (s_1 / 2 threshold) in the result: no more than that of an SVD up to this ratio.
# Single precision is squared in double, where a larger ratio does no harm.
RATIO = {8: 16.0, 4: 2.0**20}
# The range of norms whose fourth powers neither overflow nor underflow.
LEAST, MOST = 1e-60, 1e60


def svt(
    a: ArrayInput,
    threshold: ArrayInput,
    *,
    form: Literal["general", "hermitian", "psd"] = "general",
) -> AnyArray:
    r"""Soft-threshold the singular values of each matrix of a stack.

    With ``A = U diag(s) V^H`` the result is ``U diag(max(s - threshold, 0)) V^H``, the
    proximal operator of ``threshold`` times the nuclear norm.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        One matrix or a stack, real or complex, in single or double precision, of NumPy
        or CuPy. It is not modified.
    threshold : float or array_like
        Not negative; broadcasts to the stack ``a.shape[:-2]``.
    form : {"general", "hermitian", "psd"}
        For square matrices, whose Hermitian part is used: "hermitian" thresholds the
        magnitudes of the eigenvalues (the same result in less time), "psd" gives
        ``max(w - threshold, 0)`` of the eigenvalues w, the proximal operator of
        ``threshold`` times the trace on positive semidefinite matrices.

    Returns
    -------
    array, shape (..., m, n)
        In the dtype of `a`.

    Raises
    ------
    ValueError
        For NaN or infinity in `a` (not tested on a device), negative thresholds, shapes
        that do not fit, or an unknown `form`.
    TypeError
        For dtypes that are not numbers, or a complex threshold.

    Notes
    -----
    The cost is that of one singular value decomposition per matrix. On the CPU threads
    divide the stack. If the largest singular value is at most 16 times the threshold
    (or the precision is single), the eigenvectors of the smaller of ``A^H A`` and
    ``A A^H`` are as accurate for this purpose and cost less, and are used instead,
    except on a device.

    References
    ----------
    J.-F. Cai, E. J. Candes, Z. Shen, "A singular value thresholding algorithm for
    matrix completion", SIAM J. Optim. 20 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.lowrank import svt
    >>> svt([[3.0, 0.0], [0.0, 1.0]], 2.0)
    array([[1., 0.],
           [0., 0.]])
    >>> stack = np.random.default_rng(0).standard_normal((5, 4, 3))
    >>> np.linalg.matrix_rank(svt(stack, 2.0)).tolist()
    [1, 1, 0, 2, 1]
    """
    if check_form(form) != "general":
        return _of_eigenvalues(square(a), threshold, form)
    a = matrices(a)
    xp = namespace(a)
    tau = xp.broadcast_to(thresholds(threshold, a), a.shape[:-2])
    if a.size == 0:
        return copy(a)
    return by_pieces(_shrink, a, tau)[0]


def check_form(form):
    """`form`, if it is one."""
    return choice(form, "form", FORMS)


def _of_eigenvalues(a, threshold, form):
    xp = namespace(a)
    tau = xp.broadcast_to(thresholds(threshold, a), a.shape[:-2])
    if a.size == 0:
        return copy(a)

    def shrink(a, tau):
        w, v = xp.linalg.eigh(a)
        kept = shrunk(w, tau[:, None], form)
        return ((v * kept[:, None, :]) @ adjoint(v),)

    return by_pieces(shrink, a, tau)[0]


def shrunk(w, tau, form):
    """Thresholded eigenvalues."""
    xp = namespace(w)
    if form == "psd":
        return xp.maximum(w - tau, 0)
    return xp.copysign(xp.maximum(abs(w) - tau, 0), w)


def _shrink(a, tau):
    xp = namespace(a)
    if xp is not np:
        return (_by_svd(a, tau),)
    gram = _gram(a)
    suited = _suited(a, gram, tau)
    if suited.all():
        return (_by_gram(a, gram, tau),)
    if not suited.any():
        return (_by_svd(a, tau),)
    result = np.empty_like(a)
    result[suited] = _by_gram(a[suited], gram[suited], tau[suited])
    result[~suited] = _by_svd(a[~suited], tau[~suited])
    return (result,)


def _gram(a):
    """``A^H A`` or ``A A^H``, the smaller of the two, in double precision."""
    wide = a.astype(np.result_type(a.dtype, np.float64), copy=False)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        tall = a.shape[-2] >= a.shape[-1]
        return adjoint(wide) @ wide if tall else wide @ adjoint(wide)


def _suited(a, gram, tau):
    """The matrices for which the Gram matrix is as accurate as an SVD."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.sum(np.abs(gram) ** 2, axis=(-2, -1))  # the sum of all s^4
        largest = squares**0.25  # at least s_1
    safe = (largest > LEAST) & (largest < MOST)
    ratio = RATIO[real_dtype(a.dtype).itemsize]
    return safe & (largest <= ratio * tau.astype(float))


def _by_gram(a, gram, tau):
    w, v = np.linalg.eigh(gram)
    s = np.sqrt(np.maximum(w, 0))
    tau = tau[:, None].astype(float)
    above = s > tau
    gain = np.where(above, 1 - tau / np.where(above, s, 1), 0)
    filter_ = ((v * gain[:, None, :]) @ adjoint(v)).astype(a.dtype, copy=False)
    return a @ filter_ if a.shape[-2] >= a.shape[-1] else filter_ @ a


def _by_svd(a, tau):
    xp = namespace(a)
    u, s, vh = xp.linalg.svd(a, full_matrices=False)
    kept = xp.maximum(s - tau[:, None], 0)
    return (u * kept[:, None, :]) @ vh


def nuclear_norm(a: ArrayInput) -> AnyArray:
    """The sum of the singular values of each matrix.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        One matrix or a stack.

    Returns
    -------
    array, shape (...)
        One number per matrix.

    Raises
    ------
    ValueError, TypeError
        As `svt`.

    Examples
    --------
    >>> from convinv.lowrank import nuclear_norm
    >>> float(nuclear_norm([[3.0, 0.0], [0.0, -1.0]]))
    4.0
    """
    return singular_values(matrices(a)).sum(axis=-1)
