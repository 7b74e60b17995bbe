"""
Does my layer have an inverse?
==============================

Ask before you invert: the singular values of a layer tell what it keeps, what it loses
and how much it amplifies noise.
"""

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, layer_report
from convinv.spectra import singular_values, spectrum

# %%
# Three layers on pictures of 32 x 32 pixels with periodic boundaries: an untrained one
# from 3 to 8 channels, one from 3 to 3, and a blur.

size, periodic = 32, {"padding": "same", "boundary": "periodic"}
blur = gallery.gaussian_kernel(5, 1.0)[None, None]
layers = {
    "3 to 8 channels": ConvLinearOperator(
        gallery.conv_layer(3, 8, rng=0), (3, size, size), **periodic
    ),
    "3 to 3 channels": ConvLinearOperator(
        gallery.conv_layer(3, 3, rng=0), (3, size, size), **periodic
    ),
    "blur": ConvLinearOperator(blur, (1, size, size), **periodic),
}

# %%
# All singular values, from the largest to the smallest. The condition number is the
# ratio of the two ends: how much a relative error can grow.

figure, ax = plt.subplots(figsize=(7, 4))
for name, layer in layers.items():
    found = spectrum(layer)
    values = singular_values(layer)
    share = np.linspace(0, 1, len(values))
    ax.semilogy(share, values, label=f"{name}: condition {found.condition:.3g}")
ax.set(xlabel="share of the singular values", ylabel="singular value")
ax.legend()

# %%
# The report says it in words: the worst frequencies, the damping that suits a level of
# noise, and the method that would be used.

print(layer_report(layers["3 to 3 channels"]))

# %%
# It draws, too: the singular values, and at which frequencies they are small.

layer_report(layers["3 to 3 channels"]).plot()
