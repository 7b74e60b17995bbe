"""
Checkerboards: a transposed convolution is no inverse
=====================================================

Decoders go back from features to pixels by transposed convolutions. These are adjoints,
not inverses, and leave checkerboards; the inverse does not.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, solve

# %%
# A layer with 3 x 3 taps and a stride of 2. Some pixels lie under four windows, some
# under two, some under one.

picture = gallery.image("astronaut", 128)
kernel = gallery.conv_layer(3, 16, 3, rng=0)
layer = ConvLinearOperator(kernel, picture.shape, stride=2, padding=1)
features = layer.forward(picture)

ones = ConvLinearOperator(np.ones((1, 1, 3, 3)), (1, 128, 128), stride=2, padding=1)
windows = ones.adjoint(np.ones(ones.output_shape))[0]
print(windows[20:24, 20:24].astype(int))

# %%
# The transposed convolution with the same weights, which is the adjoint of the layer,
# is scaled so that it fits as well as it can.

transposed = layer.adjoint(features)
transposed *= np.sum(transposed * picture) / np.sum(transposed**2)
inverse = solve(layer, features).x


def psnr(x):
    return -10 * np.log10(np.mean((x - picture) ** 2))


figure, axes = plt.subplots(2, 3, figsize=(9, 6.4))
for column, (x, title) in zip(
    axes.T,
    (
        (transposed, f"transposed: {psnr(transposed):.1f} dB"),
        (inverse, f"inverse: {psnr(inverse):.0f} dB"),
        (picture, "the photograph"),
    ),
):
    shown = np.clip(np.moveaxis(x, 0, -1), 0, 1)
    column[0].imshow(shown)
    column[0].set_title(title)
    column[1].imshow(shown[12:44, 44:76])
    for ax in column:
        ax.set_axis_off()

# %%
# Training the weights of the transposed convolution helps, but the windows stay. The
# inverse takes them into account: the equations of a pixel that lies under one window
# are as exact as those of others.

figure, axes = plt.subplots(1, 2, figsize=(8, 3.8))
for ax, x, title in (
    (axes[0], transposed, "error, transposed"),
    (axes[1], inverse, "error, inverse"),
):
    error = np.sqrt(np.mean((x - picture) ** 2, axis=0))
    shown = ax.imshow(np.log10(np.maximum(error, 1e-9)), cmap="magma", vmin=-9, vmax=0)
    ax.set_title(title)
    ax.set_axis_off()
figure.colorbar(shown, ax=axes, label="powers of ten")
