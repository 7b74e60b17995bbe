"""
A mosaic that is cut into tiles, without seams
==============================================

A mosaic lies in a zarr store and is to be deblurred in parts. Deblurring each chunk by
itself leaves seams. Overlapping tiles that are corrected by what is left over in the
*whole* image give the picture that a solve in memory would give.
"""

import tempfile

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
import zarr
from skimage import restoration

from convinv import ConvLinearOperator, distributed, gallery, imaging, solve

# %%
# Photographs side by side, seen through a lens out of focus, with noise of 1 %. This
# one is small, so that it can be solved in memory as well and compared.

names = "astronaut", "chelsea", "coffee", "rocket", "camera", "moon", "retina", "flower"
piece, across = 192, 4
pieces = [gallery.image(name, piece)[0] for name in names]
sharp = np.block([pieces[:across], pieces[across:]])
psf = gallery.disc_kernel(3)
rng = np.random.default_rng(0)
blurred = imaging.blur(sharp, psf, boundary="symmetric")
blurred += 0.01 * rng.standard_normal(blurred.shape)

folder = tempfile.TemporaryDirectory()
chunk = 128
stored = zarr.create_array(
    f"{folder.name}/blurred.zarr",
    shape=(1, *blurred.shape),
    chunks=(1, chunk, chunk),
    dtype="f4",
)
stored[0] = blurred

# %%
# The solve: b is an array of Dask on the store, and x is an array of Dask that is
# written into another one.

op = ConvLinearOperator(
    psf[None, None].astype("f4"),
    stored.shape,
    padding="same",
    boundary="symmetric",
    flip=True,
)
penalty = {"damp": 0.1, "regularizer": "gradient"}
b = da.from_zarr(stored)
result = distributed.solve(op, b, tile=chunk, halo=64, **penalty)
da.to_zarr(result.x.rechunk((1, chunk, chunk)), f"{folder.name}/sharp.zarr")
print(f"{result.message}; {result.nit} sweeps over {b.npartitions} tiles")

# %%
# Before and after.

x = zarr.open_array(f"{folder.name}/sharp.zarr", mode="r")[0]
figure, axes = plt.subplots(2, 1, figsize=(9, 9.3))
for ax, shown, title in ((axes[0], blurred, "blurred"), (axes[1], x, "in tiles")):
    ax.imshow(shown, vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_axis_off()

# %%
# What people do without this: deconvolve each chunk with a margin around it, and keep
# the middle. Here by a Wiener filter and by Richardson-Lucy of scikit-image, with 16
# pixels of margin. Each is compared with the same method on the whole picture.

margin = 16


def in_chunks(method, picture):
    found = np.empty_like(picture)
    wide = np.pad(picture, margin, mode="symmetric")
    for i in range(0, picture.shape[0], chunk):
        for j in range(0, picture.shape[1], chunk):
            cut = wide[i : i + chunk + 2 * margin, j : j + chunk + 2 * margin]
            part = method(cut)[margin:-margin, margin:-margin]
            found[i : i + chunk, j : j + chunk] = part
    return found


def wiener(picture):
    return restoration.wiener(picture, psf, 0.01, clip=False)


def richardson_lucy(picture):
    positive = np.maximum(picture, 1e-3)
    return restoration.richardson_lucy(positive, psf, 50, clip=False)


whole = solve(op, np.asarray(b), rtol=1e-9, **penalty).x[0]
differences = {
    "Wiener in chunks": in_chunks(wiener, blurred) - wiener(blurred),
    "Richardson-Lucy in chunks": in_chunks(richardson_lucy, blurred)
    - richardson_lucy(blurred),
    "tiles of convinv": x - whole,
}

# %%
# The seams, on one scale of gray: the recipes are wrong near the edges of the chunks,
# by several grays of a picture with 256. The difference of the tiles is what the
# tolerance leaves.

figure, axes = plt.subplots(3, 1, figsize=(9, 14))
for ax, (title, difference) in zip(axes, differences.items()):
    inner = difference[margin:-margin, margin:-margin]
    ax.imshow(inner, vmin=-0.03, vmax=0.03)
    ax.set_title(f"{title}: at most {abs(inner).max():.1g}")
    ax.set_axis_off()

folder.cleanup()
