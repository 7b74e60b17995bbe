"""Denoising by total variation: the dual problem by an accelerated gradient method."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from .._core.arrays import copy, namespace
from .._core.result import ConvergenceWarning
from .._core.typing import AnyArray, ArrayInput
from .._linalg.batched import matrices, real_dtype

EVERY = 10  # iterations between two tests of the duality gap
FLOOR = 4  # smallest gap that is known, in rounding errors of its terms


def total_variation(
    x: ArrayInput, *, isotropic: bool = True, axes: Sequence[int] = (-2, -1)
) -> AnyArray:
    """The sum of the magnitudes of the differences of neighbors.

    Parameters
    ----------
    x : array_like
        Real or complex, any number of axes from 1.
    isotropic : bool
        Whether the differences along all axes at a sample count as the norm of a
        vector, or separately.
    axes : int or tuple of int
        The axes along which neighbors differ, without channels, for example.

    Returns
    -------
    float or array of shape ()

    Raises
    ------
    ValueError, TypeError
        If `axes` does not fit `x`, or `x` holds no finite numbers.

    Examples
    --------
    >>> from convinv.proximal import total_variation
    >>> step = [[0.0, 0.0], [0.0, 1.0]]
    >>> float(total_variation(step, isotropic=False))
    2.0
    """
    x, axes = image(x, axes)
    return magnitude(differences(x, axes), isotropic).sum()


def prox_total_variation(
    x: ArrayInput,
    weight: float,
    *,
    isotropic: bool = True,
    axes: Sequence[int] = (-2, -1),
    rtol: float = 1e-4,
    maxiter: int = 1000,
) -> AnyArray:
    """Denoise: the minimizer of ``||z - x||^2 / 2 + weight * total_variation(z)``.

    Parameters
    ----------
    x : array_like
        Real or complex. It is not modified.
    weight : float
        Not negative, the same for all of `x`.
    isotropic, axes
        See `total_variation`.
    rtol : float
        The iteration stops when the result is known to be within ``rtol ||x||`` of the
        minimizer, or at the limit of rounding: about 1e-8 in double precision, and 3e-4
        in single.
    maxiter : int
        Most iterations.

    Returns
    -------
    array
        Like `x`.

    Raises
    ------
    ValueError, TypeError
        As `total_variation`, or for a negative weight.

    Warns
    -----
    ConvergenceWarning
        If `maxiter` iterations were not enough.

    Notes
    -----
    The fast gradient projection of Beck and Teboulle on the dual problem, restarted
    when it overshoots. The duality gap bounds the distance to the minimizer:
    ``||z - z*||^2 <= 2 gap``, tested every ten iterations. An iteration costs about ten
    passes over `x` per axis and holds three arrays per axis besides x.

    References
    ----------
    A. Beck, M. Teboulle, "Fast gradient-based algorithms for constrained total
    variation image denoising and deblurring problems", IEEE Trans. Image Process. 18
    (2009).

    Examples
    --------
    Two samples move toward each other by the weight:

    >>> from convinv.proximal import prox_total_variation
    >>> prox_total_variation([0.0, 1.0], 0.2, axes=0).round(3)
    array([0.2, 0.8])
    """
    x, axes = image(x, axes)
    projection = DualProjection(isotropic, axes, rtol, maxiter)
    z = projection(x, weight)
    if not projection.success:
        warnings.warn(
            f"prox_total_variation: {maxiter} iterations were not enough for rtol="
            f"{rtol}; raise maxiter or rtol",
            ConvergenceWarning,
            stacklevel=2,
        )
    return z


class DualProjection:
    """The proximal operator of total variation, by fast gradient projection.

    The dual variable is found by accelerated projected gradient steps (Beck and
    Teboulle 2009), beginning with that of the last call: similar data have similar dual
    variables, so that a method that calls it repeatedly needs few inner iterations.
    """

    def __init__(self, isotropic, axes, rtol, maxiter):
        self.isotropic, self.axes = isotropic, axes
        self.rtol, self.maxiter = rtol, maxiter
        self.p, self.success, self.nit = None, True, 0

    def __call__(self, x, weight):
        xp = namespace(x)
        weight = xp.asarray(weight, dtype=real_dtype(x.dtype))
        if weight.shape != ():
            raise ValueError(f"weight must be a number, got shape {weight.shape}")
        self.success, self.nit = True, 0
        if xp is np:
            if not 0 <= weight < np.inf:
                raise ValueError(f"weight must be finite and not negative: {weight}")
            if weight == 0 or x.size == 0:
                return copy(x)
        p = self.p
        if p is None or p.shape[1:] != x.shape or p.dtype != x.dtype:
            p = xp.zeros((len(self.axes), *x.shape), dtype=x.dtype)
        self.p, z = self._ascend(x, weight, p)
        return z

    def _ascend(self, x, weight, p):
        """The dual variable, and its minimizer."""
        xp, axes = namespace(x), self.axes
        step = 1 / (4 * len(axes) * weight)
        tolerance = (self.rtol**2 / 2) * xp.sum(abs(x) ** 2)
        q, t = p, 1.0
        for self.nit in range(1, self.maxiter + 1):
            z = x - weight * divergence(q, axes)
            new = self._project(q + step * differences(z, axes))
            if self.nit % EVERY == 0:
                z = x - weight * divergence(new, axes)
                if self._holds(z, new, weight, tolerance):
                    return new, z
                if bool(xp.sum(((q - new) * (new - p).conj()).real) > 0):
                    t = 1.0
            later = (1 + math.sqrt(1 + 4 * t * t)) / 2
            q = new + ((t - 1) / later) * (new - p)
            p, t = new, later
        z = x - weight * divergence(p, axes)
        self.success = self._holds(z, p, weight, tolerance)
        return p, z

    def _project(self, p):
        xp = namespace(p)
        size = magnitude(p, self.isotropic)
        return p / xp.maximum(size, 1)

    def _holds(self, z, p, weight, tolerance):
        """Whether the gap of the objectives is small, or only rounding errors."""
        xp = namespace(z)
        d = differences(z, self.axes)
        size = xp.sum(magnitude(d, self.isotropic), dtype=np.float64)
        gap = weight * abs(size - xp.sum((d * p.conj()).real, dtype=np.float64))
        terms = size + xp.sum(abs(z), dtype=np.float64)  # d is the sum of these
        floor = FLOOR * float(np.finfo(z.dtype).eps) * weight * terms
        return bool(gap <= xp.maximum(tolerance, floor))


def image(x, axes):
    """`x` as an array, and the axes along which it has neighbors."""
    xp = namespace(x)
    x = np.asarray(x) if xp is None else x
    axes = (axes,) if isinstance(axes, (int, np.integer)) else tuple(axes)
    try:
        found = tuple(range(x.ndim)[axis] for axis in axes)
    except (IndexError, TypeError):
        found = ()
    if not found or len(set(found)) < len(found):
        raise ValueError(
            f"axes must be different axes of x, of shape {tuple(x.shape)}, got {axes}"
        )
    return matrices(x[None, None], "x")[0, 0], found


def differences(x, axes):
    """Forward differences, 0 at the end: ``(len(axes), *x.shape)``."""
    xp = namespace(x)
    d = xp.zeros((len(axes), *x.shape), dtype=x.dtype)
    for row, axis in zip(d, axes):
        low, high = _ends(x.ndim, axis)
        row[low] = x[high] - x[low]
    return d


def divergence(p, axes):
    """The adjoint of `differences`."""
    xp = namespace(p)
    x = xp.zeros(p.shape[1:], dtype=p.dtype)
    for row, axis in zip(p, axes):
        low, high = _ends(x.ndim, axis)
        x[high] += row[low]
        x[low] -= row[low]
    return x


def _ends(ndim, axis):
    low, high = [slice(None)] * ndim, [slice(None)] * ndim
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return tuple(low), tuple(high)


def magnitude(d, isotropic):
    """Per sample, broadcastable to `d`."""
    xp = namespace(d)
    if not isotropic:
        return abs(d)
    squares = d * d if d.dtype.kind != "c" else d.real**2 + d.imag**2
    return xp.sqrt(xp.sum(squares, axis=0, keepdims=True))
