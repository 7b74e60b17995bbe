"""
How fast do the methods converge?
=================================

Leave the method out and ``solve`` takes the cheapest. If you want to choose: these are
the curves of the most common ones, on the same layer.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, methods, solve

# %%
# A layer from 3 to 6 channels with zero padding, and exact data.

picture = gallery.image("coffee", 48)
layer = ConvLinearOperator(gallery.conv_layer(3, 6, rng=1), picture.shape, padding=1)
b = layer.forward(picture)


def trajectory(method, maxiter, **options):
    """Errors of x after each iteration, and the result."""
    found = [1.0]

    def record(state):
        found.append(np.linalg.norm(state.x - picture) / np.linalg.norm(picture))

    options |= {"callback": record, "maxiter": maxiter, "on_failure": "ignore"}
    result = solve(layer, b, method, rtol=1e-12, rng=0, **options)
    return np.array(found), result


runs = {
    "cgls": {"maxiter": 60},
    "lsmr": {"maxiter": 60},
    "cgls + schwarz": {"maxiter": 60, "preconditioner": "schwarz"},
    "schwarz": {"maxiter": 60},
    "strip": {"maxiter": 60},
    "rshk": {"maxiter": 60},
    "rbk": {"maxiter": 60},
}
figure, ax = plt.subplots(figsize=(8, 5))
for (name, options), style in zip(runs.items(), "- - - - -- - -".split()):
    errors, result = trajectory(name.split(" ")[0], **options)
    ax.semilogy(errors, style, label=name)
    print(f"{name:15} error {errors[-1]:.0e} after {result.nit} iterations")
ax.set(xlabel="iterations", ylabel="relative error of x", ylim=(1e-13, 2))
ax.legend(ncols=2)

# %%
# An iteration of one method can cost as much as many of another, so compare times, too.
# What costs least for the layer at hand is what "auto" estimates:

automatic = solve(layer, b)
print(automatic.method, "-", automatic.message)

# %%
# All methods, and what they ask for:

for method in methods():
    adjoint = "" if method.needs_adjoint else ", no adjoint needed"
    print(f"{method.name:16} {method.summary}{adjoint}")
