"""deconvolve(): the scene behind blurred and noisy pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from .._core.adapted_calls import adapts
from .._core.arrays import namespace
from .._core.typing import AnyArray, ArrayInput, Callback, PerAxis
from .._core.validation import boolean, choice, number
from . import _pictures, _point_spread
from ._camera import UNKNOWN, camera, check_boundary, strides
from ._counts import likely_scene
from ._data import Data
from ._exposed import Exposed
from ._frames import Frames, is_by_regions
from ._large import Large, check_out, large_scene, refuse
from ._smoothness import penalty_of, smooth_scene
from ._total_variation import piecewise_smooth_scene


@adapts("image")
def deconvolve(
    image: ArrayInput | Sequence[ArrayInput],
    psf: ArrayInput | Sequence[ArrayInput],
    *,
    regularizer: (
        Literal["gradient", "laplacian", "identity", "tv"] | ArrayInput | None
    ) = None,
    strength: float | Literal["auto"] = "auto",
    noise: float | None = None,
    model: Literal["gaussian", "poisson"] = "gaussian",
    bounds: tuple[float | None, float | None] | None = None,
    boundary: str = UNKNOWN,
    mask: ArrayInput | None = None,
    weights: ArrayInput | None = None,
    channel_axis: int | None = None,
    origin: PerAxis | None = None,
    stride: PerAxis = 1,
    normalize: bool = True,
    preserve_range: bool = False,
    method: str = "auto",
    rtol: float | None = None,
    max_memory: float | str | None = None,
    out: Any = None,
    progress: bool = False,
    callback: Callback = None,
    return_result: bool = False,
) -> AnyArray:
    """The sharp scene behind a picture that a known blur and noise have changed.

    Minimizes ``||blur(x) - image||^2 + strength^2 ||L x||^2``, where L takes the
    differences between neighbors: of all scenes that explain the picture it is the
    smoothest. Other penalties and the statistics of counts are options.

    Parameters
    ----------
    image : array_like, or list of arrays
        A picture or a stack of them, with as many axes at its end as `psf` has, beside
        the channels. A list holds several exposures of one scene. Integers become
        fractions of the largest one, as `skimage.util.img_as_float` has it. NaNs and
        what a `numpy.ma` array masks is not used. Memory maps, arrays of zarr, h5py or
        Dask, and others that give arrays for slices, are read by regions; see Notes.
    psf : array_like, or list of arrays
        The point spread function: what the picture of a point is. With as many axes as
        a picture, one to three, or with a channel axis as `image` has it, where it
        differs between channels. One for all exposures, or a list.
    regularizer : {"gradient", "laplacian", "identity", "tv"} or array_like, optional
        L: differences between neighbors, the default; the sum of second differences;
        the pixels themselves; or the kernel of a convolution. "tv" takes the total
        variation instead, for scenes of even parts with sharp edges: it minimizes
        ``||blur(x) - image||^2 / 2 + strength * total variation of x``. It is the only
        one, and the default, with the model "poisson".
    strength : float or "auto"
        The weight of the penalty. "auto" takes the one with the least expected error,
        from the spectrum of the picture; see Notes.
    noise : float, optional
        The standard deviation of the noise, in the units of the result, if it is known;
        else "auto" estimates it.
    model : {"gaussian", "poisson"}
        The statistics of the noise: of one variance, or those of counts, whose variance
        grows with the brightness. The latter's scene is not negative and is found by
        Richardson-Lucy iterations; counts may come in any unit.
    bounds : pair of float or None, optional
        ``(lo, hi)`` that no pixel of the scene leaves; None where there is none.
    boundary : str
        What is beyond the frame: "unknown", a scene that goes on and is found where the
        blur brings it into the picture, or a boundary of `ConvLinearOperator`:
        "zero", "periodic", "reflect", "symmetric", "replicate".
    mask : array_like of bool, optional
        True where a pixel is used. It broadcasts to the shape of `image`, and one
        without a channel axis holds for all channels.
    weights : array_like, optional
        How much each pixel counts in the sum of squares, likewise: one over the
        variance of its noise, up to a factor.
    channel_axis : int, optional
        The axis of `image` that holds the channels. Without it there are none.
    origin : int or tuple of int, optional
        The pixel of `psf` that is its center, by default ``k // 2`` along each axis, as
        in `scipy.ndimage`. The "same" of `scipy.signal` has ``(k - 1) // 2``.
    stride : int or tuple of int
        Pixels of the scene per pixel of `image` along each axis. With more than 1 the
        result is finer than the picture; `psf` is that on the fine pixels.
    normalize : bool
        Divide `psf` by its sum, so that the blur keeps the brightness.
    preserve_range : bool
        Keep integers as they are instead of scaling them.
    method, max_memory, progress
        As `convinv.solve` has them; `convinv.proximal.minimize` has its own methods
        for "tv", no bar and no limit of memory.
    out : array, optional
        What the result is written to, and what is returned then: an array, a memory
        map, an array of zarr or another that takes slices, of floating-point numbers.
    rtol : float, optional
        Likewise; by default small enough that the error of iterations is well below
        that of noise and blur.
    callback : callable, optional
        Called as ``callback(state)`` after each iteration, as `convinv.solve` does it:
        ``state.nit`` counts them, and returning True ends the search. Exact methods
        have no iterations.
    return_result : bool
        Return the result of `convinv.solve` (for "tv" that of
        `convinv.proximal.minimize`) with the picture as its ``x``.

    Returns
    -------
    array or SolveResult or ProximalResult
        The scene in the frame of the picture: in the shape of `image` (times `stride`),
        in its dtype if that is floating, else float64. A result has the strength and
        the noise in ``extra["strength"]`` and ``extra["noise"]``.

    Raises
    ------
    ValueError, TypeError
        If the arguments do not fit each other, or `psf` has its center in the corner.

    See Also
    --------
    blur : The opposite.
    estimate_psf : The point spread function from a sharp and a blurred picture.

    Notes
    -----
    The automatic strength fits a model of the scene's spectrum and of the noise to the
    power spectrum of the picture (Whittle's likelihood), and takes the strength for
    which the model's mean squared error is least, where the noise counts twice. It
    costs FFTs of some small tiles. For "tv" Stein's estimate of the risk chooses it
    with that noise, in a few solves. For counts it is one over the mean count, that is
    the squared ratio of the noise to the mean of the picture.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import gallery, imaging
    >>> sharp = gallery.image("camera")[0, 100:300, 150:350]
    >>> psf = gallery.gaussian_kernel(13, 1.5)
    >>> blurred = imaging.blur(sharp, psf)
    >>> blurred = blurred + 0.01 * np.random.default_rng(0).standard_normal((200, 200))
    >>> found = imaging.deconvolve(blurred, psf)
    >>> found.shape
    (200, 200)
    >>> bool(np.linalg.norm(found - sharp) < 0.8 * np.linalg.norm(blurred - sharp))
    True
    """
    check_boundary(boundary)
    boolean(return_result, "return_result")
    choice(model, "model", ("gaussian", "poisson"))
    noise = None if noise is None else number(noise, "noise")
    weight = _weight(strength)
    bounds = _pair(bounds)
    if regularizer is None:
        regularizer = "gradient" if model == "gaussian" else "tv"
    penalty = penalty_of(regularizer)
    images, psfs = _exposures(image, psf)
    shapes = [np.shape(image) for image in images]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"the images of all exposures must have the same shape, got {shapes}"
        )
    axes = _point_spread.spatial_axes(psfs[0], len(shapes[0]), channel_axis)
    step = strides(stride, axes)
    layout = _pictures.layout_of(shapes[0], axes, channel_axis)
    spread = _point_spread.read(psfs, shapes, layout.channel_axis, origin, normalize)
    settings: dict[str, Any] = {"method": method, "rtol": rtol, "callback": callback}
    limits: dict[str, Any] = {"max_memory": max_memory, "progress": progress}
    if model == "poisson" and not (isinstance(penalty, str) and penalty == "tv"):
        raise ValueError(
            f"regularizer must be 'tv' with model='poisson', got {regularizer!r}"
        )
    if any(map(is_by_regions, images)):
        refuse(model, penalty, bounds, mask, weights, method)
        frames = Frames.of(images, layout, spread.per_channel, preserve_range)
        view = camera(spread, layout.size, boundary, step, frames.dtype)
        large = Large(frames, spread, view, step)
        if out is not None:
            check_out(out, large.shape, frames.dtype)
        found = large_scene(large, penalty, weight, noise, out, **settings, **limits)
        return _told(found, found.result.x) if return_result else found.result.x
    given = [
        _pictures.read(image, axes, channel_axis, preserve_range, mask)
        for image in images
    ]
    data = Data.of(given, spread, weights)
    b = data.b
    view = camera(spread, layout.size, boundary, step, b.dtype, namespace(b))
    exposed = Exposed(data, spread, view, step)
    settings["bounds"] = bounds
    if model == "poisson":
        found = likely_scene(exposed, weight, noise, **settings, **limits)
    elif isinstance(penalty, str) and penalty == "tv":
        if max_memory is not None:
            raise ValueError("max_memory does not go with regularizer='tv'")
        found = piecewise_smooth_scene(exposed, weight, noise, **settings)
    else:
        found = smooth_scene(exposed, penalty, weight, noise, **settings, **limits)
    x = found.result.x[(slice(None), slice(None), *view.frame)]
    picture = data.layout_of(x, layout)
    if out is not None:
        check_out(out, picture.shape, picture.dtype)
        out[...] = picture
        picture = out
    return _told(found, picture) if return_result else picture


def _told(found, picture):
    """The result of a solver with the picture, and all that is known of the scene."""
    result = found.result
    return replace(
        result,
        x=picture,
        message=f"{result.message}; {found.message}",
        extra={**result.extra, "strength": found.strength, "noise": found.noise},
    )


def _weight(strength):
    """A strength, or None for the automatic one."""
    if isinstance(strength, str):
        choice(strength, "strength", ("auto",))
        return None
    return number(strength, "strength")


def _pair(bounds):
    if bounds is None:
        return None
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise ValueError(
            f"bounds must be a pair (lo, hi) of numbers or None, got {bounds!r}"
        )
    return tuple(bounds)


def _exposures(image, psf):
    """Lists of pictures and of as many point spread functions."""
    several = _is_list_of_arrays(image)
    images = list(image) if several else [image]
    psfs = list(psf) if _is_list_of_arrays(psf) else [psf] * len(images)
    if len(psfs) != len(images):
        raise ValueError(
            "image and psf must be lists of the same length, one psf for each "
            f"exposure, got {len(images)} and {len(psfs)}"
        )
    return images, psfs


def _is_list_of_arrays(values):
    return (
        isinstance(values, (list, tuple))
        and len(values) > 0
        and all(hasattr(value, "dtype") and np.shape(value) for value in values)
    )
