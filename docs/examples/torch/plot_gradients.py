"""
Learn a kernel by gradients through a solve
===========================================

``conv_solve`` is a differentiable function. So a blur kernel that nobody knows can be
learned from what its inverse should give.
"""

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn import functional as F

from convinv import gallery
from convinv.interop.torch import conv_solve

# %%
# A photograph blurred by an unknown kernel. The loss compares the deblurred picture
# with the sharp one; the kernel and the damping are what is learned.

sharp = torch.from_numpy(gallery.image("camera", 96, dtype="float32"))[None]
truth = torch.from_numpy(gallery.gaussian_kernel(7, (0.7, 1.4)).astype("float32"))
blurred = F.conv2d(sharp, truth[None, None])
torch.manual_seed(0)
blurred = blurred + 0.003 * torch.randn_like(blurred)

guess = torch.zeros(49, requires_grad=True)
log_damp = torch.tensor(-2.0, requires_grad=True)
descent = torch.optim.Adam([guess, log_damp], 0.1)


def deblurred():
    """By the kernel that the guess stands for: not negative, with sum 1."""
    kernel = torch.softmax(guess, 0).reshape(1, 1, 7, 7)
    return conv_solve(blurred, kernel, (1, 96, 96), damp=log_damp.exp(), rtol=1e-4)


losses, kernels = [], []
for step in range(60):
    x = deblurred()
    # away from the frame, which a damped inverse does not know
    loss = (x - sharp)[..., 8:-8, 8:-8].square().mean()
    descent.zero_grad()
    loss.backward()
    descent.step()
    losses.append(loss.item())
    kernels.append(torch.softmax(guess.detach(), 0).reshape(7, 7))

# %%
# The kernel on its way to the true one. Only its effect on the deblurred picture
# counts: the loss never sees the true kernel.

figure, axes = plt.subplots(1, 5, figsize=(10, 2.5))
for ax, shown, title in (
    (axes[0], kernels[0], "step 1"),
    (axes[1], kernels[9], "step 10"),
    (axes[2], kernels[29], "step 30"),
    (axes[3], kernels[59], "step 60"),
    (axes[4], truth, "true kernel"),
):
    ax.imshow(shown.numpy(), vmin=0, vmax=float(truth.max()))
    ax.set_title(title)
    ax.set_axis_off()

# %%
# The deblurred picture before and after.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.3))
with torch.no_grad():
    found = deblurred()
inside = (0, 0, slice(8, -8), slice(8, -8))
for ax, shown, title in (
    (axes[0], blurred[0, 0, 5:-5, 5:-5], "blurred"),
    (axes[1], found[inside], f"learned: {-10 * np.log10(losses[-1]):.1f} dB"),
    (axes[2], sharp[inside], "sharp"),
):
    ax.imshow(shown.numpy(), vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_axis_off()
error = (kernels[-1] - truth).norm() / truth.norm()
print(f"relative error of the kernel: {error:.2f}")
print(f"loss {losses[0]:.1e} -> {losses[-1]:.1e}, damp {log_damp.exp().item():.4f}")
