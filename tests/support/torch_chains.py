"""Random chains of modules that have an inverse, or seem to."""

import math

import torch
from torch import nn

CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d
TRANSPOSED = nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
MODES = "zeros", "circular", "reflect", "replicate"


class Drawn:
    """Draws from a generator of NumPy."""

    def __init__(self, rng):
        self.rng = rng

    def one(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def number(self, low, high):
        return float(self.rng.uniform(low, high))

    def often(self, share):
        return self.rng.random() < share

    def activation(self, channels):
        kind = self.rng.integers(13)
        if kind < 3:
            return nn.LeakyReLU(self.number(0.01, 1.5))
        if kind == 3:
            layer = nn.PReLU(self.one(1, channels))
            nn.init.uniform_(layer.weight, 0.05, 1)
            return layer
        if kind == 4:  # slopes of both signs
            layer = nn.PReLU(channels)
            nn.init.uniform_(layer.weight, -0.2, 1)
            return layer
        return (
            lambda: nn.Tanh(),
            lambda: nn.Sigmoid(),
            lambda: nn.Softplus(self.number(0.5, 3)),
            lambda: nn.ELU(self.number(0.3, 2)),
            lambda: nn.CELU(self.number(0.3, 2)),
            lambda: nn.SELU(),
            lambda: nn.Softsign(),
            lambda: self.one(nn.LogSigmoid, nn.RReLU, nn.Identity)(),
        )[kind - 5]()

    def layer(self, channels, sizes):
        """A convolution, redundant in the mean."""
        axes, big = len(sizes), min(sizes)
        if self.often(0.15):
            out = channels * self.one(1, 2)
            kernel = self.one(2, 3)
            return TRANSPOSED[axes - 1](
                channels,
                out,
                kernel,
                stride=self.one(1, 2),
                padding=self.one(0, 1) if big > 2 else 0 if big > 2 else 0,
            )
        stride = self.one(1, 1, 1, 2) if axes < 3 else 1
        kernel = self.one(1, 2, 3) if big > 2 else 1
        growth = self.one(0.5, 1, 1, 2, 3, 4)
        groups = self.one(1, 1, 1, channels)
        out = max(1, round(channels * growth * (stride**axes))) * 1
        out = math.ceil(out / groups) * groups
        return CONVOLUTIONS[axes - 1](
            channels,
            out,
            kernel,
            stride=stride,
            padding=self.one(0, kernel // 2),
            groups=groups,
            bias=self.often(0.7),
            padding_mode=self.one(*MODES) if axes < 3 and big > 3 else "zeros",
        )

    def norm(self, channels, axes):
        layer = NORMS[axes - 1](channels)
        nn.init.uniform_(layer.weight, 0.3, 2)
        nn.init.uniform_(layer.bias, -0.5, 0.5)
        nn.init.uniform_(layer.running_mean, -0.5, 0.5)
        nn.init.uniform_(layer.running_var, 0.2, 2)
        return layer


def output_shape(modules, shape):
    """Of one item, by PyTorch."""
    with torch.no_grad():
        return tuple(nn.Sequential(*modules).eval()(torch.zeros(2, *shape)).shape[1:])


def random_chain(rng, residual_block=None):
    """A chain in evaluation mode and the shape of its input."""
    draw = Drawn(rng)
    torch.manual_seed(int(rng.integers(2**31)))
    axes = draw.one(1, 1, 2, 2, 2, 3)
    channels = draw.one(1, 2, 3, 4)
    shape = (channels, *(draw.one(4, 5, 6, 8) for _ in range(axes)))
    modules = []
    for _ in range(draw.one(1, 2, 3, 4)):
        now = output_shape(modules, shape)
        if math.prod(now) > 1500:
            break
        if len(now) > 1 and draw.often(0.75):
            modules.append(draw.layer(now[0], now[1:]))
        elif draw.often(0.4):
            if len(now) > 1:
                modules.append(nn.Flatten())
            count = math.prod(now)
            modules.append(nn.Linear(count, draw.one(count, count + 3, 2 * count)))
        now = output_shape(modules, shape)
        if draw.often(0.3):
            modules.append(draw.norm(now[0], max(len(now) - 1, 1)))
        if draw.often(0.15) and residual_block and len(now) == 3:
            body = nn.Conv2d(now[0], now[0], 3, padding=1)
            with torch.no_grad():
                body.weight.mul_(draw.number(0.1, 0.9))
            modules.append(residual_block(nn.Sequential(body, nn.ELU())))
        if draw.often(0.8):
            modules.append(draw.activation(now[0]))
        if draw.often(0.15) and len(now) == 3:
            extra = [nn.ZeroPad2d((1, 0, 2, 1)), nn.Dropout(0.4), nn.CircularPad2d(1)]
            if min(now[1:]) % 2 == 0 and (now[1] * now[2]) % 2 == 0:
                extra.append(
                    nn.PixelUnshuffle(2) if now[1] % 2 == now[2] % 2 else extra[0]
                )
            if now[0] % 4 == 0:
                extra += [nn.PixelShuffle(2), nn.ChannelShuffle(2)]
            modules.append(draw.one(*extra))
    return nn.Sequential(*modules).eval(), shape
