"""A picture in a file as the gallery hands it out: colors between 0 and 1, on white."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import _files


def read(path: Path) -> np.ndarray:
    """The picture in a file as an array (H, W, C) of float64 between 0 and 1.

    Transparent pixels are drawn on white.
    """
    picture = _files.read(path)
    if picture.samples.ndim != (2 if picture.channel_axis is None else 3):
        if picture.samples.ndim < 2:
            raise ValueError(f"{str(path)!r} holds an array with too few axes")
        number = int(np.prod(picture.stacked))
        raise ValueError(f"{str(path)!r} holds {number} images, not one")
    if picture.channels not in (1, 3):
        raise ValueError(
            f"{str(path)!r} has {picture.channels} channels, neither gray nor colors"
        )
    samples = _between_0_and_1(path, picture.samples)
    samples = samples.reshape(*samples.shape[:2], -1)
    if picture.alpha is not None:
        alpha = _between_0_and_1(path, picture.alpha)[:, :, None]
        samples = samples * alpha + 1 - alpha
    return samples


def _between_0_and_1(path: Path, samples: np.ndarray) -> np.ndarray:
    scale = np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1
    if samples.dtype.kind == "c" or not 0 <= samples.min() <= samples.max() <= scale:
        raise ValueError(f"{str(path)!r} holds numbers outside the range of an image")
    return samples.astype(float) / scale
