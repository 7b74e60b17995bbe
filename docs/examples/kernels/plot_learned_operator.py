"""
Learn an operator from examples of it
=====================================

Nobody knows the operator, but there are pictures and what it made of them. Its singular
value decomposition on their span predicts and inverts, without any model.
"""

# sphinx_gallery_thumbnail_number = 3
import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging
from convinv.learning import SpectralOperator

# %%
# The unknown operator blurs patches of 16 x 16 pixels by a lens out of focus. There are
# 600 training pairs, taken from a photograph.

psf = gallery.disc_kernel(2)


def patches(picture, count, rng):
    places = rng.integers(0, np.array(picture.shape) - 16, (count, 2))
    return np.stack([picture[r : r + 16, c : c + 16] for r, c in places])


def unknown(pictures):
    return imaging.blur(pictures, psf)


rng = np.random.default_rng(0)
training = patches(gallery.image("camera")[0], 600, rng)
learned = SpectralOperator.fit(training, unknown(training))
print(learned)

figure, axes = plt.subplots(2, 8, figsize=(9, 2.7))
for ax, mode, value in zip(axes.T, learned.u[:8], learned.s[:8]):
    for part, shown in zip(ax, (mode, unknown(mode))):
        part.imshow(shown, vmin=-0.2, vmax=0.2)
        part.set_axis_off()
    ax[0].set_title(f"{value:.2f}")
figure.suptitle("singular vectors and values: inputs, and what becomes of them")

# %%
# New patches, of another part of the photograph. More pairs than pixels determine the
# operator completely, so that exact data come back exactly; with noise, keep fewer
# singular values or give a ``damp``.

fresh = patches(gallery.image("camera")[0, 100:300, 150:350], 200, rng)
data = unknown(fresh)
noisy = data + 0.005 * rng.standard_normal(data.shape)


def error(found):
    return np.linalg.norm(found - fresh) / np.linalg.norm(fresh)


print(f"prediction: {np.abs(learned.predict(fresh) - data).max():.0e}")
print(f"inverse of exact data: {error(learned.reconstruct(data)):.0e}")
damps = np.geomspace(1e-4, 1, 17)
errors = [error(learned.reconstruct(noisy, damp=damp)) for damp in damps]

figure, ax = plt.subplots(figsize=(7, 3.8))
ax.loglog(damps, errors, "o-", label="learned inverse, by damp")
ax.axhline(error(noisy), color="0.5", linestyle="--", label="the blurred patches")
ax.set(xlabel="damp", ylabel="relative error")
ax.legend()

# %%
# Blurred patches with noise, and what the learned inverse makes of them with the best
# of these dampings.

found = learned.reconstruct(noisy, damp=damps[np.argmin(errors)])
figure, axes = plt.subplots(3, 8, figsize=(9, 3.9))
for row, pictures, title in zip(
    axes, (noisy, found, fresh), ("blurred", "found", "truth")
):
    for ax, picture, truth in zip(row, pictures, fresh):
        ax.imshow(picture, vmin=truth.min(), vmax=truth.max())
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(title)
