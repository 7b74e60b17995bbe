"""The logarithm of the determinant of a square layer, for flows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._core.typing import Shape
from ..._core.validation import boolean
from ...spectra._determinant import logabsdet_and_gradient
from ._first_order import first_order
from ._tensors import array_of
from ._weights import real_dtype, weight_and_map


def logabsdet(
    layer_or_weight: nn.Module | Tensor,
    input_shape: Shape,
    *,
    fixed_zeros: bool = False,
    **options: Any,
) -> Tensor:
    """Logarithm of the determinant's magnitude of a square layer, differentiable.

    `convinv.spectra.logabsdet` for tensors.

    Parameters
    ----------
    layer_or_weight : nn.Module or Tensor
        A convolution, a transposed one or a linear layer with as many outputs as
        inputs, or its weight.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input.
    fixed_zeros : bool
        Whether zeros of the weight stay zero, as those of a masked convolution: they
        get a gradient of 0, and that of an autoregressive layer costs nothing.
    **options
        Of a weight alone: ``stride, padding, output_padding, dilation, groups,
        padding_mode, transposed``, as the layer names them.

    Returns
    -------
    Tensor, shape ()
        In the weight's real dtype; ``-inf`` if the layer is singular.

    Raises
    ------
    TypeError, ValueError
        If the layer is not square, or an argument does not fit it.
    ValueError
        If the gradient needs more than 1 GiB.
    RuntimeError
        On differentiating the logarithm of a singular layer, or the gradient again.

    Notes
    -----
    Exact, in double precision and on the host. The gradient by each tap, a sum of
    entries of the inverse, is found together with the value: on a torus (circular
    padding) at the cost of one small inverse for each frequency, for other layers of
    about twice the value's cost. Nothing is estimated.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import logabsdet
    >>> layer = torch.nn.Conv2d(3, 3, 3, padding=1)
    >>> loss = -logabsdet(layer, (3, 16, 16))
    >>> loss.backward()
    >>> layer.weight.grad.shape
    torch.Size([3, 3, 3, 3])
    """
    fixed_zeros = boolean(fixed_zeros, "fixed_zeros")
    weight, layer_map = weight_and_map(layer_or_weight, input_shape, options)

    def compute(weight: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
        value, gradient = logabsdet_and_gradient(
            layer_map.operator(array_of(weight.cpu())),
            gradient=wanted,
            fixed_zeros=fixed_zeros,
        )
        found = torch.empty(0) if gradient is None else torch.from_numpy(gradient)
        if layer_map.transposed:  # the operator has the conjugate kernel
            found = found.conj().resolve_conj()
        return (
            torch.tensor(value, dtype=real_dtype(weight), device=weight.device),
            found.to(weight),
        )

    return first_order(weight, compute, "logabsdet")
