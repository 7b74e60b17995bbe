"""
Tomography: a slice from its projections
========================================

``solve`` takes any linear operator. Here it is the Radon transform: the sums along
straight lines that X-rays measure.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from convinv import solve
from convinv.operators import Radon
from convinv.proximal import NonNegative, TotalVariation, minimize

# %%
# Ninety angles of a phantom. A row of the data, which is called the sinogram, is what
# is seen from one angle.

size = 80
phantom = data.shepp_logan_phantom()[::5, ::5]
radon = Radon(size, angles=90)
rng = np.random.default_rng(0)
sinogram = radon.forward(phantom)
sinogram = sinogram + 0.01 * rng.standard_normal(sinogram.shape)

# %%
# Three ways back: the least-squares solution, which amplifies the noise; damped; and
# with total variation and no negative density.


def psnr(picture):
    return -10 * np.log10(np.mean((picture - phantom) ** 2))


plain = solve(radon, sinogram, rtol=1e-3).x
damped = solve(radon, sinogram, damp=0.05, rtol=1e-3).x
even = minimize(radon, sinogram, [TotalVariation(3e-4), NonNegative()], rtol=1e-2).x

figure, axes = plt.subplots(2, 3, figsize=(9, 6.4))
axes[0, 0].imshow(sinogram, aspect="auto")
axes[0, 0].set_title("sinogram, 90 angles")
for ax, picture, title in (
    (axes[0, 1], phantom, "the phantom"),
    (axes[0, 2], plain, f"least squares: {psnr(plain):.1f} dB"),
    (axes[1, 0], damped, f"damped: {psnr(damped):.1f} dB"),
    (axes[1, 1], even, f"total variation: {psnr(even):.1f} dB"),
):
    ax.imshow(picture, vmin=0, vmax=1)
    ax.set_title(title)
for ax in axes.flat:
    ax.set_axis_off()
