"""Samples of files as numbers to compute with, and back."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from .._files import Picture
from ._errors import UsageError


def as_floats(samples: np.ndarray) -> np.ndarray:
    """Floats as they are, unsigned integers as fractions of the largest one.

    Integers in double precision; signed ones, which have no brightest value, are not
    scaled.
    """
    if samples.dtype.kind == "b":
        raise ValueError("an array of True and False is no picture: save it as numbers")
    if samples.dtype.kind == "u":
        return np.divide(samples, np.iinfo(samples.dtype).max, dtype=np.float64)
    if samples.dtype.kind in "fc" and samples.dtype.itemsize >= 4:
        return samples
    return samples.astype(np.float32 if samples.dtype.kind == "f" else np.float64)


def as_stored(x: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, float]:
    """Numbers in the dtype of a file, and the share of them that had to be clipped."""
    if dtype.kind not in "ui":
        return x.astype(dtype), 0.0
    ends = np.iinfo(dtype)
    scaled = x.astype(np.float64) * (ends.max if dtype.kind == "u" else 1)
    outside = (scaled < ends.min - 0.5) | (scaled > ends.max + 0.5)
    top = float(ends.max)
    if int(top) > ends.max:  # 64 bits, which a double rounds up
        top = float(np.nextafter(top, 0))
    stored = np.clip(np.rint(scaled), ends.min, top).astype(dtype)
    return stored, float(outside.mean())


def with_channel_axis(picture: Picture, args: argparse.Namespace) -> Picture:
    """The picture whose colors are on the axis that ``--channel-axis`` names.

    Arrays say of no axis that it holds colors.
    """
    if not hasattr(args, "channel_axis"):
        return picture
    axis, samples = args.channel_axis, picture.samples
    if axis is None:
        return replace(picture, channel_axis=None)
    if picture.alpha is not None or not -samples.ndim <= axis < samples.ndim:
        raise UsageError(
            f"--channel-axis {axis} is no axis of an array of shape {samples.shape} "
            "without opacity"
        )
    metadata = {**picture.metadata, "array": {"channel_axis": axis % samples.ndim}}
    samples = np.moveaxis(samples, axis, -1)
    return replace(picture, samples=samples, channel_axis=-1, metadata=metadata)
