"""deconvolve(): the scene behind blurred and noisy pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .._core.arrays import namespace, to_numpy
from .._core.typing import AnyArray, ArrayInput, PerAxis
from .._core.validation import boolean, choice, number
from .._regularize.strength import PENALTIES, choose_strength
from .._solve.front import solve
from . import _pictures, _point_spread
from ._camera import UNKNOWN, camera, check_boundary, strides

# Of the normal residual, per strength, and the largest: what is left then of the error
# of iterations is less than 0.05 dB on the photographs of `benchmarks.imaging`.
RTOL, LARGEST_RTOL, LEAST_RTOL = 5e-3, 1e-3, 1e-6


def deconvolve(
    image: ArrayInput | Sequence[ArrayInput],
    psf: ArrayInput | Sequence[ArrayInput],
    *,
    regularizer: Literal["gradient", "laplacian", "identity"] | ArrayInput = "gradient",
    strength: float | Literal["auto"] = "auto",
    noise: float | None = None,
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
    progress: bool = False,
    return_result: bool = False,
) -> AnyArray:
    """The sharp scene behind a picture that a known blur and noise have changed.

    Minimizes ``||blur(x) - image||^2 + strength^2 ||L x||^2``, where L takes the
    differences between neighbors: of all scenes that explain the picture the
    smoothest.

    Parameters
    ----------
    image : array_like, or list of arrays
        A picture or a stack of them, with as many axes at its end as `psf` has, beside
        the channels. A list holds several exposures of one scene. Integers become
        fractions of the largest one, as `skimage.util.img_as_float` has it. NaNs and
        what a `numpy.ma` array masks is not used.
    psf : array_like, or list of arrays
        The point spread function: what the picture of a point is. With as many axes as
        a picture, one to three, or with a channel axis as `image` has it, where it
        differs between channels. One for all exposures, or a list.
    regularizer : {"gradient", "laplacian", "identity"} or array_like
        L: differences between neighbors, the sum of second differences, or the pixels
        themselves; or the kernel of a convolution.
    strength : float or "auto"
        The weight of L. "auto" takes the one with the least expected error, from the
        spectrum of the picture.
    noise : float, optional
        The standard deviation of the noise, in the units of the result, if it is known;
        else "auto" estimates it.
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
        As `convinv.solve` has them.
    rtol : float, optional
        Likewise; by default small enough that the error of iterations is well below
        that of noise and blur.
    return_result : bool
        Return the result of `convinv.solve` with the picture as its ``x``.

    Returns
    -------
    array or SolveResult
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
    costs FFTs of some small tiles.

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
    noise = None if noise is None else number(noise, "noise")
    penalty = _regularizer(regularizer)
    images, psfs = _exposures(image, psf)
    shapes = [np.shape(image) for image in images]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"the images of all exposures must have the same shape, got {shapes}"
        )
    axes = _point_spread.spatial_axes(psfs[0], len(shapes[0]), channel_axis)
    step = strides(stride, axes)
    given = [
        _pictures.read(image, axes, channel_axis, preserve_range, mask)
        for image in images
    ]
    layout = given[0].layout
    spread = _point_spread.read(psfs, shapes, layout.channel_axis, origin, normalize)
    data = _Data.of(given, spread, weights)
    chosen = _strength(strength, data.b, spread, penalty, step, noise)
    b, xp = data.b, namespace(data.b)
    view = camera(spread, layout.size, boundary, step, b.dtype, xp)
    result = solve(
        view.op,
        b,
        method,
        x0=_start(data, spread, view, step),
        damp=chosen.weight,
        regularizer=penalty,
        weights=data.weights,
        rtol=_rtol(chosen.weight) if rtol is None else rtol,
        max_memory=max_memory,
        progress=progress,
    )
    x = result.x[(slice(None), slice(None), *view.frame)]
    picture = data.layout_of(x, layout)
    if not return_result:
        return picture
    return replace(
        result,
        x=picture,
        message=f"{result.message}; {chosen.message}",
        extra={**result.extra, "strength": chosen.weight, "noise": chosen.noise},
    )


