"""Seconds of deconvolve, its strength included, over those of unsupervised_wiener."""

import numpy as np
from skimage import restoration

from convinv import gallery, imaging

from ..support.measure import interleaved
from .cases import point_spread

BARS = {"512x512, gray": 1.5, "2048x2048, colors": 1.0}
PICTURES = {  # the photograph, its side and its number of channels
    "512x512, gray": (512, 1),
    "2048x2048, colors": (2048, 3),
}
QUICK = {"128x128, gray": (128, 1)}
NOISE = 0.01


def measure(name, pictures, psf_name, seconds):
    """A row of the table."""
    side, channels = pictures[name]
    b, psf = picture(side, channels, psf_name)

    def ours():
        imaging.deconvolve(b, psf, channel_axis=-1)

    def theirs():
        for channel in range(channels):
            restoration.unsupervised_wiener(b[..., channel], psf, rng=0)

    times = interleaved({"ours": ours, "theirs": theirs}, seconds, rounds=3)
    result = imaging.deconvolve(b, psf, channel_axis=-1, return_result=True)
    return {
        "picture": name,
        "psf": psf_name,
        "seconds": times["ours"],
        "unsupervised_wiener": times["theirs"],
        "ratio": times["ours"].over(times["theirs"])[0],
        "method": result.method,
        "nit": result.nit,
    }


def picture(side, channels, psf_name):
    """A blurred and noisy photograph ``(side, side, channels)``, and its blur."""
    psf = point_spread(psf_name)
    photograph = gallery.image("astronaut", min(side, 512))[:channels]
    times = -(-(side + max(psf.shape)) // photograph.shape[-1])
    mirrored = np.concatenate([photograph, photograph[:, ::-1]], axis=1)
    mirrored = np.concatenate([mirrored, mirrored[:, :, ::-1]], axis=2)
    tiled = np.tile(mirrored, (1, times, times))
    scene = tiled[:, : side + psf.shape[0] - 1, : side + psf.shape[1] - 1]
    b = imaging.blur(scene, psf, channel_axis=0, boundary="unknown")
    b += NOISE * np.random.default_rng(0).standard_normal(b.shape)
    return np.ascontiguousarray(np.moveaxis(b, 0, -1)), psf
