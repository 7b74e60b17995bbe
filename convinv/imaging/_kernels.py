"""estimate_psf() and match_psf(): the blur between two pictures, or two PSFs."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular
from scipy.optimize import minimize_scalar

from .._core.adapted_calls import adapts
from .._core.arrays import to_numpy
from .._core.geometry import make_geometry
from .._core.typing import ArrayInput, PerAxis
from .._core.validation import choice, integer, number
from ..learning._normal_equations import gram, padded, right_sides
from . import _pictures

LARGEST = 5000  # pixels of a point spread function whose matrix is diagonalized
LOWEST, HIGHEST = 1e-7, 1e4  # weights tried, per root of the largest eigenvalue
ROUNDING = 1e-13  # of an eigenvalue, per size of the largest


@adapts("before")
def estimate_psf(
    before: ArrayInput,
    after: ArrayInput,
    size: PerAxis,
    strength: float | Literal["auto"] = "auto",
    *,
    channel_axis: int | None = None,
    preserve_range: bool = False,
) -> np.ndarray:
    """The point spread function that made one picture of another.

    Minimizes ``||before * psf - after||^2 + strength^2 ||gradient of psf||^2`` over the
    pixels of the frame that nothing beyond it reaches.

    Parameters
    ----------
    before, after : array_like
        A sharp picture, and what a blur made of it, of one shape and aligned; noise in
        the second.
    size : int or tuple of int
        Pixels of the point spread function along each axis.
    strength : float or "auto"
        "auto" takes the minimum of generalized cross-validation.
    channel_axis, preserve_range
        As `deconvolve` has them. All channels have one point spread function.

    Returns
    -------
    ndarray, shape (size, size) or size
        With its center at ``size // 2``. Its sum is the ratio of the brightnesses.

    Raises
    ------
    ValueError, TypeError
        If the arguments do not fit each other.

    See Also
    --------
    match_psf : The kernel between two point spread functions.
    convinv.learning.fit_kernel : Layers with channels, and error bars.

    Examples
    --------
    >>> from convinv import gallery, imaging
    >>> sharp = gallery.image("camera", 128)[0]
    >>> psf = gallery.motion_kernel(9, rng=0)
    >>> found = imaging.estimate_psf(sharp, imaging.blur(sharp, psf), 9)
    >>> bool(abs(found - psf).max() < 1e-3 * psf.max())
    True
    """
    shape = np.shape(before)
    if np.shape(after) != shape:
        raise ValueError(
            f"before and after must have the same shape, got {shape} and "
            f"{np.shape(after)}"
        )
    axes = len(shape) - (channel_axis is not None)
    given: Any = size
    taps = (given,) * axes if np.ndim(given) == 0 else tuple(given)
    if len(taps) != axes or not 1 <= axes <= 3:
        raise ValueError(
            f"size must be an integer or one for each of the {axes} axes of the "
            f"pictures, which have one to three beside the channels, got {size!r}"
        )
    taps = tuple(integer(k, "size", 1) for k in taps)
    pair = [
        _pictures.read(image, axes, channel_axis, preserve_range, name=name)
        for image, name in ((before, "before"), (after, "after"))
    ]
    if any(picture.used is not None for picture in pair):
        raise ValueError("before and after must have a value in every pixel")
    x, y = (
        to_numpy(picture.data).reshape(-1, *picture.layout.size) for picture in pair
    )
    if any(n < k for n, k in zip(x.shape[1:], taps)):
        raise ValueError(
            f"size must not exceed that of the pictures, {x.shape[1:]}, got {taps}"
        )
    inner = tuple(slice(k - 1 - k // 2, n - k // 2) for n, k in zip(x.shape[1:], taps))
    return _kernel(x, y[(slice(None), *inner)], taps, strength)


@adapts("psf_a")
def match_psf(
    psf_a: ArrayInput,
    psf_b: ArrayInput,
    size: PerAxis | None = None,
    strength: float | Literal["auto"] = "auto",
) -> np.ndarray:
    """The kernel that turns one point spread function into another, by convolution.

    Parameters
    ----------
    psf_a, psf_b : array_like
        The sharper and the broader of two, with the same number of axes. What they do
        not hold is 0.
    size : int or tuple of int, optional
        Of the kernel, by default that of `psf_b`.
    strength : float or "auto"
        As `estimate_psf` has it.

    Returns
    -------
    ndarray
        A kernel ``k`` for which ``scipy.ndimage.convolve(psf_a, k)`` is `psf_b`, if
        both have their center at ``n // 2`` along each axis.

    Raises
    ------
    ValueError, TypeError
        If the arguments do not fit each other.

    Examples
    --------
    >>> from convinv import gallery, imaging
    >>> sharp = gallery.gaussian_kernel(25, 1.5)
    >>> broad = gallery.gaussian_kernel(25, 2.5)
    >>> kernel = imaging.match_psf(sharp, broad)
    >>> bool(abs(kernel - gallery.gaussian_kernel(25, 2.0)).max() < 1e-3)
    True
    """
    a, b = (np.asarray(to_numpy(p), np.float64) for p in (psf_a, psf_b))
    if a.ndim != b.ndim or not 1 <= a.ndim <= 3 or 0 in a.shape + b.shape:
        raise ValueError(
            "psf_a and psf_b must have the same number of axes, one to three, got "
            f"shapes {a.shape} and {b.shape}"
        )
    given: Any = b.shape if size is None else size
    taps = (given,) * b.ndim if np.ndim(given) == 0 else tuple(given)
    if len(taps) != b.ndim:
        raise ValueError(f"size must have one entry for each axis, got {size!r}")
    taps = tuple(integer(k, "size", 1) for k in taps)
    # Output i of b's frame is the sum over taps j of kernel[j] a[i - (j - center)].
    reach = [
        (slice(None), np.arange(-(k - 1 - k // 2), n + k // 2) + m // 2 - n // 2)
        for n, k, m in zip(b.shape, taps, a.shape)
    ]
    wide = np.zeros([len(index) for _, index in reach])
    inside = [(index >= 0) & (index < m) for (_, index), m in zip(reach, a.shape)]
    wide[np.ix_(*inside)] = a[np.ix_(*(r[1][i] for r, i in zip(reach, inside)))]
    return _kernel(wide[None], b[None], taps, strength)


def _kernel(x, y, taps, strength):
    """The convolution kernel between ``x (N, *n)`` and the valid part ``y`` of it."""
    automatic = isinstance(strength, str)
    if automatic:
        choice(strength, "strength", ("auto",))
    else:
        strength = number(strength, "strength")
    unknowns = math.prod(taps)
    if unknowns > LARGEST:
        raise ValueError(
            f"size must have at most {LARGEST} pixels in all, got {taps}: take fewer "
            "pixels, or solve for the scene of a known point spread function"
        )
    matrix, right, energy = np.zeros((unknowns,) * 2), np.zeros(unknowns), 0.0
    geometry = make_geometry(
        (1, 1, *taps),
        (1, *x.shape[1:]),
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        boundary="zero",
    )
    for before, after in zip(x.astype(float), y.astype(float)):
        seen = padded(before.reshape(1, *geometry.input), geometry)
        matrix += gram(seen, geometry)[0]
        right += right_sides(seen, after.reshape(1, -1), geometry)[0, :, 0]
        energy += float(np.vdot(after, after))
    rough = _roughness(taps)
    values, vectors = _pencil(matrix, rough)
    parts = vectors.T @ right
    weight = _by_gcv(values, parts, energy, y.size) if automatic else strength
    kernel = vectors @ (parts / (values + weight**2))
    return np.flip(kernel.reshape(taps))


def _roughness(taps):
    """The matrix of the squared gradient, with zeros around the kernel."""
    total = np.zeros((1, 1))
    for k in taps:
        line = 2 * np.eye(k) - np.eye(k, k=1) - np.eye(k, k=-1)
        total = np.kron(total, np.eye(k)) + np.kron(np.eye(len(total)), line)
    return total


def _pencil(matrix, rough):
    """Eigenvalues and vectors of ``matrix v = value * rough v``, scaled by rough."""
    lower = cholesky(rough, lower=True)
    left = solve_triangular(lower, matrix, lower=True)
    symmetric = solve_triangular(lower, left.T, lower=True)
    values, vectors = eigh((symmetric + symmetric.T) / 2)
    return np.maximum(values, 0), solve_triangular(lower.T, vectors)


def _by_gcv(values, parts, energy, count):
    """The weight that minimizes generalized cross-validation."""
    seen = values > ROUNDING * values.max()
    values, parts = values[seen], parts[seen]
    if not values.size:
        return 1.0
    rest = max(energy - np.sum(parts**2 / values), 0.0)  # what no kernel explains
    top = math.sqrt(values.max())

    def criterion(log):
        square = math.exp(2 * log)
        passed = square / (values + square)
        left = rest + np.sum(parts**2 / values * passed**2)
        return left / (count - values.size + np.sum(passed)) ** 2

    logs = np.linspace(math.log(LOWEST * top), math.log(HIGHEST * top), 161)
    found = np.array([criterion(log) for log in logs])
    best = int(np.argmin(found))
    refined = minimize_scalar(
        criterion,
        bounds=(logs[max(best - 1, 0)], logs[min(best + 1, len(logs) - 1)]),
        method="bounded",
    )
    return math.exp(refined.x)
