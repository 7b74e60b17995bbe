"""
Overexposed lights: leave them out, and hold the scene positive
===============================================================

Bright lights saturate the sensor, so that those pixels tell a wrong number. Mask them,
and keep the scene between bounds.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# Galaxies and stars, some of them three times brighter than the sensor can show. The
# telescope is out of focus, and the sensor clips at 1.

scene = 3 * gallery.image("hubble_deep_field").mean(axis=0)[100:320, 200:440]
psf = gallery.disc_kernel(4)
rng = np.random.default_rng(0)
exposed = imaging.blur(scene, psf) + 0.005 * rng.standard_normal(scene.shape)
picture = np.clip(exposed, 0, 1)
saturated = picture >= 1
print(f"saturated: {saturated.mean():.1%} of the pixels")

# %%
# As it is, the clipped lights ring far into the dark. Without the saturated pixels
# nothing contradicts the scene, and ``bounds`` forbids negative light.

naive = imaging.deconvolve(picture, psf)
masked = imaging.deconvolve(picture, psf, mask=~saturated)
bounded = imaging.deconvolve(picture, psf, mask=~saturated, bounds=(0, None))


def psnr(found):
    """Of what the sensor could show of the scene."""
    return -10 * np.log10(np.mean((np.clip(found, 0, 1) - np.clip(scene, 0, 1)) ** 2))


figure, axes = plt.subplots(2, 2, figsize=(8, 7.6))
for ax, found, title in (
    (axes[0, 0], picture, "the picture"),
    (axes[0, 1], naive, "saturated pixels believed"),
    (axes[1, 0], masked, "left out"),
    (axes[1, 1], bounded, "left out, not negative"),
):
    ax.imshow(found, vmin=0, vmax=1)
    ax.set_title(f"{title}: {psnr(found):.1f} dB")
    ax.set_axis_off()

# %%
for name, found in (("believed", naive), ("left out", masked), ("bounded", bounded)):
    print(f"{name:9} darkest pixel {found.min():6.2f}, brightest {found.max():5.2f}")
