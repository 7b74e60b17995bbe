"""
Remove motion blur
==================

The camera moved along a straight line while the shutter was open. If you know how far
and in which direction, the motion can be taken out.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# A motion over 15 pixels, 30 degrees from the horizontal. The photograph is blurred
# without knowing anything beyond its frame, as a camera does it: the scene is a little
# larger than the picture. Then comes noise of 1 % of the full range.

psf = gallery.line_kernel(15, angle=30)
scene = gallery.image("camera")[0, 60:330, 100:380]
blurred = imaging.blur(scene, psf, boundary="unknown")
rng = np.random.default_rng(0)
blurred += 0.01 * rng.standard_normal(blurred.shape)

# the part of the scene that is in the frame of the picture
top, left = psf.shape[0] // 2, psf.shape[1] // 2
sharp = scene[top:, left:][: blurred.shape[0], : blurred.shape[1]]

# %%
# One call, without any parameter to tune.

found = imaging.deconvolve(blurred, psf)


def psnr(picture):
    return -10 * np.log10(np.mean((picture - sharp) ** 2))


figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for ax, picture, title in (
    (axes[0], blurred, f"moved: {psnr(blurred):.1f} dB"),
    (axes[1], found, f"deconvolved: {psnr(found):.1f} dB"),
    (axes[2], sharp, "the photograph"),
):
    ax.imshow(picture, vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_axis_off()

# %%
# The blur must be the right one. With a wrong angle the picture rings along the
# motion; with a wrong length it rings too.

guesses = {
    "angle 10 degrees off": gallery.line_kernel(15, angle=40),
    "length 15": psf,
    "length 20": gallery.line_kernel(20, angle=30),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for ax, (name, guess) in zip(axes, guesses.items()):
    picture = imaging.deconvolve(blurred, guess)
    ax.imshow(picture, vmin=0, vmax=1)
    ax.set_title(f"{name}: {psnr(picture):.1f} dB")
    ax.set_axis_off()

# %%
# `convinv.gallery.motion_kernel` draws the path of a camera that shakes. If the blur is
# unknown but a sharp picture of the same scene exists, it can be measured: see
# :doc:`/gallery/kernels/plot_estimate_psf`.
