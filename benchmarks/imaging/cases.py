"""Scenes, point spread functions and noise; the truth goes on beyond the frame."""

import functools
import zlib
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from convinv import gallery

PHOTOGRAPHS = (  # all of the gallery that are large enough, but for a stain and a pair
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "china",
    "coffee",
    "coins",
    "flower",
    "grass",
    "moon",
    "retina",
    "rocket",
)
STACKS = ("beads", "cells")
NOISES = (0.003, 0.01, 0.03)  # standard deviations; scenes are between 0 and 1
SIDE, STACK = 256, (32, 64, 64)


class Case(NamedTuple):
    """One scene, one blur, one noise."""

    scene: str
    psf: str
    noise: float
    side: int = SIDE

    def __str__(self):
        return f"{self.scene}, {self.psf}, noise {100 * self.noise:g} %"

    def data(self):
        """``(b, x, psf)``: the picture, the scene in its frame, and the blur."""
        psf = point_spread(self.psf)
        size = STACK if self.scene in STACKS else (self.side, self.side)
        reach = [n + k - 1 for n, k in zip(size, psf.shape)]
        scene = stack(self.scene, reach) if psf.ndim == 3 else cut(self.scene, reach)
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        b = valid(scene, psf) + self.noise * rng.standard_normal(size)
        frame = tuple(
            slice(k - 1 - k // 2, k - 1 - k // 2 + n) for k, n in zip(psf.shape, size)
        )
        return b, scene[frame], psf


def cases():
    """All, photographs first."""
    blurs = [(p, name) for p in PHOTOGRAPHS for name in ("Gaussian", "disc", "motion")]
    blurs += [(name, "microscope") for name in STACKS]
    return [Case(*blur, noise) for blur in blurs for noise in NOISES]


QUICK = (
    Case("camera", "Gaussian", 0.01, 128),
    Case("grass", "disc", 0.003, 128),
    Case("moon", "motion", 0.03, 128),
)


@functools.lru_cache
def point_spread(name):
    """A blur by its name."""
    if name == "Gaussian":
        return gallery.gaussian_kernel(13, 1.5)
    if name == "disc":
        return gallery.disc_kernel(5)
    if name == "motion":
        return gallery.line_kernel(15, 30)
    # A beam that is narrowest in the plane of focus, and as bright in every plane.
    z, y, x = np.ogrid[-10:11, -5:6, -5:6]
    width = 1.0 + (z / 4.0) ** 2
    beam = np.exp(-0.5 * (y**2 + x**2) / width) / width
    beam = beam * np.exp(-0.5 * (z / 4.0) ** 2)
    return beam / beam.sum()


@functools.lru_cache(maxsize=32)
def gray(name):
    """A photograph in full size, the mean of its channels."""
    return gallery.image(name).mean(axis=0)


def cut(name, size):
    """The middle of a photograph."""
    picture = gray(name)
    first = [(n - m) // 2 for n, m in zip(picture.shape, size)]
    return picture[tuple(slice(f, f + m) for f, m in zip(first, size))]


def stack(name, size):
    """A simulated stack of fluorescence."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name == "beads":
        x = np.zeros(size)
        count = int(np.prod(size)) // 400
        np.add.at(x, tuple(rng.integers(0, n, count) for n in size), 1)
        x = ndimage.gaussian_filter(x, 1.0)
        return 0.05 + 0.9 * x / x.max()
    x = ndimage.gaussian_filter(rng.standard_normal(size), 3.0)
    return np.clip(0.5 + 0.4 * x / x.std() * (abs(x) > 0.5 * x.std()), 0, 1)


def valid(x, psf):
    """The blur where nothing beyond the scene reaches."""
    size = [fft.next_fast_len(n, real=True) for n in x.shape]
    b = fft.irfftn(fft.rfftn(x, size) * fft.rfftn(psf, size), size)
    return b[tuple(slice(k - 1, n) for k, n in zip(psf.shape, x.shape))]
