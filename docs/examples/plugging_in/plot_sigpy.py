"""
Blurs in SigPy's apps
=====================

``to_sigpy`` makes a ``Linop`` of an operator, for SigPy's apps and compositions. A
Linop of SigPy goes into `~convinv.solve` as it is.
"""

import matplotlib.pyplot as plt
import numpy as np
import sigpy

from convinv import ConvLinearOperator, gallery, solve
from convinv.interop.sigpy import to_sigpy

# %%
# A color photograph, blurred by motion. Its channels have one kernel each.

sharp = gallery.image("chelsea", 160)
psf = gallery.line_kernel(9, 30)
kernel = np.stack([psf[None]] * 3)
options = {"groups": 3, "padding": "same", "boundary": "symmetric"}
blur = ConvLinearOperator(kernel, sharp.shape, **options)
rng = np.random.default_rng(0)
seen = blur.forward(sharp)
seen += 0.01 * rng.standard_normal(seen.shape)


def psnr(image):
    return -10 * np.log10(np.mean((image - sharp) ** 2))


def compare(images):
    figure, axes = plt.subplots(1, len(images), figsize=(9, 3.4))
    for ax, (title, image) in zip(axes, images.items()):
        ax.imshow(np.clip(np.moveaxis(image, 0, -1), 0, 1))
        ax.set_title(f"{title}: {psnr(image):.1f} dB")
        ax.set_axis_off()


# %%
# ``LinearLeastSquares`` of SigPy, damped by ``lamda``, and then with total variation,
# for which SigPy has the differences and the proximal step.

A = to_sigpy(blur)
print(A)
G = sigpy.linop.FiniteDifference(sharp.shape, axes=(1, 2))
smooth = sigpy.app.LinearLeastSquares(
    A, seen, lamda=0.03, max_iter=60, show_pbar=False
).run()
total_variation = sigpy.app.LinearLeastSquares(
    A,
    seen,
    G=G,
    proxg=sigpy.prox.L1Reg(G.oshape, 0.003),
    max_iter=200,
    show_pbar=False,
).run()
compare({"seen": seen, "damped": smooth, "total variation": total_variation})

# %%
# The damped one is also what `~convinv.solve` finds: lamda is the square of damp. The
# app has stopped after 60 iterations, solve goes on to its tolerance.

result = solve(blur, seen, damp=np.sqrt(0.03), rtol=1e-10)
print(result.method, f"differs by {np.abs(result.x - smooth).max():.1e}")

# %%
# The other way: a composition of SigPy, here a blur that is seen through a mask, is an
# operator for solve. x comes back in its shape.

mask = sigpy.linop.Multiply(sharp.shape, rng.random(sharp.shape) < 0.5)
result = solve(mask * A, mask(seen), damp=0.15)
compare({"masked": mask(seen), "found": result.x})
print(result.x.shape, result.method, result.nit, "iterations")
