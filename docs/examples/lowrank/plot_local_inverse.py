"""
Invert many matrices near one
=============================

Ten thousand small matrices, all near one that is known: its inverse, improved by a few
products, serves all of them, with a bound of every error.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv.local_inverse import FeasibleRegion, LocalInverse

# %%
# The region in which this can work: matrices with the entries of A0, but for two that
# vary. On the red line they are singular; the square is clear of it and of its
# neighborhood.

A0 = np.array([[2.0, 1.0], [1.0, 3.0]])
region = FeasibleRegion(A0)
figure, ax = plt.subplots(figsize=(6, 5.4))
region.picture(margin=0.2, ax=ax)
print(f"distance to the nearest singular matrix: {region.distance('spectral'):.3f}")

# %%
# Ten thousand matrices at several distances from A0. Each order of the series costs two
# products and gains the same factor.

rng = np.random.default_rng(0)
figure, ax = plt.subplots(figsize=(7, 4.2))
for width in (0.4, 0.2, 0.1, 0.05):
    matrices = A0 + width * rng.uniform(-1, 1, (10_000, 2, 2))
    exact = np.linalg.inv(matrices)
    errors = [
        np.abs(LocalInverse(A0, order).approximate(matrices) - exact).mean()
        for order in range(6)
    ]
    ax.semilogy(errors, "o-", label=f"changes of up to {width}")
ax.set(xlabel="order", ylabel="mean error of an entry", xticks=range(6))
ax.legend()

# %%
# Every answer comes with a bound of its error, which is computed from the answer and
# proven. It is never below the error.

near = LocalInverse(A0, order=2)
matrices = A0 + 0.3 * rng.uniform(-1, 1, (10_000, 2, 2))
result = near(matrices)
errors = np.linalg.norm(result.x - np.linalg.inv(matrices), 2, axis=(1, 2))
figure, ax = plt.subplots(figsize=(5.4, 5))
ax.loglog(errors, result.bound, ".", markersize=2)
limits = errors.min(), errors.max()
ax.loglog(limits, limits, color="0.5", label="bound = error")
ax.set(xlabel="error", ylabel="bound")
ax.legend()
print(f"bounds that hold: {np.mean(errors <= result.bound):.0%}")
print(f"bound over error, median: {np.median(result.bound / errors):.2f}")
