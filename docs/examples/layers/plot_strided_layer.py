"""
A layer with stride
===================

A stride of 2 leaves a quarter of the positions. With enough filters the picture is
still determined; with too few, ``solve`` returns the one of least norm.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, solve

# %%
# Three channels and a stride of 2 along both axes: each output position has 12 new
# unknowns. Layers with 24, 16 and 6 filters have twice as many data, a third more, and
# half as many.

picture = gallery.image("coffee", 96)
layers = {
    filters: ConvLinearOperator(
        gallery.conv_layer(3, filters, 4, rng=0), picture.shape, stride=2, padding=1
    )
    for filters in (24, 16, 6)
}
results = {
    filters: solve(layer, layer.forward(picture), rtol=1e-8, on_failure="ignore")
    for filters, layer in layers.items()
}

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, (filters, result) in zip(axes, results.items()):
    error = np.linalg.norm(result.x - picture) / np.linalg.norm(picture)
    ax.imshow(np.clip(np.moveaxis(result.x, 0, -1), 0, 1))
    ax.set_title(f"{filters} filters: error {error:.0e}")
    ax.set_axis_off()

# %%
# All three explain their data. With 6 filters many pictures do, and the one of least
# norm is not the photograph.

for filters, result in results.items():
    layer = layers[filters]
    residual = np.linalg.norm(layer.forward(result.x) - layer.forward(picture))
    print(
        f"{filters:2} filters: {layer.shape[0]:6} data, {layer.shape[1]} unknowns, "
        f"{result.method:8} residual {residual:.0e}"
    )

# %%
# ``x0`` says which solution is wanted: the one nearest to it. A smooth picture that the
# data do not contradict is a better guess than zero.

guess = np.broadcast_to(picture.mean(axis=(1, 2), keepdims=True), picture.shape)
layer = layers[6]
nearest = solve(layer, layer.forward(picture), x0=guess).x
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, shown, title in (
    (axes[0], results[6].x, "least norm"),
    (axes[1], nearest, "nearest to the mean color"),
    (axes[2], picture, "the photograph"),
):
    error = np.linalg.norm(shown - picture) / np.linalg.norm(picture)
    ax.imshow(np.clip(np.moveaxis(shown, 0, -1), 0, 1))
    ax.set_title(title if shown is picture else f"{title}: {error:.2f}")
    ax.set_axis_off()
