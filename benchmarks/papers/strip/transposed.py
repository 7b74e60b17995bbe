"""Transposed convolutions that learn to undo a layer, as decoders have them.

The paper compares with one and tells neither its architecture nor its training. Here
are the plainest, a single transposed convolution with the layer's sizes, and one with
a hidden layer and a nonlinearity.
"""

import time

import numpy as np

from convinv import ConvLinearOperator, gallery

from ...support.threads import one_torch_thread

SQUARE = 64  # pixels of what is trained on, squares cut out of the images
CUTS = 4  # squares of every image
BATCH = 16
HIDDEN = 32


class Transposed:
    """A network that maps data behind the layer to images, trained in this run.

    Attributes
    ----------
    parameters : int
    seconds : float
        Of the training.
    """

    def __init__(self, op, source, hidden, steps, rate, level, seed=0):
        import torch

        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self.torch, self.steps, self.rate = torch, steps, rate
        filters, channels, *taps = op.kernel.shape
        self.network = network(torch, channels, filters, taps, hidden)
        self.parameters = sum(p.numel() for p in self.network.parameters())
        small = ConvLinearOperator(op.kernel, (op.input_shape[0], SQUARE, SQUARE))
        optimizer = torch.optim.Adam(self.network.parameters(), rate)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        start = time.perf_counter()
        with one_torch_thread():
            for _ in range(steps):
                x = squares(source, rng)
                b = gallery.add_noise(small.forward(x), level, rng=rng, reference=x)
                found = self.network(torch.from_numpy(b))
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(found, torch.from_numpy(x)).backward()
                optimizer.step()
                decay.step()
        self.seconds = time.perf_counter() - start

    def __call__(self, b):
        with self.torch.no_grad():
            return self.network(self.torch.from_numpy(b)).numpy()

    def __str__(self):
        layers = " - ".join(str(layer) for layer in self.network)
        return (
            f"{layers}: {self.parameters} parameters, Adam from rate {self.rate:g} "
            f"down a cosine to 0, {self.steps} steps of {BATCH} squares of "
            f"{SQUARE} x {SQUARE}, mean squared error, {self.seconds:.0f} s on one "
            "thread"
        )


def network(torch, channels, filters, taps, hidden=0):
    """Back from `filters` to `channels`, with a hidden layer or without."""
    nn = torch.nn
    if not hidden:
        return nn.Sequential(nn.ConvTranspose2d(filters, channels, taps))
    return nn.Sequential(
        nn.ConvTranspose2d(filters, hidden, taps),
        nn.LeakyReLU(0.1),
        nn.Conv2d(hidden, channels, 3, padding=1),
    )


def squares(source, rng):
    """A batch of squares of random images, `CUTS` of each."""
    cut = []
    for image in source.batch(BATCH // CUTS, rng):
        for _ in range(CUTS):
            top, left = (rng.integers(n - SQUARE + 1) for n in image.shape[1:])
            cut.append(image[:, top : top + SQUARE, left : left + SQUARE])
    return np.stack(cut)
