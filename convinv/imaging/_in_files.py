"""The problem of `deconvolve` for pictures in files, solved from file to file."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._files import Store
from .._out_of_core import Frames
from .._solve.penalties import regularizers
from ..operators._stacked import StackedOperator
from . import _frames, _pictures, _point_spread
from ._camera import camera, check_boundary
from ._large import Large
from ._smoothness import chosen


class FileProblem:
    """The smoothest scene that explains the pictures of a store.

    Parameters
    ----------
    store : Store
    psf : ndarray
    channel_axis, boundary, strength, noise
        As `deconvolve` has them; a strength of None is the automatic one.

    Attributes
    ----------
    frames : convinv._out_of_core.Frames
        The right-hand sides.
    strength, noise : float
    op : ConvLinearOperator or StackedOperator
        The blur of one of them, and the penalty below it.
    frame : tuple of slice
        The part of a scene that a picture shows.
    """

    def __init__(
        self,
        store: Store,
        psf: np.ndarray,
        channel_axis: int | None,
        boundary: str,
        strength: float | None,
        noise: float | None,
    ):
        check_boundary(boundary)
        axes = _point_spread.spatial_axes(psf, store.ndim, channel_axis)
        layout = _pictures.layout_of(store.shape, axes, channel_axis, repr(store.path))
        spread = _point_spread.read(
            [psf], [store.shape], layout.channel_axis, None, True
        )
        self.frames = Frames(store, axes, channel_axis, spread.per_channel)
        steps = (1,) * axes
        view = camera(spread, layout.size, boundary, steps, self.frames.dtype)
        signed = store.dtype.kind == "i"  # these have no brightest value
        sample: Any = _frames.Frames.of([store], layout, spread.per_channel, signed)
        large = Large(sample, spread, view, steps)
        self.strength, self.noise, _ = chosen(large, "gradient", strength, noise)
        self.op, self.frame = view.op, view.frame
        if self.strength:
            (penalty,) = regularizers("gradient", view.op)
            self.op = StackedOperator([view.op, penalty.scaled(self.strength)])
