"""Stages that map every number by itself: activations, and batch norm in evaluation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ._stages import Solves, Stage, inverts

LEAST_THRESHOLD = 10  # of softplus, which jumps down by exp(-threshold) there


class Elementwise(Stage):
    """A strictly increasing function, whose inverse takes ``u = unit y``.

    What lies outside the function's range is moved to the nearest number inside it.
    """

    low, high = -math.inf, math.inf  # of u

    @property
    def unit(self) -> float:
        return 1.0

    def inverse(self, u: Tensor) -> Tensor:
        raise NotImplementedError

    def invert(self, y: Tensor, solves: Solves) -> Tensor:
        if y.is_complex():
            raise TypeError(f"{self.name} does not take complex numbers")
        return self.inverse((y * self.unit).clamp(*self._ends(y.dtype)))

    def failure(self, y: Tensor) -> str | None:
        u = y * self.unit
        first, last = self._ends(y.dtype)
        count = int(((u < first) | (u > last)).sum())
        if not count:
            return None
        low, high = self.low / self.unit, self.high / self.unit
        return (
            f"{count} of {y.numel()} numbers are not in its range ({low:.4g}, "
            f"{high:.4g}), and were moved to its ends"
        )

    def moved(self, x: Tensor, delta: Tensor, solves: Solves) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.apply(x).sum(), x)
        return delta / slope

    def _ends(self, dtype: torch.dtype) -> tuple[float, float]:
        """The least and the largest u whose inverse is finite."""
        info = torch.finfo(dtype)
        low, high = max(self.low, info.min), min(self.high, info.max)
        if self.low == 0:
            low = info.tiny
        elif math.isfinite(self.low):
            low = self.low + abs(self.low) * info.eps / 2
        if self.high == 0:
            high = -info.tiny
        elif math.isfinite(self.high):
            high = self.high - abs(self.high) * info.eps / 2
        return low, high


@inverts(nn.Tanh)
class TanhStage(Elementwise):
    low, high = -1.0, 1.0

    def inverse(self, u: Tensor) -> Tensor:
        return torch.atanh(u)


@inverts(nn.Sigmoid)
class SigmoidStage(Elementwise):
    low, high = 0.0, 1.0

    def inverse(self, u: Tensor) -> Tensor:
        return torch.log(u) - torch.log1p(-u)


@inverts(nn.Softsign)
class SoftsignStage(Elementwise):
    low, high = -1.0, 1.0

    def inverse(self, u: Tensor) -> Tensor:
        return u / (1 - u.abs())


@inverts(nn.LogSigmoid)
class LogSigmoidStage(Elementwise):
    high = 0.0

    def inverse(self, u: Tensor) -> Tensor:
        return u - torch.log(-torch.expm1(u))


@inverts(nn.Softplus)
class SoftplusStage(Elementwise):
    low = 0.0

    @property
    def unit(self) -> float:
        return self.module.beta

    def problem(self) -> str | None:
        if not self.module.beta > 0:
            return f"a beta of {self.module.beta}, which must be above 0"
        if self.module.threshold < LEAST_THRESHOLD:
            return (
                f"its threshold of {self.module.threshold} is below {LEAST_THRESHOLD}: "
                "it is not monotonic there"
            )
        return None

    def inverse(self, u: Tensor) -> Tensor:
        threshold = self.module.threshold
        # outputs of inputs that are just below the threshold lie above it
        linear = u > threshold + math.exp(-threshold)
        return torch.where(linear, u, u + torch.log(-torch.expm1(-u))) / self.unit


class Exponential(Elementwise):
    """``scale x`` for positive x, ``level (exp(x / width) - 1)`` for others."""

    low = -1.0

    @property
    def level(self) -> float:
        return self.module.alpha

    @property
    def unit(self) -> float:
        return 1 / self.level

    def problem(self) -> str | None:
        if self.level > 0:
            return None
        return f"an alpha of {self.level}, which must be above 0"

    def positive(self, y: Tensor) -> Tensor:
        return y

    def negative(self, u: Tensor) -> Tensor:
        return torch.log1p(u)

    def inverse(self, u: Tensor) -> Tensor:
        below = self.negative(u.clamp(max=0))
        return torch.where(u < 0, below, self.positive(u / self.unit))


@inverts(nn.ELU)
class ELUStage(Exponential):
    pass


@inverts(nn.CELU)
class CELUStage(Exponential):
    def negative(self, u: Tensor) -> Tensor:
        return self.level * torch.log1p(u)


@inverts(nn.SELU)
class SELUStage(Exponential):
    alpha, scale = 1.6732632423543772, 1.0507009873554805

    @property
    def level(self) -> float:
        return self.alpha * self.scale

    def positive(self, y: Tensor) -> Tensor:
        return y / self.scale


@inverts(nn.LeakyReLU)
class LeakyReLUStage(Elementwise):
    @property
    def slope(self) -> float:
        return self.module.negative_slope

    def problem(self) -> str | None:
        if self.slope > 0:
            return None
        return f"a negative_slope of {self.slope}, which must be above 0"

    def inverse(self, u: Tensor) -> Tensor:
        return torch.where(u < 0, u / self.slope, u)


@inverts(nn.RReLU)
class RReLUStage(LeakyReLUStage):
    @property
    def slope(self) -> float:
        return (self.module.lower + self.module.upper) / 2

    def problem(self) -> str | None:
        if self.module.training:
            return "draws its slopes at random: call .eval()"
        return super().problem()


@inverts(nn.PReLU)
class PReLUStage(Elementwise):
    """With a slope that is not positive a channel is two-to-one.

    There the input is taken for positive. The chain leaves these channels out.
    """

    def two_to_one(self) -> list[int]:
        """The channels whose slope is not positive."""
        found = (self.module.weight.detach() <= 0).tolist()
        channels = self.output_shape[0] if self.output_shape else 1
        if len(found) == 1:
            found = found * channels
        return [c for c, lost in enumerate(found) if lost]

    def inverse(self, u: Tensor) -> Tensor:
        slope = along_channels(self.module.weight, u)
        usable = torch.where(slope > 0, slope, torch.ones_like(slope))
        return torch.where((u < 0) & (slope > 0), u / usable, u)

    def moved(self, x: Tensor, delta: Tensor, solves: Solves) -> Tensor:
        found = super().moved(x, delta, solves)
        known = along_channels(self.module.weight, x) > 0
        return torch.where(known, found, torch.zeros_like(found))


@inverts(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
class BatchNormStage(Elementwise):
    """With the statistics that training has left."""

    def problem(self) -> str | None:
        module = self.module
        if module.training:
            return "scales by the statistics of the batch: call .eval()"
        if module.running_mean is None:
            return "scales by the statistics of the batch, since it keeps none"
        if module.weight is None:
            return None
        zero = (module.weight.detach() == 0).nonzero().flatten().tolist()
        return f"maps its channels {listed(zero)} to one number" if zero else None

    def inverse(self, u: Tensor) -> Tensor:
        module = self.module
        mean = along_channels(module.running_mean, u)
        x = u
        if module.weight is not None:
            x = (u - along_channels(module.bias, u)) / along_channels(module.weight, u)
        deviation = (along_channels(module.running_var, u) + module.eps).sqrt()
        return x * deviation + mean


def along_channels(values: Tensor, like: Tensor) -> Tensor:
    """One number for each channel of a batch, in the batch's dtype."""
    return values.to(like.dtype).reshape(-1, *[1] * (like.ndim - 2))


def listed(channels: list[int]) -> str:
    """Channels by number, for messages."""
    text = ", ".join(map(str, channels[:12]))
    return text + (f", ... ({len(channels)} in all)" if len(channels) > 12 else "")
