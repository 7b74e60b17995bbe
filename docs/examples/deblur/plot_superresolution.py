"""
Finer pixels from several exposures
===================================

Four pictures of one scene with coarse pixels, each shifted by half a pixel. Together
they hold the scene at twice the resolution.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# A coarse pixel is the mean of 2 x 2 fine ones. The point spread function of every
# exposure, on the fine pixels, holds this square, at a place that tells the shift.

scene = gallery.image("page")[0]
scene = scene[20:148, 30:286]
shifts = [(0, 0), (0, 1), (1, 0), (1, 1)]
psfs = []
for row, column in shifts:
    psf = np.zeros((4, 4))
    psf[2 - row : 4 - row, 2 - column : 4 - column] = 0.25
    psfs.append(psf)

rng = np.random.default_rng(0)
exposures = [imaging.blur(scene, psf)[::2, ::2] for psf in psfs]
exposures = [e + 0.005 * rng.standard_normal(e.shape) for e in exposures]
print(f"scene {scene.shape}, exposures {exposures[0].shape}")

# %%
# ``stride=2`` asks for two pixels per pixel of the picture along each axis.

four = imaging.deconvolve(exposures, psfs, stride=2)
one = imaging.deconvolve(exposures[:1], psfs[:1], stride=2)
enlarged = exposures[0].repeat(2, axis=0).repeat(2, axis=1)


def psnr(picture):
    return -10 * np.log10(np.mean((picture - scene) ** 2))


figure, axes = plt.subplots(4, 1, figsize=(7, 10), sharex=True)
for ax, picture, title in (
    (axes[0], enlarged, f"one exposure, enlarged: {psnr(enlarged):.1f} dB"),
    (axes[1], one, f"deconvolve of one exposure: {psnr(one):.1f} dB"),
    (axes[2], four, f"deconvolve of four exposures: {psnr(four):.1f} dB"),
    (axes[3], scene, "the scene"),
):
    ax.imshow(picture[10:90, 30:226], vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_axis_off()

# %%
# A single exposure has one number for four unknowns: the strokes stay jagged where the
# smoothest scene is not the true one.
