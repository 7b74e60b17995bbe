"""
Bring two pictures to the same sharpness
========================================

To compare pictures of two telescopes, or of two evenings, blur the sharper one until
both have the same point spread function. Which kernel does that?
"""

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# Two point spread functions: one narrow and round, one wide and long.

narrow = gallery.gaussian_kernel(31, 1.2)
wide = gallery.gaussian_kernel(31, (2.0, 3.0))
kernel = imaging.match_psf(narrow, wide, size=21)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, shown, title in (
    (axes[0], narrow, "sharper picture"),
    (axes[1], wide, "broader picture"),
    (axes[2], np.pad(kernel, 5), "kernel between them"),
):
    ax.imshow(shown)
    ax.set_title(title)
    ax.set_axis_off()

# %%
# Blurred by the kernel, the picture of the first telescope looks like that of the
# second, and their difference shows what has changed in the sky: a new star.

sky = gallery.image("hubble_deep_field").mean(axis=0)[100:340, 100:400]
later = sky.copy()
later[116:119, 150:153] += 1.5
rng = np.random.default_rng(0)
first = imaging.blur(sky, narrow) + 0.003 * rng.standard_normal(sky.shape)
second = imaging.blur(later, wide) + 0.003 * rng.standard_normal(sky.shape)
matched = imaging.blur(first, kernel)

figure, axes = plt.subplots(2, 2, figsize=(9, 7.4))
for ax, shown, title, limits in (
    (axes[0, 0], first, "first evening", (0, 0.8)),
    (axes[0, 1], second, "second evening, wider blur", (0, 0.8)),
    (axes[1, 0], second - first, "difference as it is", (-0.2, 0.2)),
    (axes[1, 1], second - matched, "difference after matching", (-0.2, 0.2)),
):
    ax.imshow(shown, vmin=limits[0], vmax=limits[1])
    ax.set_title(title)
    ax.set_axis_off()
print(f"standard deviation: {np.std(second - first):.4f} as it is,", end=" ")
print(f"{np.std(second - matched):.4f} after matching")
