"""Residual blocks, ``x + g(x)``, which are inverted by a fixed point."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """A block ``x + body(x)``, which `Inverse` can invert.

    Parameters
    ----------
    body : nn.Module
        A map g between tensors of one shape, as a rule an `nn.Sequential`. The block is
        invertible where g is a contraction: `Inverse` asks for an upper bound of its
        Lipschitz constant below 1.

    Attributes
    ----------
    body : nn.Module

    Notes
    -----
    Behrmann et al., "Invertible residual networks", ICML 2019.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import Inverse, ResidualBlock
    >>> conv = torch.nn.Conv2d(2, 2, 3, padding=1, bias=False)
    >>> _ = conv.weight.data.mul_(0.2)
    >>> block = ResidualBlock(torch.nn.Sequential(conv, torch.nn.ReLU()))
    >>> x = torch.rand(4, 2, 8, 8)
    >>> bool((Inverse(block, (2, 8, 8))(block(x)) - x).abs().max() < 1e-4)
    True
    """

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)
