"""ADMM of a few iterations with learned transforms, and its training."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from convinv import gallery
from convinv.interop.torch import svt

from . import pictures

START = -2.0  # the sigmoid of it is the first threshold, as in the paper's code
RATE = 5e-3
WIDTH = 16


class Stage(nn.Module):
    """One iteration: transform, threshold, back, known entries, multipliers.

    The transform and the one back are convolutions that begin as the cosine transform
    of the colors and its inverse, so that the network begins as ADMM with the tensor
    nuclear norm. Beside them there is a small network that begins as zero and sees what
    is known. The threshold is a part of the root of the sum of squares: of the largest
    singular value, as in the paper, it would need that one's gradient, too.
    """

    def __init__(self):
        super().__init__()
        self.forth, self.back = convolution(3, 3), convolution(3, 3)
        k = torch.arange(3.0)
        cosines = torch.cos(torch.pi * k[:, None] * (2 * k + 1) / 6) * (2 / 3) ** 0.5
        cosines[0] /= 2**0.5
        for layer, matrix in ((self.forth, cosines), (self.back, cosines.T)):
            nn.init.zeros_(layer.weight)
            layer.weight.data[:, :, 1, 1] = matrix
        self.rest = nn.Sequential(
            convolution(6, WIDTH), nn.ReLU(),
            convolution(WIDTH, WIDTH), nn.ReLU(),
            convolution(WIDTH, 3),
        )  # fmt: skip
        nn.init.zeros_(self.rest[-1].weight)
        self.level = nn.Parameter(torch.tensor(START))
        self.step = nn.Parameter(torch.tensor(1.0))

    def forward(self, x, multipliers, known, data, variant):
        v = x + multipliers
        slices = self.forth(v)
        size = torch.linalg.vector_norm(slices, dim=(-2, -1))
        z = svt(slices, torch.sigmoid(self.level) * size, variant=variant)
        z = self.back(z) + self.rest(torch.cat([v, known.to(v.dtype)], dim=1))
        x = torch.where(known, data, z - multipliers)
        return x, multipliers - self.step * (z - x)


def convolution(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


class Unrolled(nn.Module):
    """Some iterations from zero-filled data (N, 3, H, W)."""

    def __init__(self, stages):
        super().__init__()
        self.stages = nn.ModuleList(Stage() for _ in range(stages))

    def forward(self, data, known, variant="exact"):
        x, multipliers = data, torch.zeros_like(data)
        for stage in self.stages:
            x, multipliers = stage(x, multipliers, known, data, variant)
        return x


class Plan(NamedTuple):
    """How to train."""

    stages: int = 5
    steps: int = 400
    batch: int = 8
    patch: int = 32


class Training(NamedTuple):
    """A trained network, gradient norms, and the step that failed, or None."""

    network: Unrolled
    norms: np.ndarray
    failed: int | None


def network(plan, seed=0):
    """Always with the same weights of the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Unrolled(plan.stages)


def train(plan, ratio, variant, seed=0):
    """Adam with a cosine of rates, on the same patches for the same seed.

    It ends where a gradient is not finite, or the thresholding refuses its argument.
    """
    model, norms = network(plan, seed), []
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan.steps)
    for step, (truth, known) in enumerate(batches(plan, ratio, seed)):
        norm = backward(model, truth, known, variant)
        norms.append(norm)
        if not np.isfinite(norm):
            return Training(model, np.array(norms), step)
        optimizer.step()
        schedule.step()
    return Training(model, np.array(norms), None)


def backward(model, truth, known, variant):
    """Set the gradients of the squared error; their norm, infinite without any."""
    model.zero_grad()
    try:
        found = model(torch.where(known, truth, 0), known, variant)
    except ValueError:  # NaN or infinity in what is to be thresholded
        return np.inf
    loss = (found - truth).square().mean()
    loss.backward()
    return float(torch.linalg.vector_norm(gradient(model)))


def gradient(model):
    """All of it in double precision; what the last multipliers do is of no use."""
    parts = (p.grad for p in model.parameters() if p.grad is not None)
    return torch.cat([part.double().ravel() for part in parts])


def batches(plan, ratio, seed):
    """Patches of photographs in half of their size, and which entries are known."""
    photographs = [half(name) for name in pictures.TRAINING]
    rng = np.random.default_rng(seed)
    for _ in range(plan.steps):
        chosen = []
        for k in rng.integers(len(photographs), size=plan.batch):
            ends = (n - plan.patch + 1 for n in photographs[k].shape[1:])
            i, j = (int(rng.integers(end)) for end in ends)
            chosen.append(photographs[k][:, i : i + plan.patch, j : j + plan.patch])
        truth = torch.stack(chosen)
        known = rng.random(truth.shape, np.float32) < ratio
        yield truth, torch.as_tensor(known)


def half(name):
    picture = torch.as_tensor(gallery.image(name, dtype=np.float32))
    return nn.functional.avg_pool2d(picture, 2)


def restore(model, truth, known):
    """Pictures (N, H, W, 3) from their known entries."""
    data = np.where(known, truth, 0).astype(np.float32).transpose(0, 3, 1, 2)
    with torch.no_grad():
        found = model(
            torch.as_tensor(data.copy()),
            torch.as_tensor(known.transpose(0, 3, 1, 2).copy()),
        )
    return found.numpy().transpose(0, 2, 3, 1)
