"""Blurred pictures to try the widget on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import gallery
from ...imaging import blur

Layers = list[tuple[np.ndarray, dict[str, Any], str]]


def photograph() -> Layers:
    """A photograph out of focus: a disc of radius 4, with a little noise."""
    sharp = gallery.image("astronaut", 256, channels_first=False)
    seen = blur(sharp, gallery.disc_kernel(4), channel_axis=-1)
    noise = 0.005 * np.random.default_rng(0).standard_normal(seen.shape)
    attributes = {"name": "photograph (disc, radius 4)", "rgb": True}
    return [((seen + noise).clip(0, 1), attributes, "image")]


def beads() -> Layers:
    """Counts of light from small spheres, blurred by a Gaussian of width 2."""
    rng = np.random.default_rng(0)
    scene = np.full((24, 64, 64), 0.02)
    for center in rng.uniform((4, 6, 6), (20, 58, 58), (25, 3)):
        grid = np.ogrid[:24, :64, :64]
        near = sum((axis - c) ** 2 for axis, c in zip(grid, center))
        scene[near < 3] = 1.0
    seen = blur(scene, gallery.gaussian_kernel((13,) * 3, (2.0,) * 3))
    counts = rng.poisson(2000 * seen).astype(np.float32)
    return [(counts, {"name": "beads (gaussian, 2)"}, "image")]
