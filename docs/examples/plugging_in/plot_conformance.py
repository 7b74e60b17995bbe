"""
Is my operator right?
=====================

An adjoint that treats the border wrongly shows in a picture only as an edge that is a
little off. `~convinv.testing.check_operator` finds it at once.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from convinv import ConvLinearOperator, gallery, solve
from convinv.testing import check_operator, check_solver

# %%
# A blur by SciPy, whose mode "mirror" reflects the picture at its frame. The adjoint
# looks plausible: the flipped kernel, in the same mode.

picture = gallery.image("camera", 96)[0]
psf = gallery.line_kernel(11, 25)


def forward(x):
    return ndimage.correlate(x, psf, mode="mirror")


def adjoint(y):
    return ndimage.convolve(y, psf, mode="mirror")


report = check_operator((forward, adjoint), input_shape=picture.shape)
print(report)

# %%
# Here is where it is wrong: the difference between this adjoint and the true one, of
# the picture itself.

true = ConvLinearOperator(
    psf[None, None], (1, *picture.shape), padding="same", boundary="reflect"
)
wrong = adjoint(picture) - true.adjoint(picture[None])[0]
figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.8))
axes[0].imshow(adjoint(picture))
axes[0].set_title("the adjoint")
shown = axes[1].imshow(wrong, cmap="RdBu", vmin=-0.5, vmax=0.5)
axes[1].set_title("its error")
figure.colorbar(shown, ax=axes[1])
for ax in axes:
    ax.set_axis_off()

# %%
# The operator of convinv passes. A report has ``passed``, ``failures`` and, for tests,
# ``raise_on_failure()``.

print(check_operator(true).raise_on_failure())

# %%
# Solvers have checks too. Steepest descent with a fixed number of steps says that it
# has converged, whether it has or not.


def descent(op, b, x0=None, maxiter=200):
    step = 1 / np.linalg.norm(op.todense(), 2) ** 2
    x = np.zeros(op.shape[1], op.dtype) if x0 is None else x0.copy()
    for _ in range(maxiter):
        x = x + step * op.rmatvec(b - op.matvec(x))
    return x, True


print(check_solver(descent))

# %%
# The package's own default, beside it.


def default(op, b, **options):
    return solve(op, b, on_failure="ignore", **options)


print(check_solver(default))
