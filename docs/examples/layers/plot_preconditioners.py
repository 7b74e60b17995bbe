"""
Preconditioners for CGLS and for SciPy's solvers
================================================

A layer that is close to singular costs CGLS many iterations. A preconditioner that
knows the layer cuts them down, and SciPy's solvers take it as well.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from convinv import ConvLinearOperator, gallery, precondition, solve

# %%
# From 3 to 4 channels, with zero padding: hardly more data than unknowns. The features
# have noise of 2 %, and a small damping keeps it in check.

picture = gallery.image("coffee", 96)
layer = ConvLinearOperator(gallery.conv_layer(3, 4, rng=1), picture.shape, padding=1)
b = gallery.add_noise(layer.forward(picture), 0.02, rng=0)
damp = 0.01

# %%
# Three preconditioners: the diagonal, a circulant inverse, and the circulant with
# corrections along the borders.

found = {
    "none": None,
    "jacobi": precondition.Jacobi(layer, damp=damp),
    "circulant": precondition.Circulant(layer, damp=damp),
    "schwarz": precondition.Schwarz(layer, damp=damp),
}
exact = solve(layer, b, damp=damp, rtol=1e-12).x


def trajectory(preconditioner):
    """The error of x after every iteration of CGLS."""
    found = [1.0]

    def record(state):
        found.append(np.linalg.norm(state.x - exact) / np.linalg.norm(exact))

    solve(
        layer,
        b,
        "cgls",
        damp=damp,
        preconditioner=preconditioner,
        rtol=1e-9,
        callback=record,
    )
    return found


figure, ax = plt.subplots(figsize=(7.5, 4.4))
for name, preconditioner in found.items():
    errors = trajectory(preconditioner)
    ax.semilogy(errors, ".-", label=f"{name}: {len(errors) - 1} iterations")
ax.set(xlabel="iterations", ylabel="relative error of x", ylim=(1e-12, 2))
ax.legend()

# %%
# The same objects in SciPy's conjugate gradients, on the normal equations.

normal = LinearOperator(
    (layer.shape[1],) * 2,
    matvec=lambda x: layer.rmatvec(layer.matvec(x)) + damp**2 * x,
    dtype=float,
)
for name, preconditioner in found.items():
    steps = []
    x, info = cg(
        normal,
        layer.rmatvec(b.ravel()),
        rtol=1e-10,
        M=preconditioner,
        callback=steps.append,
    )
    print(f"{name:10} {len(steps):4} iterations of scipy.sparse.linalg.cg")

# %%
# The solution is the same for all, since preconditioners change the way only.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.3))
for ax, shown, title in (
    (axes[0], b[0], "one of four feature maps"),
    (axes[1], x.reshape(picture.shape), "found"),
    (axes[2], picture, "the photograph"),
):
    color = shown.ndim == 3
    ax.imshow(np.clip(np.moveaxis(shown, 0, -1), 0, 1) if color else shown)
    ax.set_title(title)
    ax.set_axis_off()
