"""
Why an exact inverse is cheap
=============================

The inverse of a layer's normal matrix decays quickly away from the diagonal. So an FFT
and corrections along the borders invert the layer in one step, to many digits.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, normal_solve, precondition, solve

# %%
# A layer from 3 to 8 channels, and what it makes of a photograph, with 1 % noise. N is
# the matrix of its normal equations.

picture = gallery.image("astronaut", 128)
layer = ConvLinearOperator(gallery.conv_layer(3, 8, rng=0), picture.shape)
b = gallery.add_noise(layer.forward(picture), 0.01, rng=0, reference=picture)

# %%
# One column of the inverse of N: the answer to an impulse in one channel of one pixel.
# It falls by a factor of ten about every five pixels.

impulse = np.zeros(picture.shape)
impulse[0, 64, 64] = 1
response = np.sqrt(np.sum(normal_solve(layer, impulse, rtol=1e-13) ** 2, axis=0))
response /= response.max()

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), width_ratios=(1, 1.2))
shown = axes[0].imshow(np.log10(response + 1e-16), cmap="magma", vmin=-12, vmax=0)
axes[0].set_title("response to an impulse")
axes[0].set_axis_off()
figure.colorbar(shown, ax=axes[0], label="powers of ten")
axes[1].semilogy(response[64, 64:], label="along a row")
axes[1].semilogy(response[64:, 64], label="along a column")
axes[1].set(xlabel="distance in pixels", ylim=(1e-13, 2))
axes[1].legend()

# %%
# Hence a wrong guess at the border does not reach far. The circulant inverse takes the
# picture as periodic: what it leaves as residual lies on a thin frame. Bands along the
# four sides correct it. With bands of 8 pixels faint lines remain where they end.

normal = layer.adjoint(b)
torus = precondition.Circulant(layer)
bands = precondition.Schwarz(layer, depth=8)

figure, axes = plt.subplots(1, 2, figsize=(8, 3.6))
for ax, inverse, title in (
    (axes[0], torus, "after the circulant"),
    (axes[1], bands, "after the bands, too"),
):
    x = (inverse @ normal.ravel()).reshape(picture.shape)
    residual = normal - layer.adjoint(layer.forward(x))
    size = np.sqrt(np.mean(residual**2, axis=0) / np.mean(normal**2))
    shown = ax.imshow(np.log10(size + 1e-17), cmap="magma", vmin=-16, vmax=0)
    ax.set_title(title)
    ax.set_axis_off()
figure.colorbar(shown, ax=axes, label="residual, powers of ten")

# %%
# Applied again to the residual this gives all digits in a few steps. CGLS needs a
# hundred, and the circulant alone hardly helps it: the borders cost the iterations.

exact = solve(layer, b, "schwarz", rtol=1e-15, on_failure="ignore").x


def errors(method, **options):
    """The error after every iteration."""
    found = [1.0]

    def record(state):
        found.append(np.linalg.norm(state.x - exact) / np.linalg.norm(exact))

    options |= {"callback": record, "maxiter": 20, "on_failure": "ignore"}
    solve(layer, b, method, rtol=0, **options)
    return np.maximum(found, 1e-16)


figure, ax = plt.subplots(figsize=(7.5, 4.4))
for label, curve in (
    ("cgls", errors("cgls")),
    ("cgls, circulant", errors("cgls", preconditioner=torus)),
    ("cgls, schwarz of 8 pixels", errors("cgls", preconditioner=bands)),
    ("schwarz, bands of 8 pixels", errors("schwarz", depth=8)),
    ("schwarz, bands of some 30", errors("schwarz", accuracy=3e-6)),
):
    ax.semilogy(curve, "o-", markersize=3, label=label)
ax.set(
    xlabel="iterations",
    ylabel="relative error of x",
    xlim=(0, 20),
    xticks=range(0, 21, 4),
)
ax.legend(loc="center right")

# %%
# :doc:`/guide/exact` describes how this is done.
