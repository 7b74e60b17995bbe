"""
Watch a solve, stop it early, and read its result
=================================================

A callback sees every iteration and may end the solve. The result says what happened:
how it ended, how far it got, and how good x is.
"""

import matplotlib.pyplot as plt
import numpy as np

from convinv import ConvLinearOperator, gallery, solve

# %%
# A blurred photograph with noise. The early iterations of CGLS find what is smooth, the
# late ones amplify the noise: stopping in between is a way to smooth.

picture = gallery.image("camera", 128)
kernel = gallery.gaussian_kernel(13, 2.0)[None, None]
blur = ConvLinearOperator(kernel, picture.shape, padding="same", boundary="symmetric")
rng = np.random.default_rng(0)
b = blur.forward(picture) + 0.01 * rng.standard_normal(picture.shape)


def psnr(x):
    return -10 * np.log10(np.mean((x - picture) ** 2))


seen, kept = [], {}


def watch(state):
    """Called after every iteration; ``state.x`` is computed when it is asked for."""
    seen.append((state.nit, float(state.residual_norm), psnr(state.x)))
    if state.nit in (3, 12, 60):
        kept[state.nit] = state.x.copy()


solve(blur, b, "cgls", rtol=0, maxiter=60, callback=watch, on_failure="ignore")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, (nit, x) in zip(axes, kept.items()):
    ax.imshow(x[0], vmin=0, vmax=1)
    ax.set_title(f"{nit} iterations: {psnr(x):.1f} dB")
    ax.set_axis_off()

# %%
# The residual falls and falls, but the picture is best early.

nits, residuals, levels = zip(*seen)
figure, ax = plt.subplots(figsize=(7, 3.8))
ax.semilogy(nits, residuals, color="tab:blue")
ax.set(xlabel="iterations")
ax.set_ylabel("residual", color="tab:blue")
right = ax.twinx()
right.plot(nits, levels, color="tab:orange")
right.set_ylabel("PSNR in dB", color="tab:orange")

# %%
# A callback that returns True ends the solve. Here it stops at the level of the noise,
# which is the discrepancy principle once more. ``progress=True`` shows a bar instead.

noise = 0.01 * np.sqrt(b.size)
result = solve(blur, b, "cgls", rtol=0, callback=lambda s: s.residual_norm < noise)
print(result)
print(f"PSNR {psnr(result.x):.1f} dB, blurred {psnr(b):.1f} dB")

# %%
# The status says why a solve ended; its value says what to do next. ``plot`` draws the
# history.

print(result.status.value)
result.plot()
