"""
Recover a picture from the output of a layer
============================================

A convolutional layer turns a color picture into eight feature maps. It has more
outputs than inputs, so the picture can be found again from the maps.
"""

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, solve

# %%
# The layer has 8 filters of 3 x 3 taps with random weights, as PyTorch initializes
# them. Its input is a photograph.

picture = gallery.image("astronaut", 128)
kernel = gallery.conv_layer(3, 8, rng=0)
layer = ConvLinearOperator(kernel, picture.shape)
maps = layer.forward(picture)
print(layer)

figure, axes = plt.subplots(2, 4, figsize=(9, 4.8))
for i, ax in enumerate(axes.flat):
    ax.imshow(maps[i])
    ax.set_title(f"map {i}")
    ax.set_axis_off()

# %%
# `~convinv.solve` finds the picture. It picks the method that costs least.

result = solve(layer, maps)
print(result.message)
print(f"largest error of a pixel: {abs(result.x - picture).max():.1e}")

# %%
# With noise of 1 % on the maps, the picture has noise too. Weak filters make it grow:
# divided by the noise of the maps it is

noisy = gallery.add_noise(maps, 0.01, rng=1)
found = solve(layer, noisy).x
print(f"{np.std(found - picture) / np.std(noisy - maps):.2f}")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.3))
for ax, shown, title in (
    (axes[0], picture, "the picture"),
    (axes[1], result.x, "from exact maps"),
    (axes[2], found, "from maps with 1 % noise"),
):
    ax.imshow(np.clip(np.moveaxis(shown, 0, -1), 0, 1))
    ax.set_title(title)
    ax.set_axis_off()
