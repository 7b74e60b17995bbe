"""
A decoder without weights: the inverse of the encoder
=====================================================

An autoencoder whose decoder is the exact inverse of its encoder has nothing to learn in
the decoder, and its pictures come back as they were.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from convinv import gallery
from convinv.interop.torch import ConvInverse

# %%
# The encoder takes blocks of 4 x 4 pixels in color, with overlaps, to 16 features: as
# many numbers as pixels and a third more. ``ConvInverse`` is its inverse.

torch.manual_seed(0)
picture = torch.from_numpy(gallery.image("chelsea", 96, dtype="float32"))[None]
encoder = nn.Conv2d(3, 16, 4, stride=2, padding=1)
decoder = ConvInverse(encoder, (3, 96, 96))
with torch.no_grad():
    features = encoder(picture)
    found = decoder(features)
print(
    f"features {tuple(features.shape)}, largest error {abs(found - picture).max():.0e}"
)
# %%
# Beside it a transposed convolution of the same shape, trained on this picture
# for 200 steps.

transposed = nn.ConvTranspose2d(16, 3, 4, stride=2, padding=1)
descent = torch.optim.Adam(transposed.parameters(), 1e-2)
losses = []
for _ in range(200):
    loss = (transposed(features) - picture).square().mean()
    descent.zero_grad()
    loss.backward()
    descent.step()
    losses.append(loss.item())
with torch.no_grad():
    trained = transposed(features)


def psnr(x):
    return -10 * np.log10(float((x - picture).square().mean()))


figure, axes = plt.subplots(1, 4, figsize=(10, 2.9))
for ax, shown, title in (
    (axes[0], picture, "picture"),
    (axes[1], features[:, 3:4], "one of 16 features"),
    (axes[2], trained, f"trained: {psnr(trained):.1f} dB"),
    (axes[3], found, f"inverse: {psnr(found):.0f} dB"),
):
    color = shown.shape[1] == 3
    image = np.moveaxis(shown[0].numpy(), 0, -1)
    ax.imshow(np.clip(image, 0, 1) if color else image[..., 0])
    ax.set_title(title)
    ax.set_axis_off()

# %%
# The decoder has the weights of the encoder and none of its own. Gradients pass through
# the inverse to them, so that both can be trained together, against noise on the
# features for example.

print(f"parameters: {len(list(decoder.parameters()))}, those of the encoder")
noisy = features + 0.02 * torch.randn_like(features)
loss = (decoder(noisy) - picture).square().mean()
loss.backward()
print(f"with noise: {-10 * np.log10(loss.item()):.1f} dB,", end=" ")
print(f"norm of the gradient by the weights {encoder.weight.grad.norm():.3f}")
