"""
Deblur a color photograph
=========================

You have a blurred photograph in color and know the blur. One call sharpens it.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# The picture: a photograph, blurred by a Gaussian with a standard deviation of 1.5
# pixels, with a little noise. Its colors are on the last axis, as in scikit-image.

sharp = gallery.image("chelsea", channels_first=False)[30:270, 80:360]
psf = gallery.gaussian_kernel(13, 1.5)
rng = np.random.default_rng(0)
blurred = imaging.blur(sharp, psf, channel_axis=-1)
blurred += 0.005 * rng.standard_normal(blurred.shape)

# %%
# `~convinv.imaging.deconvolve` needs the picture, the point spread function and the
# axis of the colors. It estimates the noise and chooses how much to smooth.

found = imaging.deconvolve(blurred, psf, channel_axis=-1)


def psnr(picture):
    """Peak signal-to-noise ratio in decibels: higher is nearer to the photograph."""
    return -10 * np.log10(np.mean((picture - sharp) ** 2))


figure, axes = plt.subplots(1, 3, figsize=(9, 3))
for ax, picture, title in (
    (axes[0], blurred, f"blurred: {psnr(blurred):.1f} dB"),
    (axes[1], found, f"deconvolved: {psnr(found):.1f} dB"),
    (axes[2], sharp, "the photograph"),
):
    ax.imshow(np.clip(picture, 0, 1))
    ax.set_title(title)
    ax.set_axis_off()

# %%
# The same in numbers. A solve with ``return_result=True`` also says what it chose.

result = imaging.deconvolve(blurred, psf, channel_axis=-1, return_result=True)
print(f"noise: estimated {result.extra['noise']:.4f}, true 0.0050")
print(f"strength of the smoothing: {result.extra['strength']:.4f}")
print(f"error: {np.std(blurred - sharp):.4f} before, {np.std(found - sharp):.4f} after")
