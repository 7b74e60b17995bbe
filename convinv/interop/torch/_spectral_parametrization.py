"""Layers that are kept within a norm, by torch.nn.utils.parametrize."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._core.typing import Shape
from ..._core.validation import number
from ._spectral_norm import RTOL, norm_of_weight
from ._weights import weight_and_map


class SpectralNormalized(nn.Module):
    """Divides a weight by the layer's norm over `bound`, where the norm is above it.

    For `torch.nn.utils.parametrize.register_parametrization`. The norm is that of the
    layer on inputs of a shape, see `spectral_norm`, and it has converged at every step,
    in training and in evaluation alike.

    Parameters
    ----------
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input.
    bound : float
        The largest norm, positive.
    rtol : float
        As that of `spectral_norm`.
    **options
        Of the layer: ``stride, padding, output_padding, dilation, groups,
        padding_mode, transposed``, as the layer names them.

    Notes
    -----
    The search for the singular vectors starts from those of the step before; they are
    not a part of the state dict.

    Examples
    --------
    >>> import torch
    >>> from torch.nn.utils import parametrize
    >>> from convinv.interop.torch import SpectralNormalized, spectral_norm
    >>> layer = torch.nn.Conv2d(3, 8, 3, padding=1)
    >>> with torch.no_grad():
    ...     layer.weight *= 10
    >>> normalized = SpectralNormalized((3, 16, 16), bound=1.0, padding=1)
    >>> layer = parametrize.register_parametrization(layer, "weight", normalized)
    >>> bool(torch.isclose(spectral_norm(layer, (3, 16, 16)), torch.tensor(1.0)))
    True
    """

    def __init__(
        self,
        input_shape: Shape,
        bound: float = 1.0,
        *,
        rtol: float = RTOL,
        **options: Any,
    ) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        self.bound = number(bound, "bound", positive=True)
        self.rtol, self.options = rtol, options
        self._start: dict[str, Tensor] = {}

    def forward(self, weight: Tensor) -> Tensor:
        own, layer_map = weight_and_map(weight, self.input_shape, self.options)
        norm = norm_of_weight(own, layer_map, rtol=self.rtol, start=self._start)
        return weight / torch.clamp(norm / self.bound, min=1.0)

    def extra_repr(self) -> str:
        """What `repr` shows of it."""
        options = "".join(f", {k}={v!r}" for k, v in self.options.items())
        return f"{self.input_shape}, bound={self.bound:g}{options}"
