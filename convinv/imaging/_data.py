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
        b = _arranged(xp, [picture.data for picture in given], per_channel)
        used = None
        if any(picture.used is not None for picture in given):
            known = [
                (
                    xp.ones(picture.data.shape, bool)
                    if picture.used is None
                    else picture.used
                )
                for picture in given
            ]
            used = _arranged(xp, known, per_channel).astype(b.real.dtype)
        if weights is not None:
            part = layout.split(weights_of(weights, layout, xp)).astype(b.real.dtype)
            part = _arranged(xp, [part] * len(given), per_channel)
            used = part if used is None else used * part
        return cls(b, used, per_channel)

    def layout_of(self, x, layout):
        """Scenes ``(items, channels, *size)`` in the layout of the pictures."""
        return layout.join(by_channel(x, self.per_channel, layout.channels))


def arranged(xp, parts, per_channel):
    """``(channels, items, *size)`` of every exposure as right-hand sides."""
    stack = xp.stack(parts)
    size = stack.shape[3:]
    if per_channel:
        stack = xp.moveaxis(stack, 2, 0).swapaxes(1, 2)
        return stack.reshape((stack.shape[0], -1, *size))
    return xp.moveaxis(stack, 0, 2).reshape((-1, len(parts), *size))


def by_channel(x, per_channel, channels):
    """Scenes ``(items, channels, *size)`` as ``(channels, items, *size)`` again."""
    if per_channel:
        return x.swapaxes(0, 1)
    return x.reshape((channels, -1, *x.shape[2:]))


def _arranged(xp, parts, per_channel):
    return xp.ascontiguousarray(arranged(xp, parts, per_channel))


def weights_of(weights, layout, xp):
    """Weights of pixels in the shape of the pictures."""
    if not hasattr(weights, "dtype"):
        weights = np.asarray(weights, float)
    if weights.dtype.kind not in "iufb" or not bool(
        (namespace(weights).isfinite(weights) & (weights >= 0)).all()
    ):
        raise ValueError("weights must be finite and not negative")
    return xp.asarray(_pictures.fitting(weights, layout, "weights"))
