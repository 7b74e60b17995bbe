"""Pictures as right-hand sides, and scenes as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.arrays import namespace
from . import _pictures


@dataclass(frozen=True)
class Data:
    """Right-hand sides ``(items, exposures and channels, *size)`` and their weights.

    With one point spread function for all channels these are items.
    """

    b: Any
    weights: Any
    per_channel: bool

    @classmethod
    def of(cls, given, spread, weights):
        layout = given[0].layout
        xp = namespace(given[0].data)
        per_channel = spread.per_channel

        def arranged(parts):
            stack = xp.stack(parts)  # exposures, channels, items, *size
            if per_channel:
                stack = xp.moveaxis(stack, 2, 0).swapaxes(1, 2)
                stack = stack.reshape(len(stack), -1, *layout.size)
            else:
                stack = xp.moveaxis(stack, 0, 2)
                stack = stack.reshape(-1, len(given), *layout.size)
            return xp.ascontiguousarray(stack)

        b = arranged([picture.data for picture in given])
        used = None
        if any(picture.used is not None for picture in given):
            used = arranged(
                [
                    (
                        xp.ones(picture.data.shape, bool)
                        if picture.used is None
                        else picture.used
                    )
                    for picture in given
                ]
            ).astype(b.real.dtype)
        if weights is not None:
            part = layout.split(weights_of(weights, layout, xp)).astype(b.real.dtype)
            part = arranged([part] * len(given))
            used = part if used is None else used * part
        return cls(b, used, per_channel)

    def layout_of(self, x, layout):
        """Scenes ``(items, channels, *size)`` in the layout of the pictures."""
        if self.per_channel:
            x = x.swapaxes(0, 1)
        else:
            x = x.reshape(layout.channels, -1, *x.shape[2:])
        return layout.join(x)


def weights_of(weights, layout, xp):
    """Weights of pixels in the shape of the pictures."""
    if not hasattr(weights, "dtype"):
        weights = np.asarray(weights, float)
    if weights.dtype.kind not in "iufb" or not bool(
        (namespace(weights).isfinite(weights) & (weights >= 0)).all()
    ):
        raise ValueError("weights must be finite and not negative")
    return xp.asarray(_pictures.fitting(weights, layout, "weights"))
