"""
How much noise grows, and damping
=================================

An inverse amplifies noise at the frequencies that the layer hardly transmits. Damping
trades that noise for a little blur.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, solve
from convinv.spectra import spectrum

# %%
# A square layer, from 3 to 3 channels, with noise of 2 % on its output.

picture = gallery.image("astronaut", 96)
options = {"padding": "same", "boundary": "periodic"}
layer = ConvLinearOperator(gallery.conv_layer(3, 3, rng=3), picture.shape, **options)
features = layer.forward(picture)
noisy = gallery.add_noise(features, 0.02, rng=0)

# %%
# The spectrum tells it before anything is solved: by how much white noise grows at
# each frequency. Zero frequency is in the middle.

found = spectrum(layer)
gain = np.fft.fftshift(found.noise_gain_by_frequency[0])
figure, ax = plt.subplots(figsize=(6, 4.4))
shown = ax.imshow(
    np.log10(gain), cmap="magma", origin="lower", extent=(-0.5, 0.5, -0.5, 0.5)
)
figure.colorbar(shown, label="noise gain, powers of ten")
ax.set(xlabel="cycles per pixel", ylabel="cycles per pixel")
print(f"condition {found.condition:.0f}, largest noise gain {found.noise_gain:.0f}")

# %%
# Solutions with three dampings. ``damp`` counts against the singular values: what is
# well below it is given up.


def psnr(x):
    return -10 * np.log10(np.mean((x - picture) ** 2))


figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, damp in zip(axes, (0, 0.02, 0.2)):
    x = solve(layer, noisy, damp=damp).x
    ax.imshow(np.clip(np.moveaxis(x, 0, -1), 0, 1))
    ax.set_title(f"damp {damp:g}: {psnr(x):.1f} dB")
    ax.set_axis_off()

# %%
# The error over damp has one minimum, between noise on the left and blur on the right.
# :doc:`/gallery/rules/plot_damping_rules` finds it without the original.

damps = np.geomspace(1e-3, 1, 16)
figure, ax = plt.subplots(figsize=(7, 3.8))
ax.semilogx(damps, [psnr(solve(layer, noisy, damp=damp).x) for damp in damps], "o-")
ax.set(xlabel="damp", ylabel="PSNR in dB")
