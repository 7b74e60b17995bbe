"""estimate_noise(): how noisy a picture is."""

from __future__ import annotations

import numpy as np

from .._core.adapted_calls import adapts
from .._core.typing import ArrayInput
from .._regularize.noise import noise_of
from .._regularize.strength import choose_strength
from . import _pictures, _point_spread


@adapts("image")
def estimate_noise(
    image: ArrayInput,
    psf: ArrayInput | None = None,
    *,
    channel_axis: int | None = None,
    preserve_range: bool = False,
) -> float:
    """The standard deviation of the white noise in a picture.

    Parameters
    ----------
    image : array_like
        A picture in one to three dimensions, or with `psf` a stack as `deconvolve`
        takes it.
    psf : array_like, optional
        The blur that the picture had before the noise came, if it is known.
    channel_axis, preserve_range
        As `deconvolve` has them.

    Returns
    -------
    float
        In the units of `deconvolve`'s result; the root mean square over channels.

    Notes
    -----
    Without `psf` it is the median size of the finest diagonal details, which is too
    large for sharp pictures with much texture. With it, a model of the spectra of the
    scene and of the noise is fitted: the blur leaves little of the finest details, so
    the noise is seen there.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import imaging
    >>> ramp = np.add.outer(np.linspace(0, 1, 100), np.linspace(0, 1, 100))
    >>> noisy = ramp + 0.1 * np.random.default_rng(0).standard_normal((100, 100))
    >>> round(imaging.estimate_noise(noisy), 2)
    0.1
    """
    shape = np.shape(image)
    if psf is None:
        axes = len(shape) - (channel_axis is not None)
        if not 1 <= axes <= 3:
            raise ValueError(
                "image must have one to three axes beside the channels, got shape "
                f"{shape}"
            )
    else:
        axes = _point_spread.spatial_axes(psf, len(shape), channel_axis)
    given = _pictures.read(image, axes, channel_axis, preserve_range)
    if psf is None:
        levels = noise_of(given.data, axes).ravel()
    else:
        spread = _point_spread.read(
            [psf], [shape], given.layout.channel_axis, None, True
        )
        kernels = np.broadcast_to(spread.kernels[0], (len(given.data), *spread.size))
        levels = np.array(
            [
                choose_strength([channel], [kernel]).model.noise
                for channel, kernel in zip(given.data, kernels)
            ]
        )
    return float(np.sqrt(np.mean(levels**2)))
