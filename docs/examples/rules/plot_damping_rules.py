"""
Four rules that choose the damping
==================================

How much damping? The L-curve, generalized cross-validation, the periodogram of the
residual and the discrepancy principle each have an answer. None needs the original.
"""

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, solve

# %%
# A blurred photograph with 1 % noise. The penalty is on differences between neighbors.

picture = gallery.image("camera", 128)
kernel = gallery.gaussian_kernel(13, 2.0)[None, None]
blur = ConvLinearOperator(kernel, picture.shape, padding="same", boundary="symmetric")
rng = np.random.default_rng(0)
b = blur.forward(picture) + 0.01 * rng.standard_normal(picture.shape)


def psnr(x):
    return -10 * np.log10(np.mean((x - picture) ** 2))


def chosen(rule, **options):
    return solve(blur, b, damp=rule, regularizer="gradient", **options)


results = {
    "gcv": chosen("gcv"),
    "lcurve": chosen("lcurve"),
    "ncp": chosen("ncp"),
    "discrepancy": chosen("discrepancy", noise_level=0.01),
}

# %%
# PSNR over the damping, with the choices of the rules. The curve needs the original;
# the rules do not.

damps = np.geomspace(1e-3, 3, 25)
levels = [psnr(solve(blur, b, damp=d, regularizer="gradient").x) for d in damps]
figure, ax = plt.subplots(figsize=(8, 4.2))
ax.semilogx(damps, levels, color="0.6")
ax.axhline(psnr(b), color="0.6", linestyle="--", linewidth=1)
ax.text(damps[0], psnr(b) + 0.2, "blurred picture", color="0.4")
for (name, result), marker in zip(results.items(), "os^v"):
    damp = result.extra["damp"]
    ax.plot(
        damp,
        psnr(result.x),
        marker,
        fillstyle="none",
        markersize=8,
        markeredgewidth=1.5,
        linestyle="none",
        label=f"{name}: {damp:.3f}",
    )
ax.set(xlabel="damp", ylabel="PSNR in dB", ylim=(10, None))
ax.legend()

# %%
# All are better than the blurred picture. Cross-validation smooths least and is nearest
# to the top of the curve; the eye may prefer the others, which leave less noise in the
# sky. The discrepancy principle needs to know the noise.

figure, axes = plt.subplots(2, 3, figsize=(9, 6.5))
shown = {"blurred": b, **{name: result.x for name, result in results.items()}}
for ax, (name, x) in zip(axes.flat, shown.items()):
    ax.imshow(x[0], vmin=0, vmax=1)
    ax.set_title(f"{name}: {psnr(x):.1f} dB")
axes.flat[5].imshow(picture[0], vmin=0, vmax=1)
axes.flat[5].set_title("the photograph")
for ax in axes.flat:
    ax.set_axis_off()

# %%
# A result draws what the rule has tried. For the L-curve it is the curvature.

results["lcurve"].plot_damp()
