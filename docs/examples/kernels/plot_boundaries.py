"""
Boundaries, by the names of numpy.pad
=====================================

What is beyond the frame? Five answers, what they do to a picture, and what other
libraries call them.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery

# %%
# Every boundary continues the picture in its own way. `numpy.pad` has other names for
# them.

MODES = {
    "zero": "constant",
    "periodic": "wrap",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
}
picture = gallery.image("chelsea", 64)
figure, axes = plt.subplots(1, 5, figsize=(10, 2.5))
for ax, (boundary, mode) in zip(axes, MODES.items()):
    padded = np.pad(picture, ((0, 0), (24, 24), (24, 24)), mode)
    ax.imshow(np.moveaxis(padded, 0, -1))
    ax.add_patch(plt.Rectangle((23.5, 23.5), 64, 64, fill=False, color="white"))
    ax.set_title(f'"{boundary}"')
    ax.set_axis_off()

# %%
# The operator does the same, without making the padded picture: its output is that of a
# convolution of the padded one.

kernel = gallery.conv_layer(3, 1, 9, rng=0)
for boundary, mode in MODES.items():
    layer = ConvLinearOperator(kernel, picture.shape, padding=4, boundary=boundary)
    padded = np.pad(picture, ((0, 0), (4, 4), (4, 4)), mode)
    inside = ConvLinearOperator(kernel, padded.shape)
    difference = abs(layer.forward(picture) - inside.forward(padded)).max()
    print(f'"{boundary}" is numpy.pad\'s {mode!r}: difference {difference:.0e}')

# %%
# The boundary changes the output near the frame only, within half a kernel of it.

blur = gallery.gaussian_kernel(15, 2.5)[None, None]
gray = picture.mean(axis=0, keepdims=True)
figure, axes = plt.subplots(1, 5, figsize=(10, 2.5))
for ax, boundary in zip(axes, MODES):
    layer = ConvLinearOperator(blur, gray.shape, padding="same", boundary=boundary)
    ax.imshow(layer.forward(gray)[0], vmin=0, vmax=1)
    ax.set_title(f'"{boundary}"')
    ax.set_axis_off()

# %%
# The same with ``padding="valid"``: only outputs that need nothing from beyond.

valid = ConvLinearOperator(blur, gray.shape)
print(f"valid: {valid.input_shape} -> {valid.output_shape}")
