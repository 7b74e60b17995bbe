"""
Batches and cut images in arrays of Dask
========================================

`convinv.distributed` takes arrays of Dask as `convinv.solve` takes those of NumPy, with
whatever scheduler Dask has: threads, processes or a cluster.
"""

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from dask.diagnostics import ProgressBar

from convinv import ConvLinearOperator, distributed, gallery, solve

# %%
# A batch of images through a 3->8 layer, in blocks of 50. Each process sets up the
# inverse once, whatever the number of blocks.

rng = np.random.default_rng(0)
layer = gallery.conv_layer(3, 8, rng=0)
op = ConvLinearOperator(layer, (3, 32, 32))
images = rng.random((400, *op.input_shape))
b = da.from_array(op.forward(images), chunks=(50, -1, -1, -1))
with ProgressBar():
    result = distributed.solve(op, b, rtol=1e-10)
print(result.x)
print("largest error:", float(abs(result.x - images).max()))

# %%
# One image that is cut along its axes is solved by sweeps over overlapping tiles. Those
# correct each other: every sweep begins with what is left of the whole problem. Here
# the data fit no image exactly, and the error is that to the least-squares solution.

side, chunk = 256, 64
large = ConvLinearOperator(layer, (3, side, side))
data = large.forward(rng.random(large.input_shape))
data += 0.1 * rng.standard_normal(data.shape)
exact = solve(large, data, rtol=1e-13, on_failure="ignore").x
cut = da.from_array(data, chunks=(-1, chunk, chunk))


def errors(halo, sweeps=5):
    """The relative error after each sweep."""
    found = []

    def look(state):
        error = np.linalg.norm(np.asarray(state.x) - exact) / np.linalg.norm(exact)
        found.append(max(error, 1e-16))
        return len(found) == sweeps

    options = {"tile": chunk, "halo": halo, "callback": look, "on_failure": "ignore"}
    distributed.solve(large, cut, rtol=1e-15, **options)
    return found


# %%
# The recipe beside it: each tile is solved from the data inside its own box, and the
# middle is kept. It has nothing to repeat.


def recipe(halo):
    found = np.empty_like(exact)
    for i in range(0, side, chunk):
        for j in range(0, side, chunk):
            box = [(max(s - halo, 0), min(s + chunk + halo, side)) for s in (i, j)]
            (top, bottom), (left, right) = box
            part = ConvLinearOperator(layer, (3, bottom - top, right - left))
            inside = data[:, top : bottom - 2, left : right - 2]
            x = solve(part, inside, rtol=1e-10, on_failure="ignore").x
            middle = x[:, i - top :, j - left :][:, :chunk, :chunk]
            found[:, i : i + chunk, j : j + chunk] = middle
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


figure, ax = plt.subplots(figsize=(7, 4.2))
for halo, color in ((8, "C0"), (16, "C1"), (32, "C2")):
    values = errors(halo)
    ax.semilogy(range(1, 1 + len(values)), values, "o-", color=color, label=f"{halo}")
    ax.axhline(recipe(halo), color=color, linestyle=":")
ax.set(xlabel="sweep", ylabel="relative error", xticks=range(1, 6))
ax.legend(title="halo; dotted: the recipe")
