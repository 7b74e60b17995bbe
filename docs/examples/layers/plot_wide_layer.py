"""
What a layer cannot see: the null space
=======================================

A layer with fewer outputs than inputs loses a part of every picture. Its inverse
returns the rest, and that part can be computed and looked at.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, project_nullspace, solve

# %%
# Two filters on three colors: 2 numbers per pixel for 3 unknowns.

picture = gallery.image("chelsea", 96)
layer = ConvLinearOperator(gallery.conv_layer(3, 2, rng=0), picture.shape)
seen = layer.forward(picture)
found = solve(layer, seen, rtol=1e-8).x

# %%
# The picture is the sum of two that are orthogonal: the one of least norm that
# explains the data, and one that the layer maps to zero.

unseen = project_nullspace(layer, picture, rtol=1e-6)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, shown, title in (
    (axes[0], picture, "the picture"),
    (axes[1], found, "found: least norm"),
    (axes[2], 0.5 + unseen, "unseen, plus gray"),
):
    ax.imshow(np.clip(np.moveaxis(shown, 0, -1), 0, 1))
    ax.set_title(title)
    ax.set_axis_off()

norm = np.linalg.norm
print(f"norms: picture {norm(picture):.3f}, found {norm(found):.3f}")
print(f"       unseen {norm(unseen):.3f}, seen by the layer {norm(seen):.3f}")
print(f"the layer of what is unseen: {norm(layer.forward(unseen)) / norm(seen):.0e}")
print(f"found + unseen - picture: {norm(found + unseen - picture):.0e}")

# %%
# Anything of the null space can be added without a change of the data. Here two very
# different pictures give the same features.

other = picture + project_nullspace(layer, picture[:, ::-1], rtol=1e-6)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
difference = layer.forward(other) - seen
for ax, shown, title in (
    (axes[0], np.moveaxis(np.clip(other, 0, 1), 0, -1), "another picture"),
    (axes[1], seen[0], "feature map of the first"),
    (axes[2], layer.forward(other)[0], "feature map of the other"),
):
    ax.imshow(shown, vmin=seen[0].min(), vmax=seen[0].max())
    ax.set_title(title)
    ax.set_axis_off()
print(f"largest difference of the maps: {abs(difference).max():.0e}")
