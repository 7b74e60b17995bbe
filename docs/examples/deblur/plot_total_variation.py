"""
Sharp edges: total variation instead of smoothing
=================================================

Smoothing blurs edges. Total variation lets a picture jump, as long as it seldom does,
and suits scenes of even parts with clear outlines.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# The photograph has a sky without detail and a dark coat. It is blurred by a Gaussian
# of 2 pixels, with 2 % noise.

psf = gallery.gaussian_kernel(13, 2.0)
sharp = gallery.image("camera")[0, 60:260, 130:330]
rng = np.random.default_rng(0)
blurred = imaging.blur(sharp, psf) + 0.02 * rng.standard_normal(sharp.shape)


def psnr(picture):
    return -10 * np.log10(np.mean((picture - sharp) ** 2))


# %%
# Three penalties: on differences of neighbors (the default), on second differences, and
# the total variation. All choose their strength from the picture.

found = {
    regularizer: imaging.deconvolve(
        blurred, psf, regularizer=regularizer, boundary="symmetric"
    )
    for regularizer in ("gradient", "laplacian", "tv")
}

figure, axes = plt.subplots(2, 2, figsize=(7, 7.3))
for ax, (name, picture) in zip(axes.flat, {"blurred": blurred, **found}.items()):
    ax.imshow(picture, vmin=0, vmax=1)
    ax.set_title(f"{name}: {psnr(picture):.1f} dB")
    ax.set_axis_off()

# %%
# A row of pixels shows the difference: the edges of total variation are steeper,
# without the bright rim that smoothing leaves, and between them the noise is gone.

row, columns = 120, slice(30, 130)
figure, ax = plt.subplots(figsize=(8, 3.6))
ax.plot(sharp[row, columns], color="0.6", linewidth=3, label="photograph")
ax.plot(blurred[row, columns], ":", label="blurred")
ax.plot(found["gradient"][row, columns], label="gradient")
ax.plot(found["tv"][row, columns], label="tv")
ax.set(xlabel="pixel", ylabel="brightness")
ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.15))

# %%
# Total variation turns ramps into steps. For faces and fur the default is often as
# good, and faster. :doc:`/gallery/deblur/plot_color_photograph` is such a case.