@dataclass(frozen=True)
class _Data:
    """Right-hand sides ``(items, exposures and channels, *size)`` and their weights.

    With one point spread function for all channels these are items.
    """

    b: Any
    weights: Any
    per_channel: bool

    @classmethod
    def of(cls, given, spread, weights):
        layout = given[0].layout
        xp = namespace(given[0].data)
        per_channel = spread.per_channel

        def arranged(parts):
            stack = xp.stack(parts)  # exposures, channels, items, *size
            if per_channel:
                stack = xp.moveaxis(stack, 2, 0).swapaxes(1, 2)
                stack = stack.reshape(len(stack), -1, *layout.size)
            else:
                stack = xp.moveaxis(stack, 0, 2)
                stack = stack.reshape(-1, len(given), *layout.size)
            return xp.ascontiguousarray(stack)

        b = arranged([picture.data for picture in given])
        used = None
        if any(picture.used is not None for picture in given):
            used = arranged(
                [
                    (
                        xp.ones(picture.data.shape, bool)
                        if picture.used is None
                        else picture.used
                    )
                    for picture in given
                ]
            ).astype(b.real.dtype)
        if weights is not None:
            part = layout.split(_weights(weights, layout, xp)).astype(b.real.dtype)
            part = arranged([part] * len(given))
            used = part if used is None else used * part
        return cls(b, used, per_channel)

    def layout_of(self, x, layout):
        """Scenes ``(items, channels, *size)`` in the layout of the pictures."""
        if self.per_channel:
            x = x.swapaxes(0, 1)
        else:
            x = x.reshape(layout.channels, -1, *x.shape[2:])
        return layout.join(x)


@dataclass(frozen=True)
class _Chosen:
    weight: float
    noise: float | None
    message: str


def _strength(strength, b, spread, penalty, step, noise) -> _Chosen:
    """The strength that is given, or the automatic one for all channels."""
    if not isinstance(strength, str):
        weight = number(strength, "strength")
        return _Chosen(weight, noise, f"with the given strength {weight:.3g}")
    choice(strength, "strength", ("auto",))
    exposures, channels = spread.kernels.shape[:2]
    b = to_numpy(b)
    found = []
    for channel in range(channels):
        parts = [b[:, channel * exposures + exposure] for exposure in range(exposures)]
        kernels = list(spread.kernels[:, channel])
        found.append(
            choose_strength(parts, kernels, penalty=penalty, stride=step, noise=noise)
        )
    weight = float(np.exp(np.mean([np.log(one.weight) for one in found])))
    level = float(np.sqrt(np.mean([one.model.noise**2 for one in found])))
    source = "estimated" if noise is None else "given"
    return _Chosen(
        weight,
        level,
        f"strength {weight:.3g}, for the least expected error at the {source} noise "
        f"of {level:.3g}",
    )


def _start(data, spread, view, step):
    """The pictures themselves, their border repeated beyond the frame."""
    b, xp = data.b, namespace(data.b)
    exposures, channels = spread.kernels.shape[:2]
    x = b.reshape(len(b), channels, exposures, *b.shape[2:]).mean(axis=2)
    for axis, (shown, n, q) in enumerate(
        zip(view.frame, view.op.input_shape[1:], step), start=2
    ):
        at = (np.arange(n) - shown.start) // q
        x = xp.take(x, xp.asarray(at.clip(0, x.shape[axis] - 1)), axis=axis)
    return x


def _rtol(weight):
    """The tolerance for a strength: the weaker, the longer noise takes to come in."""
    return min(max(RTOL * weight, LEAST_RTOL), LARGEST_RTOL)


def _regularizer(regularizer):
    if isinstance(regularizer, str):
        return choice(regularizer, "regularizer", PENALTIES)
    kernel = np.asarray(to_numpy(regularizer), float)
    if kernel.size == 0 or not np.isfinite(kernel).all():
        raise ValueError("regularizer must be a name or a kernel of finite numbers")
    return kernel


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
        and all(hasattr(value, "dtype") and value.ndim > 0 for value in values)
    )


def _weights(weights, layout, xp):
    if not hasattr(weights, "dtype"):
        weights = np.asarray(weights, float)
    if weights.dtype.kind not in "iufb" or not bool(
        (namespace(weights).isfinite(weights) & (weights >= 0)).all()
    ):
        raise ValueError("weights must be finite and not negative")
    return xp.asarray(_pictures.fitting(weights, layout, "weights"))
