"""
A large picture in little memory
================================

A solve takes several times the memory of its picture. ``max_memory`` sets a limit: a
stack is then worked off in slices, with the same result.
"""

import tracemalloc

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# A stack of 48 photographs: parts of one picture of the retina. (Each could be much
# larger; the limit is what counts here.)

psf = gallery.gaussian_kernel(9, 1.3)
retina = gallery.image("retina")[1, 320:1088, 300:1324]
sharp = retina.reshape(6, 128, 8, 128).swapaxes(1, 2).reshape(48, 128, 128)
rng = np.random.default_rng(0)
stack = imaging.blur(sharp, psf) + 0.004 * rng.standard_normal(sharp.shape)
print(f"{len(stack)} pictures of {stack[0].shape}, {stack.nbytes / 1e6:.1f} MB")


def measured(**options):
    """The result, and the memory that the call needed at its peak in MB."""
    tracemalloc.start()
    result = imaging.deconvolve(stack, psf, return_result=True, **options)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return result, peak


imaging.deconvolve(stack[:1], psf)  # compiles what is needed
free, needed = measured()
limited, less = measured(max_memory="20MB")

# %%
# The same pictures come out. The limit is for what the solve needs beside the stack and
# its result, which this count of memory contains.

low, high = sharp[30].min(), sharp[30].max()
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for ax, shown, title in (
    (axes[0], stack[30], "blurred"),
    (axes[1], free.x[30], f"at once: {needed:.0f} MB"),
    (axes[2], limited.x[30], f"in slices: {less:.0f} MB"),
):
    ax.imshow(shown, vmin=low, vmax=high)
    ax.set_title(title)
    ax.set_axis_off()

difference = abs(free.x - limited.x).max()
print(f"slices: {limited.extra['slices']}, largest difference: {difference:.0e}")

# %%
# One picture that is too large has to be cut by hand, with a margin of some widths of
# the blur that is thrown away. Far from the cuts nothing changes, since the inverse of
# a blur with a penalty decays quickly.

margin, cut = 24, 64
whole = imaging.deconvolve(stack[30], psf, strength=0.1)
left = imaging.deconvolve(stack[30][:, : cut + margin], psf, strength=0.1)[:, :cut]
right = imaging.deconvolve(stack[30][:, cut - margin :], psf, strength=0.1)[:, margin:]
joined = np.concatenate([left, right], axis=1)
print(f"two halves with a margin of {margin} pixels: {abs(joined - whole).max():.0e}")
