"""The size of white noise, from the finest details of the data."""

import numpy as np

from .._core.arrays import to_numpy

# Daubechies' filter for details, of unit norm: it removes constants and ramps.
DETAIL = np.array([1 - 3**0.5, 3**0.5 - 3, 3 + 3**0.5, -1 - 3**0.5]) / 32**0.5
MAD = 0.6744897501960817  # median absolute value of a standard normal variable


def noise_of(images, ndim) -> np.ndarray:
    """Standard deviation of white noise, estimated from images that are smooth.

    The median absolute value of the finest diagonal details of a wavelet transform
    (Donoho and Johnstone, Biometrika 81, 1994), in which edges are rare. For complex
    data the variances of both parts are added.

    Parameters
    ----------
    images : array, shape (..., *spatial)
        Images in one to three dimensions, each with its own noise.
    ndim : int
        The number of spatial axes. Those with less than four samples are not filtered.

    Returns
    -------
    ndarray, shape (...)
        One number per image; zero for images without four samples along any axis.
    """
    details = to_numpy(images)
    details = details.astype(np.result_type(details.dtype, np.float64), copy=False)
    lead = details.shape[: details.ndim - ndim]
    axes = [
        a for a in range(len(lead), details.ndim) if details.shape[a] >= len(DETAIL)
    ]
    if not axes or details.size == 0:
        return np.zeros(lead)
    for axis in axes:
        along = np.moveaxis(details, axis, -1)
        count = along.shape[-1] - len(DETAIL) + 1
        along = sum(tap * along[..., i : i + count] for i, tap in enumerate(DETAIL))
        details = np.moveaxis(along, -1, axis)
    details = details.reshape(*lead, -1)
    parts = [details.real, details.imag] if details.dtype.kind == "c" else [details]
    return np.sqrt(sum((np.median(abs(p), axis=-1) / MAD) ** 2 for p in parts))
