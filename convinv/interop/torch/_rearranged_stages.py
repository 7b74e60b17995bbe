"""Stages that rearrange numbers, repeat some, or leave them as they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._stages import Solves, Stage, inverts


class Rearranged(Stage):
    """An exact inverse, linear in y."""

    def inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def invert(self, y: Tensor, solves: Solves) -> Tensor:
        return self.inverse(y)

    def moved(self, x: Tensor, delta: Tensor, solves: Solves) -> Tensor:
        return self.inverse(delta)


@inverts(nn.Identity)
class IdentityStage(Rearranged):
    def inverse(self, y: Tensor) -> Tensor:
        return y


DROPOUTS = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)


@inverts(*DROPOUTS)
class DropoutStage(IdentityStage):
    def problem(self) -> str | None:
        if self.module.training and self.module.p > 0:
            return "drops numbers at random: call .eval()"
        return None


@inverts(nn.Flatten, nn.Unflatten)
class ReshapedStage(Rearranged):
    def inverse(self, y: Tensor) -> Tensor:
        return y.reshape(len(y), *self.input_shape)


@inverts(nn.PixelShuffle)
class PixelShuffleStage(Rearranged):
    def inverse(self, y: Tensor) -> Tensor:
        return F.pixel_unshuffle(y, self.module.upscale_factor)


@inverts(nn.PixelUnshuffle)
class PixelUnshuffleStage(Rearranged):
    def inverse(self, y: Tensor) -> Tensor:
        return F.pixel_shuffle(y, self.module.downscale_factor)


@inverts(nn.ChannelShuffle)
class ChannelShuffleStage(Rearranged):
    def inverse(self, y: Tensor) -> Tensor:
        groups = self.module.groups
        channels = y.reshape(len(y), -1, groups, *y.shape[2:])
        return channels.transpose(1, 2).reshape(y.shape)


PADDINGS = (
    *(nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d),
    *(nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d),
    *(nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d),
    *(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d),
    *(nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d),
)


@inverts(*PADDINGS)
class PaddingStage(Rearranged):
    """Undone by cutting the padding off."""

    def problem(self) -> str | None:
        if min(self.module.padding) < 0:
            return "a negative padding, which cuts numbers off"
        return None

    def inverse(self, y: Tensor) -> Tensor:
        before = self.module.padding[::2]  # of the last axis first
        for i, (start, size) in enumerate(zip(before, reversed(self.input_shape))):
            y = torch.narrow(y, y.ndim - 1 - i, start, size)
        return y
