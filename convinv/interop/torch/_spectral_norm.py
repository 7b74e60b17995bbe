"""The largest singular value of a layer on its inputs, differentiable."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._core.typing import Shape
from ..._core.validation import number
from ...operators._polyphase import Polyphase
from ...spectra._leading import leading_by_frequency, leading_triplet
from .._layer_map import LayerMap
from ._first_order import first_order
from ._products import weight_gradient
from ._tensors import array_of, tensor_of
from ._weights import real_dtype, weight_and_map

RTOL = 1e-6


def spectral_norm(
    layer_or_weight: nn.Module | Tensor,
    input_shape: Shape,
    *,
    rtol: float = RTOL,
    **options: Any,
) -> Tensor:
    """The largest singular value of a layer on inputs of a shape, differentiable.

    That of the whole map, with its stride, padding and boundary, and not of the weight
    reshaped to a matrix, as `torch.nn.utils.parametrizations.spectral_norm` has it.

    Parameters
    ----------
    layer_or_weight : nn.Module or Tensor
        A convolution, a transposed one or a linear layer, or its weight.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input.
    rtol : float
        The residual of the singular vectors, relative to the value, at which the search
        ends; the error of the value is at most that, usually its square.
    **options
        Of a weight alone: ``stride, padding, output_padding, dilation, groups,
        padding_mode, transposed``, as the layer names them.

    Returns
    -------
    Tensor, shape ()
        In the weight's real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the layer.
    ImportError
        For a weight on a CUDA device without CuPy.
    RuntimeError
        On differentiating the gradient again.

    Warns
    -----
    ConvergenceWarning
        If the search has not converged after 2000 products.

    Notes
    -----
    On a torus (circular padding) it is exact, from the matrices at all frequencies, on
    the host. For other layers Lanczos' method finds it, in double precision and on the
    weight's device. The gradient is that of ``Re <u, A v>`` for its singular vectors u
    and v: no further product. If the largest singular value is a multiple one, or as
    good as one, it is a subgradient, one of many.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import spectral_norm
    >>> layer = torch.nn.Conv2d(3, 8, 3, padding=1)
    >>> norm = spectral_norm(layer, (3, 16, 16))
    >>> norm.backward()
    >>> bool(torch.isclose((layer.weight.grad * layer.weight).sum(), norm))
    True
    """
    weight, layer_map = weight_and_map(layer_or_weight, input_shape, options)
    return norm_of_weight(weight, layer_map, rtol=rtol)


def norm_of_weight(
    weight: Tensor,
    layer_map: LayerMap,
    *,
    rtol: float = RTOL,
    start: dict[str, Tensor] | None = None,
) -> Tensor:
    """What `spectral_norm` returns, by a layer's map.

    The search starts from ``start["v"]``, and leaves there what it finds.
    """
    rtol = number(rtol, "rtol", positive=True)

    def compute(weight: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
        if Polyphase(layer_map.geometry).is_torus:
            value, gradient = _on_torus(layer_map, weight)
        else:
            value, gradient = _searched(layer_map, weight, rtol, start)
        norm = torch.tensor(value, dtype=real_dtype(weight), device=weight.device)
        return norm, gradient.to(weight)

    return first_order(weight, compute, "spectral_norm")


def _on_torus(layer_map: LayerMap, weight: Tensor) -> tuple[float, Tensor]:
    op = layer_map.operator(array_of(weight.cpu()))
    value, gradient = leading_by_frequency(op.layer.astype(_wide(op.dtype)))
    found = torch.from_numpy(gradient.reshape(tuple(weight.shape)))
    return value, found.conj().resolve_conj() if layer_map.transposed else found


def _searched(
    layer_map: LayerMap,
    weight: Tensor,
    rtol: float,
    start: dict[str, Tensor] | None,
) -> tuple[float, Tensor]:
    op = layer_map.operator(array_of(weight))
    before = None if start is None else start.get("v")
    if before is not None and (
        tuple(before.shape) != op.input_shape or before.device != weight.device
    ):
        before = None
    found = leading_triplet(
        op.astype(_wide(op.dtype)),
        rtol=rtol,
        start=None if before is None else array_of(before),
    )
    u, v = tensor_of(found.u, weight), tensor_of(found.v, weight)
    if start is not None:
        start["v"] = v
    return found.value, weight_gradient(layer_map, v, u, weight)


def _wide(dtype: Any) -> np.dtype:
    return np.result_type(dtype, np.float64)
