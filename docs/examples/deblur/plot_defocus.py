"""
How much to smooth: the automatic strength
==========================================

A picture out of focus, with three levels of noise. The more noise, the more smoothing
is needed, and ``deconvolve`` finds out by itself how much.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

# %%
# A lens out of focus turns points into discs. Here they have a radius of 4 pixels.

psf = gallery.disc_kernel(4)
sharp = gallery.image("camera")[0, 80:280, 120:320]
blurred = imaging.blur(sharp, psf)
rng = np.random.default_rng(0)
noises = (0.001, 0.01, 0.05)
pictures = [blurred + noise * rng.standard_normal(sharp.shape) for noise in noises]


def psnr(picture):
    return -10 * np.log10(np.mean((picture - sharp) ** 2))


results = [
    imaging.deconvolve(picture, psf, boundary="symmetric", return_result=True)
    for picture in pictures
]

figure, axes = plt.subplots(2, 3, figsize=(9, 6.3))
for column, noise, picture, result in zip(axes.T, noises, pictures, results):
    for ax, shown, title in (
        (column[0], picture, f"noise {100 * noise:g} %"),
        (column[1], result.x, "deconvolved"),
    ):
        ax.imshow(shown, vmin=0, vmax=1)
        ax.set_title(f"{title}: {psnr(shown):.1f} dB")
        ax.set_axis_off()

# %%
# The noise was not given. It was estimated from the picture, and the strength follows
# from it:

for noise, result in zip(noises, results):
    found, strength = result.extra["noise"], result.extra["strength"]
    print(f"noise {noise:.3f}: estimated {found:.4f}, strength {strength:.4f}")

# %%
# Was that a good choice? Here are all strengths, and the one that was taken as a dot.
# Nobody can draw these curves in practice, since they need the sharp photograph.

figure, ax = plt.subplots(figsize=(7, 4))
for noise, picture, result in zip(noises, pictures, results):
    strengths = result.extra["strength"] * np.geomspace(1 / 30, 30, 13)
    levels = [
        psnr(imaging.deconvolve(picture, psf, boundary="symmetric", strength=s))
        for s in strengths
    ]
    (line,) = ax.semilogx(strengths, levels, label=f"noise {100 * noise:g} %")
    ax.plot(result.extra["strength"], psnr(result.x), "o", color=line.get_color())
ax.set(xlabel="strength", ylabel="PSNR in dB", ylim=(10, None))
ax.legend()

# %%
# The automatic strength smooths a little more than the best PSNR asks for, since noise
# disturbs the eye most in flat parts. Give ``strength=`` to have it otherwise.
