"""
Blurs in PyLops, and PyLops in solve
====================================

An operator of convinv becomes one of PyLops by ``to_pylops``, and goes into its solvers
and stacks. An operator of PyLops goes into `~convinv.solve` as it is.
"""

import matplotlib.pyplot as plt
import numpy as np
import pylops

from convinv import ConvLinearOperator, gallery, solve
from convinv.interop.pylops import to_pylops

# %%
# A photograph out of focus, with a little noise. The blur is an operator of convinv,
# with mirrored frames.

sharp = gallery.image("camera", 160)
psf = gallery.disc_kernel(2.5)[None, None]
blur = ConvLinearOperator(psf, sharp.shape, padding="same", boundary="symmetric")
rng = np.random.default_rng(0)
seen = blur.forward(sharp)
seen += 0.005 * rng.standard_normal(seen.shape)


def psnr(image):
    return -10 * np.log10(np.mean((image - sharp) ** 2))


def compare(images):
    figure, axes = plt.subplots(1, len(images), figsize=(9, 3.5))
    for ax, (title, image) in zip(axes, images.items()):
        ax.imshow(image[0], vmin=0, vmax=1)
        ax.set_title(f"{title}: {psnr(image):.1f} dB")
        ax.set_axis_off()


# %%
# For PyLops it has ``dims`` and ``dimsd``, takes arrays of these shapes, and passes
# PyLops' dot test. Its regularized inversion finds a smooth picture, by LSQR.

A = to_pylops(blur)
print(A, A.dims, A.dimsd, "dot test:", pylops.utils.dottest(A))
smooth = pylops.Laplacian(A.dims, axes=(1, 2), edge=True)
theirs, *_ = pylops.optimization.leastsquares.regularized_inversion(
    A, seen.ravel(), [smooth], epsRs=[0.05], iter_lim=60
)
theirs = np.reshape(theirs, A.dims)

# %%
# The same least squares by `~convinv.solve`, whose ``regularizer`` may be PyLops'
# operator. It goes on until the residual of the normal equations is small.

result = solve(blur, seen, damp=0.05, regularizer=smooth, rtol=1e-6)
ours = result.x
compare({"seen": seen, "PyLops": theirs, "convinv": ours})
print(result.method, result.nit, "iterations")
print(f"largest difference: {np.abs(theirs - ours).max():.1e}")

# %%
# A stack of PyLops takes the operator of convinv as it is, and solve takes the stack.

stack = pylops.VStack([blur, 0.05 * smooth])
both = np.concatenate([seen.ravel(), np.zeros(smooth.shape[0])])
again = solve(stack, both)
print(again.x.shape, f"differs by {np.abs(again.x.ravel() - ours.ravel()).max():.1e}")

# %%
# How fast do PyLops' own solvers get there? CGLS without a penalty, stopped after some
# iterations, is a regularization of its own: after too many, the noise comes back.

counts = [2, 5, 10, 20, 40, 80]
quality = [
    psnr(pylops.cgls(A, seen, x0=np.zeros(A.dims), niter=n, tol=0)[0]) for n in counts
]
figure, ax = plt.subplots(figsize=(6.5, 3.4))
ax.semilogx(counts, quality, "o-", label="CGLS of PyLops")
ax.axhline(psnr(ours), color="C1", label="with the penalty")
ax.set_xticks(counts, map(str, counts))
ax.minorticks_off()
ax.set(xlabel="iterations", ylabel="PSNR in dB")
ax.legend()
