"""Kernels of layers and lenses, noise, and named problems."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from .._core.typing import PerAxis, Seed
from ..operators._convolution import ConvLinearOperator
from ._photographs import image


def conv_layer(
    c_in: int,
    c_out: int,
    size: PerAxis = 3,
    *,
    rng: Seed = None,
    dtype: DTypeLike = np.float64,
) -> np.ndarray:
    """The kernel of an untrained layer, as torch initializes it.

    Parameters
    ----------
    c_in, c_out : int
        Channels in and out.
    size : int or sequence of int
        Height and width, or one number for both.
    rng : None, int or numpy.random.Generator
    dtype : dtype

    Returns
    -------
    ndarray, shape (c_out, c_in, height, width)
        Uniform between ``-1 / sqrt(f)`` and ``1 / sqrt(f)`` with ``f = c_in * height *
        width``.

    Examples
    --------
    >>> from convinv import gallery
    >>> gallery.conv_layer(3, 8, rng=0).shape
    (8, 3, 3, 3)
    """
    taps: Any = (size, size) if np.ndim(size) == 0 else size
    bound = 1 / np.sqrt(c_in * np.prod(taps))
    kernel = np.random.default_rng(rng).uniform(-bound, bound, (c_out, c_in, *taps))
    return kernel.astype(dtype)


def gaussian_kernel(size: PerAxis, sigma: float | Sequence[float]) -> np.ndarray:
    """A Gaussian blur that keeps the mean.

    Parameters
    ----------
    size : int or sequence of int
        Pixels on each axis. One number holds for all axes: two, or as many as `sigma`
        has numbers.
    sigma : float or sequence of float
        Standard deviation in pixels, positive; one for all axes, or one each.

    Returns
    -------
    ndarray, shape (size, size) or size
        With sum 1.

    Raises
    ------
    ValueError, TypeError
        If they do not fit each other, a size is no positive integer, or a sigma is not
        positive.

    Examples
    --------
    >>> from convinv import gallery
    >>> gallery.gaussian_kernel(9, (2, 1)).shape
    (9, 9)
    >>> gallery.gaussian_kernel((5, 9, 9), (0.8, 1.5, 1.5)).shape
    (5, 9, 9)
    """
    given: list[Any] = [size, sigma]
    counts = [len(a) for a in given if np.ndim(a)] or [2]
    if np.ndim(size) > 1 or np.ndim(sigma) > 1 or len(set(counts)) > 1:
        raise ValueError(
            "size and sigma must be numbers or have one entry per axis, got "
            f"{size!r} and {sigma!r}"
        )
    sizes, sigmas = (a if np.ndim(a) else (a,) * counts[0] for a in given)
    kernel = np.ones(())
    for pixels, width in zip(sizes, sigmas):
        if not operator.index(pixels) > 0:
            raise ValueError(f"size must be positive, got {size!r}")
        if not 0 < width < np.inf:
            raise ValueError(f"sigma must be positive and finite, got {sigma!r}")
        line = np.exp(-0.5 * ((np.arange(pixels) - (pixels - 1) / 2) / width) ** 2)
        kernel = np.multiply.outer(kernel, line / line.sum())
    return kernel / kernel.sum()


def disc_kernel(radius: float) -> np.ndarray:
    """The blur of a lens that is out of focus: a disc of even brightness.

    Parameters
    ----------
    radius : float
        In pixels, positive.

    Returns
    -------
    ndarray, shape (2 ceil(radius - 0.5) + 1,) * 2
        The share of every pixel that the disc covers, with sum 1.

    Raises
    ------
    ValueError
        If `radius` is not positive.

    Examples
    --------
    >>> from convinv import gallery
    >>> gallery.disc_kernel(1.0).round(3)
    array([[0.025, 0.145, 0.025],
           [0.145, 0.318, 0.145],
           [0.025, 0.145, 0.025]])
    """
    if not 0 < radius < np.inf:
        raise ValueError(f"radius must be positive and finite, got {radius!r}")
    reach = max(math.ceil(radius - 0.5), 0)
    lines = 64  # in a pixel, each cut exactly
    y = (np.arange((2 * reach + 1) * lines) + 0.5) / lines - 0.5 - reach
    half = np.sqrt(np.maximum(radius**2 - y**2, 0))[:, None]
    left = np.arange(-reach, reach + 1) - 0.5
    covered = np.clip(half, left, left + 1) - np.clip(-half, left, left + 1)
    kernel = covered.reshape(2 * reach + 1, lines, -1).mean(axis=1)
    kernel += kernel.T
    return kernel / kernel.sum()


def line_kernel(length: float, angle: float = 0.0) -> np.ndarray:
    """The blur of steady motion along a straight line.

    Parameters
    ----------
    length : float
        Of the line in pixels, positive.
    angle : float
        In degrees from the axis of columns, counterclockwise in a picture whose first
        row is on top: 0 is across, 90 upright.

    Returns
    -------
    ndarray, shape (height, width), both odd
        The length of the line within every pixel, with sum 1; as large as need be.

    Raises
    ------
    ValueError
        If `length` is not positive or `angle` not finite.

    See Also
    --------
    motion_kernel : A camera that shakes.

    Examples
    --------
    >>> from convinv import gallery
    >>> gallery.line_kernel(4)
    array([[0.125, 0.25 , 0.25 , 0.25 , 0.125]])
    >>> gallery.line_kernel(15, angle=30).shape
    (9, 13)
    """
    if not 0 < length < np.inf:
        raise ValueError(f"length must be positive and finite, got {length!r}")
    if not np.isfinite(angle):
        raise ValueError(f"angle must be finite, got {angle!r}")
    turn = np.deg2rad(angle)
    direction = np.array([-np.sin(turn), np.cos(turn)])
    direction[np.abs(direction) < 1e-12] = 0.0  # of 90 degrees
    half = length / 2
    reach = np.ceil(np.maximum(half * np.abs(direction) - 0.5 - 1e-9, 0)).astype(int)
    edges = [np.arange(-n, n) + 0.5 for n in reach]  # between two pixels
    crossed = [edge / d for edge, d in zip(edges, direction) if d]
    ends = np.clip(np.sort(np.concatenate([[-half, half], *crossed])), -half, half)
    middle = (ends[1:] + ends[:-1]) / 2
    places = np.rint(np.outer(direction, middle)).astype(int) + reach[:, None]
    kernel = np.zeros(2 * reach + 1)
    np.add.at(kernel, tuple(places), np.diff(ends))
    return kernel / kernel.sum()


def motion_kernel(size: int, rng: Seed = None) -> np.ndarray:
    """The blur of a camera that shook during the exposure.

    Parameters
    ----------
    size : int
        Height and width in pixels; the path of the camera fills the longer of them.
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray, shape (size, size)
        The time that the camera's random smooth path spends in every pixel, with
        sum 1.
    """
    steps = 64 * size
    noise = np.random.default_rng(rng).standard_normal((steps, 2))
    velocity = np.cumsum(noise, axis=0) - 0.5 * noise.sum(axis=0)
    path = np.cumsum(velocity, axis=0)
    path -= (path.min(axis=0) + path.max(axis=0)) / 2
    reach = np.abs(path).max()
    path = path * ((size - 1) / 2 / reach) + (size - 1) / 2
    near = np.clip(path.astype(int), 0, max(size - 2, 0))
    part = path - near
    kernel = np.zeros((size, size))
    for i, j in np.ndindex(min(size, 2), min(size, 2)):
        share = np.abs(1 - i - part[:, 0]) * np.abs(1 - j - part[:, 1])
        np.add.at(kernel, (near[:, 0] + i, near[:, 1] + j), share)
    return kernel / kernel.sum()


def add_noise(
    b: np.ndarray, level: float, rng: Seed = None, reference: np.ndarray | None = None
) -> np.ndarray:
    """Add Gaussian noise, in proportion to every image's own contrast.

    Parameters
    ----------
    b : ndarray, shape (..., C, H, W)
        Data.
    level : float
        Standard deviation of the noise, as a fraction of that of `reference`.
    rng : None, int or numpy.random.Generator
    reference : ndarray, shape (..., C, H, W), optional
        The images whose standard deviation is used, each over its channels and pixels:
        the photographs that gave `b`. By default `b` itself.

    Returns
    -------
    ndarray
        A noisy copy of `b`, in its dtype.

    Raises
    ------
    ValueError
        If ``level`` is negative or `reference` has another number of images.
    """
    if not level >= 0:
        raise ValueError(f"level must not be negative, got {level!r}")
    reference = b if reference is None else reference
    if reference.ndim != b.ndim or reference.shape[:-3] != b.shape[:-3]:
        raise ValueError(
            f"reference must hold one image for every one in b (shape {b.shape}), got "
            f"shape {reference.shape}"
        )
    sigma = level * reference.std(axis=(-3, -2, -1), keepdims=True)
    noise = sigma * np.random.default_rng(rng).standard_normal(b.shape)
    return b + noise.astype(b.dtype)


def _layer(channels: int, rng: Seed) -> dict[str, Any]:
    return {"kernel": conv_layer(channels, channels + 5, rng=rng)}


def _blur(kernel: np.ndarray, channels: int) -> dict[str, Any]:
    kernel = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    return {
        "kernel": kernel,
        "padding": "same",
        "groups": channels,
        "boundary": "reflect",
    }


PROBLEMS = {
    "layer": _layer,
    "gaussian": lambda channels, rng: _blur(gaussian_kernel(9, 1.5), channels),
    "motion": lambda channels, rng: _blur(motion_kernel(15, rng), channels),
}


def problem(
    name: Literal["layer", "gaussian", "motion"],
    *,
    photograph: str | os.PathLike[str] = "astronaut",
    size: int | None = 64,
    noise: float = 0.0,
    rng: Seed = 0,
    dtype: DTypeLike = np.float64,
) -> tuple[ConvLinearOperator, np.ndarray, np.ndarray]:
    """A convolution of a photograph to invert.

    Parameters
    ----------
    name : {"layer", "gaussian", "motion"}
        A valid 3 x 3 layer from C to C + 5 channels (3 to 8 for a color picture) with
        torch's default weights; or the blur of every channel by a lens or a shaken
        camera, reflected at the border.
    photograph : str or path-like
        The name or path, as in `image`.
    size : int, optional
        Height and width of the photograph; None keeps its own.
    noise : float
        The ``level`` of `add_noise`, relative to the photograph.
    rng : None, int or numpy.random.Generator
    dtype : dtype

    Returns
    -------
    op : ConvLinearOperator
    x : ndarray, shape op.input_shape
        The photograph.
    b : ndarray, shape op.output_shape
        The photograph under the operator, with noise.

    Raises
    ------
    ValueError
        If `name` is unknown.

    Examples
    --------
    >>> from convinv import gallery, solve
    >>> op, x, b = gallery.problem("layer")
    >>> op
    <ConvLinearOperator (3, 64, 64) -> (8, 62, 62), kernel (8, 3, 3, 3), dtype float64>
    >>> solve(op, b).success
    True
    """
    if name not in PROBLEMS:
        known = ", ".join(map(repr, PROBLEMS))
        raise ValueError(f"the gallery's problems are {known}, got {name!r}")
    rng = np.random.default_rng(rng)
    x = image(photograph, size, dtype=dtype)
    op = ConvLinearOperator(
        **PROBLEMS[name](x.shape[0], rng), input_shape=x.shape, dtype=dtype
    )
    return op, x, add_noise(op.forward(x), noise, rng, reference=x)
