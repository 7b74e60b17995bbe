"""
STRIP: one small pseudoinverse for the whole picture
====================================================

STRIP cuts the equations into strips that all have the same small matrix. One
pseudoinverse inverts the layer in a single sweep down the picture.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, solve
from convinv.strips import plot_arrangement, strip_plan, sweep_analysis

# %%
# A layer from 3 to 8 channels. Each strip takes the same window of all outputs.

picture = gallery.image("astronaut", 64)
layer = ConvLinearOperator(gallery.conv_layer(3, 8, rng=0), picture.shape)
print(strip_plan(layer))

# %%
# The strips of a small layer: the outputs of its three channels lie in three lines, and
# equal colors belong to one strip. The usual blocks of Kaczmarz methods take
# successive rows of the matrix instead, here those of one channel.

small = ConvLinearOperator(gallery.conv_layer(1, 3, rng=0), (1, 10, 10))
figure, axes = plt.subplots(2, 1, figsize=(8, 4.4))
for ax, kind in zip(axes, ("strip", "standard")):
    plot_arrangement(small, kind, ax, h_b=16)
    ax.images[0].set_cmap("Blues")

# %%
# A sweep goes through the strips. Each of them solves for its own unknowns, and since
# this layer has many more filters than channels, they are right at once.

b = layer.forward(picture)
result = solve(layer, b, "strip", rtol=1e-10)
print(f"{result.nit} sweep, residual {result.residual_norm / np.linalg.norm(b):.0e}")

noisy = gallery.add_noise(b, 0.01, rng=1)
swept = solve(layer, noisy, "strip", on_failure="ignore").x
best = solve(layer, noisy).x

figure, axes = plt.subplots(1, 3, figsize=(9, 3.3))
for ax, x, title in (
    (axes[0], result.x, "strip, exact data"),
    (axes[1], swept, "strip, 1 % noise"),
    (axes[2], best, "least squares, 1 % noise"),
):
    error = np.linalg.norm(x - picture) / np.linalg.norm(picture)
    ax.imshow(np.clip(np.moveaxis(x, 0, -1), 0, 1))
    ax.set_title(f"{title}: {error:.1%}" if error > 1e-6 else title)
    ax.set_axis_off()

# %%
# With noise a sweep is near the least-squares solution but not at it: each strip trusts
# its own equations only. `convinv.strips.sweep_analysis` tells how sweeps converge
# before one is made.

print(sweep_analysis(small, h_b=16))
