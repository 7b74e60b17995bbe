"""
Gradients through a solve in JAX
================================

``conv_solve`` inverts a convolution inside code that JAX compiles and differentiates.
Here it finds the width of a Gaussian that deblurs a picture best.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, solve
from convinv.interop.jax import conv_forward, conv_solve

# %%
# A photograph, blurred by a Gaussian.

sharp = jnp.asarray(gallery.image("camera", 96), jnp.float32)
options = {"padding": 4, "boundary": "reflect"}


def gaussian(sigma):
    t = jnp.arange(-4.0, 5.0)
    g = jnp.exp(-0.5 * (t / sigma) ** 2)
    return (jnp.outer(g, g) / g.sum() ** 2)[None, None]


seen = conv_forward(sharp, gaussian(1.2), **options)

# %%
# Deblur with a guess of the width and compare with the sharp picture: the loss is a
# function of sigma, and its derivative goes through the solve.


def deblurred(sigma):
    return conv_solve(seen, gaussian(sigma), sharp.shape, damp=0.01, **options)


@jax.jit
def loss(sigma):
    return jnp.mean((deblurred(sigma) - sharp) ** 2)


slope = jax.jit(jax.value_and_grad(loss))
sigma, path = 1.8, []
for _ in range(10):
    value, derivative = slope(sigma)
    path.append((float(sigma), float(value)))
    sigma = sigma - float(np.clip(50 * derivative, -0.1, 0.1))
sigma, _ = min(path, key=lambda step: step[1])
print(f"the least error was at sigma = {sigma:.2f}; the blur had 1.20")

figure, ax = plt.subplots(figsize=(6.5, 3.4))
widths = np.linspace(0.9, 1.9, 9)
ax.plot(widths, [float(loss(w)) for w in widths], color="0.6", label="loss")
ax.plot(*np.transpose(path), "o-", label="steps of gradient descent")
ax.set(xlabel="sigma", ylabel="mean squared error")
ax.legend()

# %%
# Before and after. The width of least error is not quite that of the blur, because the
# damping has a part in it too.


def psnr(image):
    return -10 * float(jnp.log10(jnp.mean((image - sharp) ** 2)))


figure, axes = plt.subplots(1, 3, figsize=(9, 3.5))
for ax, image, title in (
    (axes[0], seen, "seen"),
    (axes[1], deblurred(1.8), "with the first guess"),
    (axes[2], deblurred(sigma), "with what was found"),
):
    ax.imshow(image[0], vmin=0, vmax=1)
    ax.set_title(f"{title}: {psnr(image):.1f} dB")
    ax.set_axis_off()

# %%
# ``jax.vmap`` over pictures makes one solve of all; outside of traced code
# `~convinv.solve` takes JAX arrays and returns them.

many = jnp.stack([seen, seen[:, ::-1], seen[:, :, ::-1]])
kernel = gaussian(1.2)
each = jax.vmap(lambda y: conv_solve(y, kernel, sharp.shape, damp=0.01, **options))
print(each(many).shape)
matrix = jnp.asarray([[2.0, 1.0], [0.0, 1.0]])
print(solve(matrix, jnp.asarray([3.0, 1.0])).x)
