"""The linear maps of layers: read from them, and as operators of convinv."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import DTypeLike
from torch import nn

from ..._core.typing import Shape
from ...operators._base import ShapedOperator
from ...operators._foreign import MatrixOperator
from .._layer_map import LayerMap, layer_map
from ._pair_padded import PairPadded
from ._tensors import array_of

CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d
TRANSPOSED = nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d


@dataclass(frozen=True)
class ReadLayer:
    """What a layer says of itself.

    Attributes
    ----------
    weight : torch.Tensor
        A linear layer's as that of a convolution of kernel size 1, (out, in, 1).
    bias : torch.Tensor or None
    options : dict
        ``stride, padding, dilation, groups, padding_mode``, and ``output_padding,
        transposed`` of a transposed layer, as `layer_map` takes them.
    linear : bool
        Whether it is a linear layer, whose input has no spatial axis.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    options: dict[str, Any] = field(default_factory=dict)
    linear: bool = False


def is_layer(module: Any) -> bool:
    """Whether `read` takes it."""
    return isinstance(module, (*CONVOLUTIONS, *TRANSPOSED, nn.Linear, PairPadded))


def read(layer: Any) -> ReadLayer:
    """Weight, bias and options of a layer, for `layer_map` and `conv_solve`."""
    if not is_layer(layer):
        raise TypeError(
            "layer must be an nn.Conv1d, 2d, 3d, nn.ConvTranspose1d, 2d, 3d or "
            f"nn.Linear, got {type(layer).__name__}"
        )
    weight: Any = _weight(layer)
    for name, tensor in (("weight", weight), ("bias", layer.bias)):
        if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
            raise ValueError(
                f"the {name} of the {type(layer).__name__} has no shape yet: apply the "
                "layer once"
            )
    bias: Any = layer.bias
    if isinstance(layer, nn.Linear):
        return ReadLayer(weight[:, :, None], bias, linear=True)
    if isinstance(layer, PairPadded):
        return ReadLayer(weight, bias, dict(layer.options))
    options: dict[str, Any] = {
        name: getattr(layer, name)
        for name in ("stride", "padding", "dilation", "groups", "padding_mode")
    }
    if isinstance(layer, TRANSPOSED):
        options.update(transposed=True, output_padding=layer.output_padding)
    return ReadLayer(weight, bias, options)


def _weight(layer: Any) -> Any:
    """A layer's weight as it was last applied, parametrized or computed by a hook.

    In training mode reading a spectrally normalized weight makes a step of its power
    iteration, and gives another weight than the layer has used. With the older hooks
    (`torch.nn.utils.spectral_norm`, ``weight_norm``, pruning) the attribute may be
    stale: they replace it when the layer is applied.
    """
    for hook in vars(layer)["_forward_pre_hooks"].values():
        if getattr(hook, "name", None) == "weight" and hasattr(hook, "compute_weight"):
            return hook.compute_weight(layer, *[False] * hasattr(hook, "eps"))
        if getattr(hook, "_tensor_name", None) == "weight":
            return hook.apply_mask(layer)
    if not getattr(layer, "parametrizations", None):
        return layer.weight  # with nothing in the way of a compiler
    with without_side_effects(layer):
        return layer.weight


@contextlib.contextmanager
def without_side_effects(module: nn.Module) -> Iterator[None]:
    """Parametrized weights in a module are read as they were last applied."""
    found = [getattr(m, "parametrizations", ()) for m in module.modules()]
    lists = [p for per_layer in found if per_layer for p in per_layer.values()]
    training = [m for p in lists for m in p.modules() if m.training]
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part in training:
            part.training = True


def map_of(layer: ReadLayer, input_shape: Shape) -> LayerMap:
    """The map of a layer that has been read, for inputs of a shape."""
    shape = tuple(input_shape)
    if layer.linear and len(shape) == 1:
        shape = (*shape, 1)
    return layer_map(tuple(layer.weight.shape), shape, **layer.options)


def operator(
    layer: nn.Module, input_shape: Shape, *, dtype: DTypeLike | None = None
) -> ShapedOperator:
    """The linear part of a layer as an operator of convinv.

    Parameters
    ----------
    layer : nn.Conv1d, 2d, 3d, nn.ConvTranspose1d, 2d, 3d or nn.Linear
        With its weight as it stands, parametrized or not, on the CPU or a CUDA device
        (which needs CuPy). The weight is copied: later changes of the layer do not
        change the operator. The bias is left out.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input, ``(in_features,)`` of a linear layer.
    dtype : dtype, optional
        Of NumPy, as `convinv.ConvLinearOperator` takes it; by default the weight's,
        where half precision becomes float32.

    Returns
    -------
    ConvLinearOperator, its adjoint, or a matrix as an operator
        The adjoint of a transposed convolution's convolution with the conjugate
        kernel; for a linear layer its matrix.

    Raises
    ------
    TypeError
        If `layer` is no such layer.
    ValueError
        If `input_shape` does not fit the layer, or its weight has no shape yet.
    ImportError
        If the weight is on a CUDA device and CuPy is not installed.

    Notes
    -----
    A spectrally normalized weight is read as it was last applied; in training mode the
    next forward pass will change it.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import operator
    >>> layer = torch.nn.Conv2d(3, 8, 3, padding="same", padding_mode="circular")
    >>> op = operator(layer, (3, 32, 32))
    >>> op.output_shape, op.boundary
    ((8, 32, 32), 'periodic')
    """
    return operator_of(read(layer), input_shape, dtype)


def operator_of(
    layer: ReadLayer, input_shape: Shape, dtype: DTypeLike | None = None
) -> ShapedOperator:
    """The operator of a layer that has been read, with a copy of its weight."""
    kernel = array_of(layer.weight)
    if layer.linear:
        shape = (layer.weight.shape[1],)
        if tuple(input_shape) != shape:
            raise ValueError(
                f"input_shape must be {shape} for this linear layer (other axes are "
                f"those of a batch), got {tuple(input_shape)}"
            )
        matrix = kernel[:, :, 0].copy()
        return MatrixOperator(matrix if dtype is None else matrix.astype(dtype))
    return map_of(layer, input_shape).operator(kernel, dtype)
