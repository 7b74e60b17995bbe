"""Weights whose layers have singular values between two bounds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._core.typing import Shape
from ...spectra import Clipped, clip_singular_values as _clip, orthogonalize as _move
from ._tensors import array_of, tensor_of
from ._weights import layer_weight, weight_and_map


def clip_singular_values(
    layer_or_weight: nn.Module | Tensor,
    input_shape: Shape,
    lo: float = 0.0,
    hi: float = 1.0,
    *,
    maxiter: int = 20,
    **options: Any,
) -> Tensor:
    """A weight near that of a layer whose singular values lie between two bounds.

    `convinv.spectra.clip_singular_values` for tensors; to change a layer and to learn
    what was reached, call `clip_singular_values_`. It is not differentiable.

    Parameters
    ----------
    layer_or_weight : nn.Module or Tensor
        A convolution, a transposed one or a linear layer, or its weight.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input.
    lo, hi : float
        The bounds.
    maxiter : int
        Steps, at most.
    **options
        Of a weight alone: ``stride, padding, output_padding, dilation, groups,
        padding_mode, transposed``, as the layer names them.

    Returns
    -------
    Tensor
        Like the weight, without a gradient.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import clip_singular_values, spectral_norm
    >>> weight = torch.randn(4, 4, 3, 3)
    >>> clipped = clip_singular_values(weight, (4, 16, 16), padding=1)
    >>> bool(spectral_norm(clipped, (4, 16, 16), padding=1) < 1.0001)
    True
    """
    found = weight_and_map(layer_or_weight, input_shape, options)
    weight = _changed(*found, _clip, lo, hi, maxiter)[0]
    return weight.reshape(_own_shape(layer_or_weight))


def orthogonalize(
    layer_or_weight: nn.Module | Tensor,
    input_shape: Shape,
    gain: float = 1.0,
    *,
    maxiter: int = 100,
    **options: Any,
) -> Tensor:
    """A weight near that of a layer whose singular values are nearly all `gain`.

    `convinv.spectra.orthogonalize` for tensors; to change a layer and to learn what was
    reached, call `orthogonalize_`. It is not differentiable.

    Parameters
    ----------
    layer_or_weight : nn.Module or Tensor
        A convolution, a transposed one or a linear layer, or its weight.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input.
    gain : float
        The singular value.
    maxiter : int
        Steps, at most.
    **options
        As those of `clip_singular_values`.

    Returns
    -------
    Tensor
        Like the weight, without a gradient.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import orthogonalize
    >>> orthogonalize(3 * torch.eye(4), (4,))
    tensor([[1., 0., 0., 0.],
            [0., 1., 0., 0.],
            [0., 0., 1., 0.],
            [0., 0., 0., 1.]])
    """
    found = weight_and_map(layer_or_weight, input_shape, options)
    weight = _changed(*found, _move, gain, maxiter)[0]
    return weight.reshape(_own_shape(layer_or_weight))


def clip_singular_values_(
    layer: nn.Module,
    input_shape: Shape,
    lo: float = 0.0,
    hi: float = 1.0,
    *,
    maxiter: int = 20,
) -> Clipped:
    """Clip the singular values of a layer in place, and tell what was reached.

    Between two steps of training, as `torch.nn.utils.clip_grad_norm_` does with
    gradients.

    Parameters
    ----------
    layer : nn.Module
        A convolution, a transposed one or a linear layer.
    input_shape, lo, hi, maxiter
        As those of `clip_singular_values`.

    Returns
    -------
    Clipped
        The largest singular value before and after, and how far others are outside the
        bounds; see `convinv.spectra.Clipped`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value, or the weight is parametrized.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import clip_singular_values_
    >>> layer = torch.nn.Conv2d(4, 4, 3, padding=1)
    >>> found = clip_singular_values_(layer, (4, 16, 16), hi=0.5)
    >>> found.before > 0.5, found.largest <= 0.5
    (True, True)
    """
    weight = layer_weight(layer)
    return _in_place(weight, layer, input_shape, _clip, lo, hi, maxiter)


def orthogonalize_(
    layer: nn.Module, input_shape: Shape, gain: float = 1.0, *, maxiter: int = 100
) -> Clipped:
    """Orthogonalize a layer in place, and tell what was reached.

    Parameters
    ----------
    layer : nn.Module
        A convolution, a transposed one or a linear layer.
    input_shape, gain, maxiter
        As those of `orthogonalize`.

    Returns
    -------
    Clipped
        Among others its ``deviation``; see `convinv.spectra.Clipped`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value, or the weight is parametrized.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import orthogonalize_
    >>> layer = torch.nn.Linear(5, 3)
    >>> orthogonalize_(layer, (5,)).deviation < 1e-3
    True
    >>> bool(torch.allclose(layer.weight @ layer.weight.T, torch.eye(3), atol=1e-5))
    True
    """
    weight = layer_weight(layer)
    return _in_place(weight, layer, input_shape, _move, gain, maxiter)


def _own_shape(layer_or_weight: Any) -> tuple[int, ...]:
    """That of the weight, which a linear layer has with two axes."""
    if isinstance(layer_or_weight, Tensor):
        return tuple(layer_or_weight.shape)
    return tuple(layer_or_weight.weight.shape)


def _in_place(
    weight: Tensor, layer: nn.Module, input_shape: Shape, change: Any, *arguments: Any
) -> Clipped:
    own, found = _changed(*weight_and_map(layer, input_shape, {}), change, *arguments)
    with torch.no_grad():
        weight.copy_(own.reshape(weight.shape))
    return found


def _changed(
    weight: Tensor, layer_map: Any, change: Any, *arguments: Any
) -> tuple[Tensor, Clipped]:
    """The new weight in the shape of a convolution's, and what was reached."""
    *given, maxiter = arguments
    op = layer_map.operator(array_of(weight))
    found = change(op, *given, maxiter=maxiter)
    kernel = tensor_of(found.kernel, weight).to(weight.dtype)
    kernel = kernel.conj().resolve_conj() if layer_map.transposed else kernel
    return kernel, found
