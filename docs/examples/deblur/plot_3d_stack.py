"""
A stack of slices in 3-D
========================

A microscope blurs most along its axis. Deconvolve the stack as one volume, with a point
spread function in three dimensions.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from convinv import gallery, imaging

# %%
# There is no volume among the photographs, so one is built: the coins of a photograph
# float at different depths, each five slices thick.

coins = gallery.image("coins")[0, 24:150, 20:180]
labels, count = ndimage.label(ndimage.binary_opening(coins > 0.45, iterations=2))
middle = np.linspace(4, 15, count + 1)[labels]
depth = np.arange(20)[:, None, None]
volume = np.where(labels > 0, coins, 0) * (abs(depth - middle) < 2.5)

# %%
# The blur is 2.5 slices wide along the axis and 1.2 pixels across. Axes in front of
# those of the psf would be a stack of pictures; here the psf has three axes, and so the
# volume is one picture.

psf = gallery.gaussian_kernel((11, 7, 7), (2.5, 1.2, 1.2))
rng = np.random.default_rng(0)
seen = imaging.blur(volume, psf) + 0.005 * rng.standard_normal(volume.shape)
found = imaging.deconvolve(seen, psf, bounds=(0, None))


def psnr(picture):
    return -10 * np.log10(np.mean((picture - volume) ** 2))


figure, axes = plt.subplots(2, 3, figsize=(9, 3.6), height_ratios=(126, 45))
row, slice_ = 25, 8
for column, shown, title in (
    (axes[:, 0], seen, f"seen: {psnr(seen):.1f} dB"),
    (axes[:, 1], found, f"deconvolved: {psnr(found):.1f} dB"),
    (axes[:, 2], volume, "the volume"),
):
    column[0].imshow(shown[slice_], vmin=0, vmax=0.8)
    column[1].imshow(shown[:, row], vmin=0, vmax=0.8, aspect=2)
    column[0].set_title(title)
    for ax in column:
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel(f"slice {slice_}")
axes[1, 0].set_ylabel("depth")

# %%
# Between the slices, out-of-focus light of other depths is gone: how much of the light
# in the slice belongs there?

inside = volume[slice_] > 0
for name, shown in (("seen", seen), ("deconvolved", found)):
    light = np.maximum(shown[slice_], 0)
    print(f"{name}: {light[inside].sum() / light.sum():.0%} of the light in its place")
