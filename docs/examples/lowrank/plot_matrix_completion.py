"""
Fill in a picture of low rank
=============================

Most entries of a matrix are missing, but it has a low rank: then it can be completed,
by thresholding singular values again and again.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery
from convinv.lowrank import svt
from convinv.operators import MaskOperator
from convinv.proximal import NuclearNorm, admm

# %%
# A brick wall repeats itself, so that few singular values hold most of it. Half of its
# pixels are known.

picture = gallery.image("brick")[0, :128, :128]
rng = np.random.default_rng(0)
known = rng.random(picture.shape) < 0.5
op = MaskOperator(known)

# %%
# The nuclear norm is the sum of the singular values. ``data="hard"`` keeps the known
# pixels to the last bit.

result = admm(op, picture[known], NuclearNorm(), data="hard", rtol=1e-3)


def psnr(found):
    return -10 * np.log10(np.mean((found - picture) ** 2))


holes = np.where(known, picture, 0)
mean = np.where(known, picture, picture[known].mean())
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, shown, title in (
    (axes[0], holes, "half of the pixels"),
    (axes[1], result.x, f"completed: {psnr(result.x):.1f} dB"),
    (axes[2], picture, "the photograph"),
):
    ax.imshow(shown, vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_axis_off()
print(f"gray in place of what is missing: {psnr(mean):.1f} dB")
print(f"known pixels unchanged: {bool(np.all(result.x[known] == picture[known]))}")

# %%
# Singular values: of the photograph, of the picture with holes, whose are spread by the
# randomness of the holes, and of the completed one.

figure, ax = plt.subplots(figsize=(7, 3.8))
for name, shown in (
    ("photograph", picture),
    ("with gray holes", mean),
    ("completed", result.x),
):
    ax.semilogy(np.linalg.svd(shown, compute_uv=False), label=name)
ax.set(xlabel="number", ylabel="singular value", ylim=(1e-2, 100))
ax.legend()

# %%
# The step that does it: `~convinv.lowrank.svt` subtracts a threshold from the singular
# values. More and more of the picture goes, from the finest part on.

figure, axes = plt.subplots(1, 4, figsize=(9, 2.9))
figure.suptitle("thresholds, and the ranks that they leave")
for ax, threshold in zip(axes, (0, 1, 2.5, 8)):
    found = svt(picture, threshold)
    ax.imshow(found, vmin=0, vmax=1)
    rank = np.linalg.matrix_rank(found, tol=1e-8)
    ax.set_title(f"{threshold}: rank {rank}")
    ax.set_axis_off()
