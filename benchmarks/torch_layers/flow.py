"""A normalizing flow of square convolutions, trained by their log-determinants."""

import math
import time

import torch
from torch import nn

from convinv.interop.torch import Inverse, logabsdet

from ..support.outcome import Claim, Outcome, Table
from ..support.threads import one_torch_thread
from .figures import pictures
from .images import patches

SIZE, COUNT = 16, 3000
SLOPE = 0.7  # of the activations below zero
STEPS, BATCH, RATE = 400, 128, 3e-2
LEVELS = 256  # that pictures have
SHOWN = 8


class Flow(nn.Module):
    """Pictures of one channel to white noise, by convolutions of cells of 2x2 pixels.

    The noise is logistic, whose tails are as heavy as those of filtered photographs.
    """

    def __init__(self, mean, deviation):
        super().__init__()
        self.mean, self.deviation = mean, deviation
        layers = [nn.PixelUnshuffle(2)]
        for depth in range(3):
            layers += [nn.LeakyReLU(SLOPE)] * bool(depth)
            layers.append(nn.Conv2d(4, 4, 3, padding=1))
            nn.init.dirac_(layers[-1].weight)
            nn.init.zeros_(layers[-1].bias)
        self.net = nn.Sequential(*layers)

    def log_likelihood(self, x):
        """Of every picture of a batch."""
        z = (x - self.mean) / self.deviation
        logs = -math.log(self.deviation) * x[0].numel()
        for layer in self.net:
            if isinstance(layer, nn.LeakyReLU):
                logs = logs + math.log(SLOPE) * (z < 0).sum(dim=(1, 2, 3))
            elif isinstance(layer, nn.Conv2d):
                logs = logs + logabsdet(layer, z.shape[1:])
            z = layer(z)
        logistic = -z.abs() - 2 * nn.functional.softplus(-z.abs())
        return logistic.sum(dim=(1, 2, 3)) + logs

    def sample(self, count, generator):
        """Pictures that noise comes from."""
        uniform = torch.rand(count, 4, SIZE // 2, SIZE // 2, generator=generator)
        noise = torch.logit(uniform.double(), eps=1e-9)
        inverse = Inverse(self.net.double(), (1, SIZE, SIZE))
        with torch.no_grad():
            return inverse(noise).float() * self.deviation + self.mean


def run(quick, folders=None):
    """Bits per pixel before and after, and pictures that the flow draws."""
    train, test = data(200 if quick else COUNT)
    torch.manual_seed(0)
    with one_torch_thread():
        flow = Flow(float(train.mean()), float(train.std()))
        before, drawn = bits(flow, test), {"before": samples(flow)}
        flow.float()
        start = time.perf_counter()
        fit(flow, train, 3 if quick else STEPS)
        seconds = time.perf_counter() - start
        after, drawn["after"] = bits(flow, test), samples(flow)
        normal = gaussian_bits(train, test)
    weights = sum(p.numel() for p in flow.parameters())
    size = test[0].numel()
    rows = [
        ("the flow before training", weights, f"{before:.3f}", "-"),
        ("after training", weights, f"{after:.3f}", f"{seconds:.0f}"),
        (
            "a normal distribution with all covariances",
            size * (size + 3) // 2,
            f"{normal:.3f}",
            "-",
        ),
    ]
    lines = [("photographs", test[:SHOWN])]
    lines += [(f"flow, {when}", found) for when, found in drawn.items()]
    figures = {"flow-pictures": pictures(lines, side=1.0)}
    return Outcome([table(rows)], claims(before, after, normal, quick), [], figures)


def data(count):
    """Gray patches for training and, of other photographs, for tests."""
    generator = torch.Generator().manual_seed(0)
    found = patches(SIZE, count)
    for x in (found.train, found.test):
        gray = x.mean(dim=1, keepdim=True)
        levels = (gray * (LEVELS - 1)).round()
        yield (levels + torch.rand(levels.shape, generator=generator)) / LEVELS


def fit(flow, train, steps):
    """So many steps of Adam on the mean negative logarithm of the likelihood."""
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(flow.parameters(), RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        x = train[torch.randint(len(train), (BATCH,), generator=generator)]
        loss = -flow.log_likelihood(x).mean() / x[0].numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()


def bits(flow, x):
    """Bits per pixel that pictures of `LEVELS` levels take with the flow's help."""
    with torch.no_grad():
        mean = float(flow.log_likelihood(x).mean()) / x[0].numel()
    return math.log2(LEVELS) - mean / math.log(2)


def gaussian_bits(train, test):
    """The same for the normal distribution of the training's mean and covariance."""
    x, y = (part.flatten(1).double() for part in (train, test))
    mean, deviations = x.mean(0), x - x.mean(0)
    covariance = deviations.T @ deviations / len(x)
    covariance += 1 / (12 * LEVELS**2) * torch.eye(len(mean), dtype=torch.float64)
    law = torch.distributions.MultivariateNormal(mean, covariance)
    found = float(law.log_prob(y).mean()) / len(mean)
    return math.log2(LEVELS) - found / math.log(2)


def samples(flow):
    return flow.sample(SHOWN, torch.Generator().manual_seed(2))


def table(rows):
    text = (
        f"Gray patches of {SIZE}x{SIZE} pixels of photographs that no training saw, "
        f"with {LEVELS} levels. The flow: three convolutions 3x3, 4 -> 4 channels, of "
        f"cells of 2x2 pixels, and LeakyReLU between them; {STEPS} steps of Adam on "
        f"{BATCH} patches each"
    )
    return Table("Bits per pixel", text, "model,parameters,bits,training s", rows)


def claims(before, after, normal, quick):
    if quick:
        return []
    return [
        Claim(
            "fewer bits than a normal distribution with all covariances",
            f"{after:.2f} of {before:.2f} before, {normal:.2f} for the distribution",
            after < normal < before,
        )
    ]
