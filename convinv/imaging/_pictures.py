"""Pictures of any layout as arrays ``(channels, items, *size)``, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from .._core.arrays import contiguous, namespace, to_numpy
from .._core.validation import boolean


@dataclass(frozen=True)
class Layout:
    """Where the axes of pictures are."""

    shape: tuple[int, ...]
    channel_axis: int | None
    axes: int  # spatial ones, the last without the channels

    @property
    def channels(self) -> int:
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def size(self) -> tuple[int, ...]:
        return self._rest()[-self.axes :]

    @property
    def lead(self) -> tuple[int, ...]:
        """The shape of the stack that the pictures are in."""
        return self._rest()[: -self.axes]

    def _rest(self):
        return tuple(n for a, n in enumerate(self.shape) if a != self.channel_axis)

    def split(self, array):
        """As ``(channels, items, *size)``."""
        if self.channel_axis is not None:
            array = namespace(array).moveaxis(array, self.channel_axis, 0)
        return array.reshape((self.channels, math.prod(self.lead), *self.size))

    def join(self, array):
        """``(channels, items, *any size)`` in the layout of the pictures."""
        xp = namespace(array) or np  # arrays of Dask go by NumPy's protocol
        array = array.reshape((self.channels, *self.lead, *array.shape[2:]))
        if self.channel_axis is None:
            return array[0]
        return contiguous(xp.moveaxis(array, 0, self.channel_axis))

    def of_one(self):
        """That of a stack of one picture."""
        lead = len(self.shape) - self.axes - (self.channel_axis is not None)
        shape = [*[1] * lead, *self.size]
        if self.channel_axis is not None:
            shape.insert(self.channel_axis, self.channels)
        return replace(self, shape=tuple(shape))

    def index(self, box, place=None, channel=None):
        """Where a box of the spatial axes is, of all pictures or of one, as slices."""
        lead = [slice(i, i + 1) for i in place or ()] or [slice(None)] * len(self.lead)
        found = [*lead, *box]
        if self.channel_axis is not None:
            part = slice(None) if channel is None else slice(channel, channel + 1)
            found.insert(self.channel_axis, part)
        return tuple(found)


@dataclass(frozen=True)
class Pictures:
    """Samples ``(channels, items, *size)``, and which of them are known.

    Attributes
    ----------
    data : array
        Real or complex; the samples that are not known are made up from their
        neighbors.
    used : array of bool, or None
        The samples that are known, if not all are.
    """

    data: Any
    used: Any
    layout: Layout


def read(image, axes, channel_axis, preserve_range, mask=None, name="image"):
    """`Pictures` of an array, a masked array, or one with NaNs."""
    missing = None
    if isinstance(image, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(image)
        image = image.data
    if not hasattr(image, "dtype"):
        image = np.asarray(image)
    data = floating(image, preserve_range, name)
    layout = layout_of(data.shape, axes, channel_axis, name)
    xp = namespace(data)
    bad = xp.isnan(data)
    if missing is not None:
        bad = bad | xp.asarray(missing)
    if mask is not None:
        bad = bad | ~xp.asarray(booleans(mask, layout))
    if not bool(xp.isfinite(xp.where(bad, 0, data)).all()):
        raise ValueError(
            f"{name} holds infinity; pixels without a value may be NaN, masked in a "
            "numpy.ma array, or False in mask"
        )
    data, bad = layout.split(data), layout.split(bad)
    if not bool(bad.any()):
        return Pictures(data, None, layout)
    if bool(bad.all()):
        raise ValueError(f"{name} has no pixel with a value: all are NaN or masked")
    return Pictures(filled(data, ~bad), ~bad, layout)


def layout_of(shape, axes, channel_axis, name="image") -> Layout:
    """The layout of an array of pictures with this number of spatial axes."""
    ndim = len(shape)
    if channel_axis is not None:
        if not -ndim <= channel_axis < ndim:
            raise ValueError(
                f"channel_axis must be an axis of {name} of shape {shape}, got "
                f"{channel_axis!r}"
            )
        channel_axis = channel_axis % ndim
    spatial = ndim - (channel_axis is not None)
    if spatial < axes:
        beside = "" if channel_axis is None else " beside the channels"
        raise ValueError(
            f"{name} must have at least the {axes} axes of psf{beside}, got shape "
            f"{shape}" + _hint(shape, channel_axis)
        )
    if 0 in shape:
        raise ValueError(f"{name} is empty: its shape is {shape}")
    if channel_axis is None and spatial == axes + 1 and shape[-1] in (3, 4):
        raise ValueError(
            f"{name} of shape {shape} looks like colors in the last axis: give "
            f"channel_axis=-1, or for a stack of pictures {shape[-1]} pixels wide move "
            "the colors away or put np.newaxis in front"
        )
    return Layout(tuple(shape), channel_axis, axes)


def _hint(shape, channel_axis):
    if channel_axis is None and len(shape) > 2:
        return "; for colors give channel_axis"
    return ""


def floating(image, preserve_range, name="image"):
    """As a floating-point array; integers between 0 (or -1) and 1 unless preserved."""
    boolean(preserve_range, "preserve_range")
    dtype = np.dtype(image.dtype)
    if dtype.kind in "iu":
        scaled = image.astype(np.float64)
        if preserve_range:
            return scaled
        return (scaled / np.iinfo(dtype).max).clip(-1.0, 1.0)
    if dtype.kind == "b":
        return image.astype(np.float64)
    if dtype.kind not in "fc":
        raise TypeError(f"{name} must hold numbers, got dtype {dtype}")
    if dtype.itemsize < 4:
        return image.astype(np.float32)
    precise = np.complex128 if dtype.kind == "c" else np.float64
    if dtype.itemsize > np.dtype(precise).itemsize:
        return image.astype(precise)
    return image.astype(dtype.newbyteorder("="), copy=False)


def booleans(mask, layout):
    """The mask in the shape of the pictures."""
    if not hasattr(mask, "dtype"):
        mask = np.asarray(mask)
    if np.dtype(mask.dtype).kind != "b":
        raise TypeError(
            "mask must hold booleans, True where a pixel is used, got dtype "
            f"{mask.dtype}"
        )
    return fitting(mask, layout, "mask")


def fitting(array, layout, name):
    """An array that broadcasts to the shape of the pictures; an error if not.

    One without a channel axis holds for all channels.
    """
    xp = namespace(array)
    given = array.shape
    if layout.channel_axis is not None and array.ndim == len(layout.shape) - 1:
        array = xp.expand_dims(array, layout.channel_axis)
    try:
        return xp.broadcast_to(array, layout.shape)
    except ValueError:
        raise ValueError(
            f"{name} must broadcast to the shape {layout.shape} of image, got {given}"
        ) from None


def filled(data, used):
    """Samples that are not used, from those around them."""
    xp = namespace(data)
    weights = to_numpy(used)
    known = np.where(weights, to_numpy(data), 0)
    values = known.copy()
    weights = weights.astype(values.real.dtype)
    missing, width = weights == 0, 1.0
    while missing.any() and width < 2 * max(data.shape[2:]):
        widths = (0, 0, *[width] * (data.ndim - 2))
        total = ndimage.gaussian_filter(known, widths, mode="constant")
        share = ndimage.gaussian_filter(weights, widths, mode="constant")
        near = missing & (share > 1e-3)
        values[near] = total[near] / share[near]
        missing, width = missing & ~near, 2 * width
    values[missing] = np.average(values, weights=weights)
    return xp.asarray(values)
