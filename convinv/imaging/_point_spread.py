"""Point spread functions: their centers, sums and common size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._core.arrays import to_numpy
from .._core.validation import boolean

FEWEST = 5  # pixels of an axis from which the order of an FFT is looked for
CLOSER = 0.5  # spread about the center, after a shift to it, that tells that order


@dataclass(frozen=True)
class PointSpread:
    """Kernels ``(exposures, channels or 1, *k)`` of convolutions with one center."""

    kernels: np.ndarray
    center: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        return self.kernels.shape[2:]

    @property
    def per_channel(self) -> bool:
        return self.kernels.shape[1] > 1


def read(psfs, shapes, channel_axis, origin, normalize) -> PointSpread:
    """The point spread functions of one or several exposures with these shapes."""
    boolean(normalize, "normalize")
    parts, centers = [], []
    for psf, shape in zip(psfs, shapes, strict=True):
        psf = _channels_first(_array(psf), shape, channel_axis)
        center = _center(psf[0], origin)
        if origin is None:
            for kernel in psf:
                _refuse_order_of_fft(kernel)
        parts.append(_normalized(psf) if normalize else psf)
        centers.append(center)
    axes = {psf.ndim for psf in parts}
    if len(axes) > 1:
        raise ValueError(
            "the psfs of all exposures must have the same number of axes, got "
            f"{sorted(n - 1 for n in axes)}"
        )
    before = np.max(centers, axis=0)
    after = np.max([np.subtract(p.shape[1:], c) for p, c in zip(parts, centers)], 0)
    kernels = np.zeros((len(parts), parts[0].shape[0], *(before + after)))
    for kernel, psf, center in zip(kernels, parts, centers):
        low = before - center
        box = tuple(slice(a, a + n) for a, n in zip(low, psf.shape[1:]))
        kernel[(slice(None), *box)] = psf
    return PointSpread(kernels, tuple(int(n) for n in before))


def spatial_axes(psf, ndim, channel_axis) -> int:
    """The number of spatial axes of pictures with `ndim` axes."""
    axes = np.ndim(psf) if not hasattr(psf, "ndim") else psf.ndim
    if channel_axis is not None and axes == ndim:
        axes -= 1
    if not 1 <= axes <= 3:
        raise ValueError(
            "psf must have one to three axes (and one for the channels, where it "
            f"differs between them, as image), got {axes}"
        )
    return axes


def _array(psf):
    psf = to_numpy(psf) if hasattr(psf, "dtype") else np.asarray(psf)
    if psf.dtype.kind not in "iufb":
        raise TypeError(f"psf must hold real numbers, got dtype {psf.dtype}")
    if psf.size == 0:
        raise ValueError(f"psf is empty: its shape is {psf.shape}")
    psf = psf.astype(np.float64)
    if not np.isfinite(psf).all():
        raise ValueError("psf holds NaN or infinity")
    return psf


def _channels_first(psf, shape, channel_axis):
    """As ``(channels or 1, *k)``."""
    if channel_axis is None or psf.ndim < len(shape):
        return psf[None]
    psf = np.moveaxis(psf, channel_axis, 0)
    channels = shape[channel_axis]
    if len(psf) not in (1, channels):
        raise ValueError(
            f"psf must have 1 or {channels} channels in axis {channel_axis}, as image "
            f"of shape {shape}, got {len(psf)}"
        )
    return psf


def _center(kernel, origin):
    if origin is None:
        return tuple(n // 2 for n in kernel.shape)
    given = (origin,) * kernel.ndim if np.ndim(origin) == 0 else tuple(origin)
    inside = len(given) == kernel.ndim and all(
        isinstance(i, (int, np.integer)) and 0 <= i < n
        for i, n in zip(given, kernel.shape)
    )
    if not inside:
        raise ValueError(
            "origin must be the pixel of psf that is its center, an integer for each "
            f"axis within its shape {kernel.shape}, got {origin!r}"
        )
    return tuple(int(i) for i in given)


def _refuse_order_of_fft(kernel):
    """An error where the center is in the corner, as FFTs have it."""
    mass = np.abs(kernel)
    if not 0 < mass.max() <= mass.flat[0] or max(kernel.shape) < FEWEST:
        return
    if _spread(np.fft.fftshift(mass)) < CLOSER * _spread(mass):
        raise ValueError(
            "psf has its center in the corner, the order of FFTs: give "
            "np.fft.fftshift(psf), or, if it is meant as it is, origin=(0, ...)"
        )


def _spread(mass):
    """The mean squared distance from the center."""
    total = 0.0
    for axis, n in enumerate(mass.shape):
        along = mass.sum(axis=tuple(a for a in range(mass.ndim) if a != axis))
        total += along @ (np.arange(n) - n // 2) ** 2
    return total / mass.sum()


def _normalized(psf):
    sums = psf.sum(axis=tuple(range(1, psf.ndim)), keepdims=True)
    least = 1e-6 * np.abs(psf).sum()
    if not (sums > least).all():
        raise ValueError(
            "psf must have a positive sum to be divided by, got "
            f"{sums.ravel().tolist()}; normalize=False takes it as it is"
        )
    return psf / sums
