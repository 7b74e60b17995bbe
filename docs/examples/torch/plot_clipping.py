"""
Hold a layer within a norm
==========================

A layer with norm at most 1 can't amplify. Clipping its singular values changes it
least; dividing it by its norm, or by the norm that PyTorch estimates, changes more.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from convinv.interop.torch import clip_singular_values_, spectrum

# %%
# A layer from 8 to 8 channels on periodic pictures of 16 x 16 pixels, with some large
# singular values.

torch.manual_seed(0)
shape = (8, 16, 16)


def values(layer):
    return np.sort(spectrum(layer, shape).values.ravel())[::-1]


def made():
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular", bias=False)
    with torch.no_grad():
        layer.weight *= 1.5
    return layer


original, clipped, divided, reshaped = made(), made(), made(), made()
found = clip_singular_values_(clipped, shape, hi=1.0)
with torch.no_grad():
    divided.weight /= values(original)[0]
    reshaped.weight /= torch.linalg.matrix_norm(reshaped.weight.flatten(1), 2)

figure, ax = plt.subplots(figsize=(7.5, 4.2))
for name, layer in (
    ("as it was", original),
    ("clipped", clipped),
    ("divided by its norm", divided),
    ("divided by that of the reshaped weight", reshaped),
):
    spectral = values(layer)
    ax.plot(np.linspace(0, 1, spectral.size), spectral, label=name)
ax.axhline(1, color="0.6", linestyle="--", linewidth=1)
ax.set(xlabel="share of the singular values", ylabel="singular value", ylim=(0, None))
ax.legend()

# %%
# The clipped layer keeps the small values and takes off the large ones only, as far as
# a kernel of 3 x 3 taps can. PyTorch's ``spectral_norm`` divides by the norm of another
# matrix, so that the layer may amplify still.

print(f"norm {found.before:.3f} -> {found.largest:.3f}")
for name, layer in (("clipped", clipped), ("divided", divided), ("reshaped", reshaped)):
    change = (layer.weight - original.weight).norm() / original.weight.norm()
    print(f"{name:9} norm {values(layer)[0]:.3f}, change of the kernel {change:.2f}")
