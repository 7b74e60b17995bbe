"""denoise_tv_chambolle(), as scikit-image has it."""

from __future__ import annotations

from ..._core.adapted_calls import adapts
from ..._core.typing import AnyArray, ArrayInput
from ..._core.validation import integer, number
from ...imaging._pictures import floating
from ...proximal import prox_total_variation, total_variation
from ._frames import array_of


@adapts("image")
def denoise_tv_chambolle(
    image: ArrayInput,
    weight: float = 0.1,
    eps: float = 2.0e-4,
    max_num_iter: int = 200,
    *,
    channel_axis: int | None = None,
) -> AnyArray:
    """Total variation denoising.

    The function of this name in `skimage.restoration`, with a faster method and a bound
    on the distance to the minimizer.

    Parameters
    ----------
    image : array_like
        With any number of axes. Integers become fractions of the largest one.
    weight : float
        More of it leaves less noise and fewer details: the result minimizes ``||x -
        image||^2 / 2 + weight * total variation of x``.
    eps : float
        The iteration ends when the cost is known to be within `eps` of its first value
        from the least; that of scikit-image, when it falls by less in one iteration,
        which it may do far from the minimizer.
    max_num_iter : int
        Most iterations.
    channel_axis : int, optional
        The axis of `image` that holds channels, which are denoised one by one.

    Returns
    -------
    array
        In the shape of `image`, in its dtype if that is float32, else float64.

    Raises
    ------
    ValueError, TypeError
        If the arguments do not fit each other.

    Warns
    -----
    ConvergenceWarning
        If `max_num_iter` iterations were not enough.

    See Also
    --------
    convinv.proximal.prox_total_variation : The same with other options.

    Notes
    -----
    With a small `eps` both come to the same minimizer.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.interop.skimage import denoise_tv_chambolle
    >>> step = np.repeat([[0.0] * 4 + [1.0] * 4], 8, axis=0)
    >>> noisy = step + 0.1 * np.random.default_rng(0).standard_normal((8, 8))
    >>> found = denoise_tv_chambolle(noisy, 0.1)
    >>> bool(np.abs(found - step).mean() < 0.5 * np.abs(noisy - step).mean())
    True
    """
    data = floating(array_of(image), preserve_range=False)
    axes = list(range(data.ndim))
    if channel_axis is not None:
        if not -data.ndim <= channel_axis < data.ndim:
            raise ValueError(
                f"channel_axis must be an axis of image of shape {data.shape}, got "
                f"{channel_axis!r}"
            )
        axes.remove(channel_axis % data.ndim)
    weight, size = number(weight, "weight"), float((data**2).sum())
    first = weight * float(total_variation(data, axes=axes))
    return prox_total_variation(
        data,
        weight,
        axes=axes,
        # of the squared distance the excess of the cost is at least a half
        rtol=(2 * number(eps, "eps") * first / size) ** 0.5 if size else 1.0,
        maxiter=integer(max_num_iter, "max_num_iter"),
    )
