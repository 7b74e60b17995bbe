"""Pictures and point spread functions as scikit-image takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._core.arrays import namespace
from ..._core.typing import AnyArray
from ...imaging import _pictures, _point_spread
from ...imaging._camera import camera, check_boundary
from ...imaging._data import Data
from ...imaging._exposed import Exposed


@dataclass(frozen=True)
class Framed:
    """A picture with its blur, and where its pixels are in the scene."""

    exposed: Exposed
    layout: Any

    def picture(self, scene: AnyArray, clip: bool) -> AnyArray:
        """The part of a scene ``(1, 1, *size)`` in the frame, if asked for clipped."""
        shown = scene[(slice(None), slice(None), *self.exposed.camera.frame)]
        picture = self.exposed.data.layout_of(shown, self.layout)
        return picture.clip(-1, 1) if clip else picture


def framed(
    image: Any, psf: Any, boundary: str, *, origin: tuple[int, ...], normalize: bool
) -> Framed:
    """A picture of one channel, its values as they are, with its blur."""
    check_boundary(boundary)
    axes = image.ndim
    if psf.ndim != axes:
        raise ValueError(
            f"psf must have the {axes} axes of image, got {psf.ndim}; for colors call "
            "it with one channel after the other, or take convinv.imaging.deconvolve"
        )
    given = _pictures.read(image, axes, None, preserve_range=True)
    spread = _point_spread.read([psf], [image.shape], None, origin, normalize)
    data = Data.of([given], spread, None)
    step = (1,) * axes
    dtype, xp = data.b.dtype, namespace(data.b)
    view = camera(spread, given.layout.size, boundary, step, dtype, xp)
    return Framed(Exposed(data, spread, view, step), given.layout)


def array_of(values: Any) -> AnyArray:
    """An array of any library, or of numbers in lists."""
    return values if hasattr(values, "dtype") else np.asarray(values)
