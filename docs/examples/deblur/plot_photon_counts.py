"""
Counts of photons: Richardson-Lucy
==================================

In dim light a camera counts single photons. Their noise grows with the brightness and
counts are never negative; ``model="poisson"`` knows both.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# Stars and galaxies, seen through a telescope whose image of a point is a Gaussian. The
# brightest pixel collects about 1,000 photons, most of the sky none.

sky = np.maximum(gallery.image("hubble_deep_field").mean(axis=0) - 0.12, 0)
sky = sky[100:292, 260:452]
psf = gallery.gaussian_kernel(15, 2.0)
sky *= 1000 / imaging.blur(sky, psf).max()
rng = np.random.default_rng(0)
counts = rng.poisson(imaging.blur(sky, psf))
print(f"counts from {counts.min()} to {counts.max()}, median {np.median(counts):.0f}")

# %%
# ``preserve_range`` keeps the unit, photons. The iterations of Richardson and Lucy
# climb to the most likely scene, held back by a little total variation. Its automatic
# strength is a rough guess, one over the mean count; here a tenth of it, 0.003, is
# better. Beside it the usual model, of noise that is the same everywhere.

options = {
    '"gaussian"': {},
    '"gaussian", bounds': {"bounds": (0, None)},
    '"poisson"': {"model": "poisson"},
    '"poisson", 0.003': {"model": "poisson", "strength": 0.003},
}
found = {
    name: imaging.deconvolve(counts, psf, preserve_range=True, **chosen)
    for name, chosen in options.items()
}


def error(scene):
    return np.linalg.norm(scene - sky) / np.linalg.norm(sky)


figure, axes = plt.subplots(2, 3, figsize=(9.6, 6.6))
for ax, (name, scene) in zip(
    axes.flat, {"counts": counts, **found, "the sky": sky}.items()
):
    # the square root shows faint things beside bright ones
    ax.imshow(np.sqrt(np.maximum(scene, 0)), vmin=0, vmax=25)
    ax.set_title(f"{name}: error {error(scene):.2f}" if scene is not sky else name)
    ax.set_axis_off()

# %%
# The light is kept, and nothing is negative.

for name, scene in found.items():
    print(f"{name:18} least {scene.min():6.1f}, all {scene.sum():.0f} photons")
print(f"{'counted':18} least {counts.min():6.1f}, all {counts.sum():.0f} photons")
