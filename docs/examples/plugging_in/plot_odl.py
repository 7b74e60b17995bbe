"""
Blurs between ODL's spaces
==========================

``to_odl`` makes an operator between spaces of ODL, whose inner products are weighted by
the size of a pixel. Operators of ODL go into `~convinv.solve` as they are.
"""

import matplotlib.pyplot as plt
import numpy as np
import odl

from convinv import ConvLinearOperator, gallery, solve
from convinv.interop.odl import from_odl, to_odl

# %%
# A photograph as a function on a square, and a blur.

sharp = gallery.image("camera", 128)
psf = gallery.gaussian_kernel(9, 1.5)[None, None]
blur = ConvLinearOperator(psf, sharp.shape, padding="same", boundary="symmetric")
rng = np.random.default_rng(0)
seen = blur.forward(sharp)
seen += 0.01 * rng.standard_normal(seen.shape)

space = odl.uniform_discr([0, 0, 0], [1, 1, 1], sharp.shape)
A = to_odl(blur, domain=space, range=space)
x, y = space.element(sharp), space.element(seen)
left, right = A(x).inner(y), x.inner(A.adjoint(y))
print(f"<A x, y> - <x, A* y> = {left - right:.1e}")

# %%
# Conjugate gradients of ODL on the normal equations, stopped early, and its
# Landweber iteration.


def psnr(image):
    return -10 * np.log10(np.mean((image - sharp) ** 2))


cgls, landweber = space.zero(), space.zero()
odl.solvers.conjugate_gradient_normal(A, cgls, y, niter=8)
odl.solvers.landweber(A, landweber, y, niter=40, omega=1.0)
found = solve(blur, seen, damp=0.05, regularizer="gradient").x

figure, axes = plt.subplots(1, 4, figsize=(9, 2.7))
for ax, (title, image) in zip(
    axes,
    {
        "seen": seen,
        "CG": cgls.asarray(),
        "Landweber": landweber.asarray(),
        "solve": found,
    }.items(),
):
    ax.imshow(image[0], vmin=0, vmax=1)
    ax.set_title(f"{title}: {psnr(image):.1f} dB")
    ax.set_axis_off()

# %%
# The other way: a picture from its gradient. ODL's ``Gradient`` on a plane has a range
# of two images; solve takes arrays of that shape, and finds the picture of least norm,
# which is the one with a mean near zero.

plane = odl.uniform_discr([0, 0], [128, 128], (128, 128))
gradient = odl.Gradient(plane, pad_mode="symmetric")
b = gradient(plane.element(sharp[0])).asarray()
result = solve(gradient, b, rtol=1e-8)
op = from_odl(gradient)
print(op.input_shape, op.output_shape, result.method, result.nit, "iterations")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for ax, image, title in (
    (axes[0], b[0], "first differences down"),
    (axes[1], b[1], "and across"),
    (axes[2], result.x, "the picture that has them"),
):
    ax.imshow(image)
    ax.set_title(title)
    ax.set_axis_off()
shifted = result.x + sharp.mean() - result.x.mean()
print(f"up to a constant it differs by {np.abs(shifted - sharp[0]).max():.1e}")
