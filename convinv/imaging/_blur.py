"""blur(): what a point spread function makes of a scene."""

from __future__ import annotations

import numpy as np

from .._core.adapted_calls import adapts
from .._core.arrays import namespace
from .._core.typing import AnyArray, ArrayInput, PerAxis
from . import _pictures, _point_spread
from ._camera import UNKNOWN, camera, check_boundary


@adapts("image")
def blur(
    image: ArrayInput,
    psf: ArrayInput,
    *,
    boundary: str = "symmetric",
    channel_axis: int | None = None,
    origin: PerAxis | None = None,
    normalize: bool = True,
    preserve_range: bool = False,
) -> AnyArray:
    """A picture blurred by a point spread function.

    Parameters
    ----------
    image, psf, channel_axis, origin, normalize, preserve_range
        As `deconvolve` has them.
    boundary : str
        What is beyond the frame: a boundary of `ConvLinearOperator`, or "unknown" for
        only those pixels that nothing beyond the frame reaches. The default
        is that of `scipy.ndimage`, whose name for it is "reflect".

    Returns
    -------
    array
        In the shape of `image`, or with an unknown boundary smaller by the size of
        `psf` less 1; in its dtype if that is floating, else float64.

    Raises
    ------
    ValueError, TypeError
        If the arguments do not fit each other, or `image` holds NaNs or masked values.

    See Also
    --------
    deconvolve : The opposite.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import gallery, imaging
    >>> star = np.zeros((5, 5))
    >>> star[2, 2] = 1
    >>> imaging.blur(star, gallery.gaussian_kernel(3, 0.5)).round(2)
    array([[0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.01, 0.08, 0.01, 0.  ],
           [0.  , 0.08, 0.62, 0.08, 0.  ],
           [0.  , 0.01, 0.08, 0.01, 0.  ],
           [0.  , 0.  , 0.  , 0.  , 0.  ]])
    """
    check_boundary(boundary)
    shape = np.shape(image)
    axes = _point_spread.spatial_axes(psf, len(shape), channel_axis)
    given = _pictures.read(image, axes, channel_axis, preserve_range)
    if given.used is not None:
        raise ValueError(
            "image has pixels without a value, NaN or masked, which can't be blurred: "
            "fill them first"
        )
    layout = given.layout
    spread = _point_spread.read([psf], [shape], layout.channel_axis, origin, normalize)
    size = layout.size
    if boundary == UNKNOWN:
        size = tuple(n - k + 1 for n, k in zip(size, spread.size))
        if min(size) < 1:
            raise ValueError(
                f"image of {layout.size} pixels is smaller than psf of {spread.size}: "
                "no pixel is free of what is beyond the frame"
            )
    x, xp = given.data, namespace(given.data)
    op = camera(spread, size, boundary, (1,) * axes, x.dtype, xp).op
    if spread.per_channel:
        blurred = op.forward(x.swapaxes(0, 1)).swapaxes(0, 1)
    else:
        blurred = op.forward(x.reshape(-1, 1, *layout.size))
        blurred = blurred.reshape(*x.shape[:2], *size)
    return layout.join(blurred)
