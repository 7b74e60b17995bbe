"""
Missing and dead pixels
=======================

A sensor has dead lines, and somebody wrote on the picture. Say which pixels count, and
the others are filled in from what the blur spread to their neighbors.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# A blurred photograph; one pixel in five is dead, and so are two whole lines. The mask
# is True where a pixel is good.

sharp = gallery.image("coffee", channels_first=False)[60:260, 180:400]
psf = gallery.disc_kernel(2)
rng = np.random.default_rng(0)
blurred = imaging.blur(sharp, psf, channel_axis=-1)
blurred += 0.005 * rng.standard_normal(blurred.shape)
good = rng.random(sharp.shape[:2]) > 0.2
good[[70, 71]] = False
seen = np.where(good[..., None], blurred, 0)

# %%
# The mask has no color axis, so that it holds for all three colors. NaNs in the picture
# and masked arrays of NumPy do the same.

found = imaging.deconvolve(seen, psf, mask=good, channel_axis=-1)
ignorant = imaging.deconvolve(seen, psf, channel_axis=-1)


def psnr(picture):
    return -10 * np.log10(np.mean((picture - sharp) ** 2))


figure, axes = plt.subplots(2, 2, figsize=(8, 7.6))
for ax, picture, title in (
    (axes[0, 0], seen, f"the picture: {psnr(seen):.1f} dB"),
    (axes[0, 1], ignorant, f"without the mask: {psnr(ignorant):.1f} dB"),
    (axes[1, 0], found, f"with the mask: {psnr(found):.1f} dB"),
    (axes[1, 1], sharp, "the photograph"),
):
    ax.imshow(np.clip(picture, 0, 1))
    ax.set_title(title)
    ax.set_axis_off()

# %%
# Pixels of different quality are a matter of ``weights=``: how much each counts in the
# sum of squares, one over the variance of its noise.
print(f"dead pixels: {1 - good.mean():.0%}")
