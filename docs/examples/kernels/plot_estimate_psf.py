"""
Measure the blur from a pair of pictures
========================================

You have a sharp and a blurred picture of one scene: a target on the wall, say. The
point spread function follows from them, and sharpens other pictures.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# The camera shakes in the same way for two exposures. The first shows a scene of which
# a sharp picture exists.

rng = np.random.default_rng(1)
psf = gallery.motion_kernel(13, rng=2)


def exposed(picture):
    return imaging.blur(picture, psf) + 0.005 * rng.standard_normal(picture.shape)


target = gallery.image("page")[0, :180, :300]
blurred_target = exposed(target)
found = imaging.estimate_psf(target, blurred_target, 13)

figure, axes = plt.subplots(2, 2, figsize=(9, 6.2), width_ratios=(1.6, 1))
for ax, shown, title in (
    (axes[0, 0], target, "target"),
    (axes[1, 0], blurred_target, "blurred, noise 0.5 %"),
    (axes[0, 1], found, "estimated blur"),
    (axes[1, 1], psf, "true blur"),
):
    limits = (0, 1) if shown.shape == target.shape else (0, psf.max())
    ax.imshow(shown, vmin=limits[0], vmax=limits[1])
    ax.set_title(title)
    ax.set_axis_off()
print(f"relative error: {np.linalg.norm(found - psf) / np.linalg.norm(psf):.1%}")

# %%
# The estimate does its work on a picture that it has never seen.

scene = gallery.image("camera")[0, 60:300, 110:350]
seen = exposed(scene)


def psnr(picture):
    return -10 * np.log10(np.mean((picture - scene) ** 2))


figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, picture, title in (
    (axes[0], seen, "blurred"),
    (axes[1], imaging.deconvolve(seen, found), "by the estimate"),
    (axes[2], imaging.deconvolve(seen, psf), "by the true blur"),
):
    ax.imshow(picture, vmin=0, vmax=1)
    ax.set_title(f"{title}: {psnr(picture):.1f} dB")
    ax.set_axis_off()
