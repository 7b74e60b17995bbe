"""A picture as its file has it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Picture:
    """Samples of a picture, a stack of pictures or a volume, and what came with them.

    Attributes
    ----------
    samples : ndarray, shape (..., H, W) or (..., H, W, C)
        Upright, in the file's dtype: integers use their whole range, black is 0.
    channel_axis : None or -1
        -1 if the last axis has the colors.
    alpha : ndarray, shape (..., H, W), optional
        The opacity of every pixel, in the dtype of the samples.
    metadata : dict
        What the file says about the picture: under "exif", "icc" and "xmp" bytes, under
        "dpi" dots per inch across and down, under "text" a dict, under "png", "jpeg",
        "tiff" and "array" what the writer of that format alone understands.
    """

    samples: np.ndarray
    channel_axis: int | None = None
    alpha: np.ndarray | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Colors of a pixel, without its opacity."""
        return 1 if self.channel_axis is None else self.samples.shape[-1]

    @property
    def stacked(self) -> tuple[int, ...]:
        """The axes before height and width: () for one flat picture."""
        return self.samples.shape[: -2 if self.channel_axis is None else -3]

    def with_samples(self, samples: np.ndarray) -> Picture:
        """The same with other samples."""
        return replace(self, samples=samples)

    def interleaved(self) -> np.ndarray:
        """Colors and opacity on one last axis; no such axis for gray without it."""
        if self.alpha is None:
            return self.samples
        colors = self.samples
        if self.channel_axis is None:
            colors = colors[..., None]
        return np.concatenate([colors, self.alpha[..., None]], axis=-1)


def split_alpha(samples: np.ndarray, metadata: dict[str, Any]) -> Picture:
    """A picture from gray and opacity, or from colors and opacity, interleaved."""
    colors, alpha = samples[..., :-1], np.ascontiguousarray(samples[..., -1])
    if colors.shape[-1] == 1:
        return Picture(np.ascontiguousarray(colors[..., 0]), None, alpha, metadata)
    return Picture(np.ascontiguousarray(colors), -1, alpha, metadata)


def check_flat(picture: Picture, name: str, dtypes: tuple[Any, ...]) -> None:
    """Raise unless it is one flat picture in gray or three colors of these dtypes."""
    way_out = "; .tif and .npy files can"
    if picture.samples.dtype not in [np.dtype(dtype) for dtype in dtypes]:
        bits = " or ".join(np.dtype(dtype).name for dtype in dtypes)
        raise ValueError(
            f"a {name} file holds samples of {bits}, not {picture.samples.dtype}"
            f"{way_out}"
        )
    if picture.stacked:
        raise ValueError(f"a {name} file can't hold a stack or a volume{way_out}")
    if picture.channels not in (1, 3):
        raise ValueError(
            f"a {name} file holds gray or 3 colors, not {picture.channels}{way_out}"
        )
