"""
No ringing at the edges of the frame
====================================

The scene goes on beyond the frame, and blur carries some of it into the picture. Most
tools assume something about it and ring at the edges; ``deconvolve`` assumes nothing.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# A real camera: the scene is larger than the picture. Every pixel of the picture is the
# mean over a disc, part of which may lie outside of the frame.

psf = gallery.disc_kernel(5)
margin = psf.shape[0] // 2
scene = gallery.image("brick")[0, 100:300, 100:300]
sharp = scene[margin:-margin, margin:-margin]
picture = imaging.blur(scene, psf, boundary="unknown")
rng = np.random.default_rng(0)
picture += 0.002 * rng.standard_normal(picture.shape)

# %%
# Four beliefs about what is outside: black; the picture again, as FFTs have it; its
# mirror image; and none, which is the default.


def psnr(found):
    return -10 * np.log10(np.mean((found - sharp) ** 2))


boundaries = ("zero", "periodic", "symmetric", "unknown")
found = {
    boundary: imaging.deconvolve(picture, psf, boundary=boundary)
    for boundary in boundaries
}

figure, axes = plt.subplots(2, 2, figsize=(7.4, 7.8))
for ax, (boundary, result) in zip(axes.flat, found.items()):
    ax.imshow(result, vmin=0.2, vmax=0.8)
    ax.set_title(f'"{boundary}": {psnr(result):.1f} dB')
    ax.set_axis_off()

# %%
# The error by the distance to the nearest edge: wrong beliefs cost far more pixels than
# the blur is wide.

rows, columns = np.indices(sharp.shape)
sides = rows, columns, sharp.shape[0] - 1 - rows, sharp.shape[1] - 1 - columns
distance = np.minimum.reduce(sides)
figure, ax = plt.subplots(figsize=(7, 3.8))
for boundary, result in found.items():
    squares = (result - sharp) ** 2
    means = [np.sqrt(squares[distance == d].mean()) for d in range(50)]
    ax.semilogy(means, label=f'"{boundary}"')
ax.axvline(5, color="0.7", linewidth=1, linestyle="--")
ax.set(xlabel="pixels from the edge (dashed: radius of the blur)", ylabel="error")
ax.legend()
