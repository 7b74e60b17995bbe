"""
Exact inverses in deepinv
=========================

``ConvPhysics`` is a physics of deepinv whose pseudoinverse and proximal step are exact,
and differentiable. It goes wherever deepinv takes one of its own.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    import deepinv

from convinv import gallery, solve
from convinv.interop.deepinv import ConvPhysics

# %%
# A blurred photograph. ``ConvPhysics`` takes a filter as deepinv's ``Blur`` does,
# or the ``Blur`` itself, or any convolution of convinv or of PyTorch.

picture = gallery.image("astronaut", 96)
x = torch.as_tensor(picture, dtype=torch.float32)[None]
psf = torch.as_tensor(gallery.gaussian_kernel(9, 1), dtype=torch.float32)[None, None]
noise = deepinv.physics.GaussianNoise(0.01)
blur = deepinv.physics.Blur(psf, padding="replicate", noise_model=noise)
physics = ConvPhysics(blur)
torch.manual_seed(0)
y = physics(x)
print(f"the same blur: {bool(torch.allclose(physics.A(x), blur.A(x), atol=1e-5))}")

# %%
# Without noise the pseudoinverse gives the photograph back. deepinv's own is made by at
# most 50 iterations of conjugate gradients, and ends where they end.


def psnr(image):
    return -10 * float(torch.log10(torch.mean((image - x) ** 2)))


def compare(images):
    figure, axes = plt.subplots(1, len(images), figsize=(9, 3.4))
    for ax, (title, image) in zip(axes, images.items()):
        ax.imshow(np.clip(np.moveaxis(image[0].numpy(), 0, -1), 0, 1))
        ax.set_title(f"{title}: {psnr(image):.1f} dB")
        ax.set_axis_off()


clean = blur.A(x)
compare(
    {
        "blurred": clean,
        "A_dagger of Blur": blur.A_dagger(clean),
        "of ConvPhysics": physics.A_dagger(clean),
    }
)

# %%
# How exact is a proximal step? At the minimizer of ``gamma / 2 ||A x - y||^2 + ||x -
# z||^2 / 2`` the gradient is zero. Here is its norm for several gamma, and deepinv's
# own step as it comes.

gammas = 10.0 ** np.array([0, 1.5, 3, 4.5])
z = torch.zeros_like(x)


def gradient(step, gamma):
    one = ConvPhysics(blur).double()
    image, data = step.prox_l2(z, y, float(gamma)).double(), y.double()
    slope = gamma * one.A_adjoint(one.A(image) - data) + image
    return float(slope.norm() / (gamma * one.A_adjoint(data)).norm())


figure, ax = plt.subplots(figsize=(6.5, 3.6))
for name, one in {"Blur": blur, "ConvPhysics": physics}.items():
    ax.loglog(gammas, [gradient(one, gamma) for gamma in gammas], "o-", label=name)
ax.set(xlabel="gamma", ylabel="norm of the gradient")
ax.legend()

# %%
# With noise there is more to do, for example deepinv's half-quadratic splitting with
# its total variation. Every iteration has a proximal step of the data.

prior = deepinv.optim.TVPrior(n_it_max=10)
data = deepinv.optim.L2()
model = deepinv.optim.HQS(data, prior, stepsize=30, lambda_reg=2e-3, max_iter=8)
compare({"blurred, with noise": y, "HQS by ConvPhysics": model(y, physics)})

# %%
# The other way, `~convinv.solve` takes deepinv's physics and its tensors.

result = solve(blur, y, damp=0.02)
print(type(result.x).__name__, tuple(result.x.shape), result.method)
