"""Products of a layer's map with its weight as a variable, made of PyTorch's own.

They can be differentiated to every order and batched by `torch.func.vmap`, which is why
gradients are made of them. All take leading axes of a batch: ``(..., C, *spatial)``.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..._core.geometry import Geometry, axis_index
from .._layer_map import LayerMap

CORRELATE = F.conv1d, F.conv2d, F.conv3d
TRANSPOSED = F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d


def apply(layer_map: LayerMap, x: Tensor, weight: Tensor) -> Tensor:
    """``A x``."""
    if layer_map.transposed:
        return _correlate_adjoint(layer_map.geometry, x, weight)
    return _correlate(layer_map.geometry, x, weight)


def apply_adjoint(layer_map: LayerMap, y: Tensor, weight: Tensor) -> Tensor:
    """``A^H y``."""
    if layer_map.transposed:
        return _correlate(layer_map.geometry, y, weight.conj())
    return _correlate_adjoint(layer_map.geometry, y, weight.conj())


def weight_gradient(
    layer_map: LayerMap, x: Tensor, w: Tensor, weight: Tensor
) -> Tensor:
    """The gradient of ``Re <w, A x>`` by the weight, in PyTorch's sense.

    Of `weight` the shape alone is used. The items of a batch are summed.
    """
    if layer_map.transposed:
        x, w = w.conj(), x.conj()
    g = layer_map.geometry
    x, w = _pad(g, _items(g, x)), _items(g, w)
    shape = tuple(weight.shape)
    if not x.is_complex():
        return _real_weight_gradient(g, x, w, shape)
    # sum of w conj(x) by two real sums over batches of twice the size
    parts, real = torch.cat([x.real, x.imag]), torch.cat([w.real, w.imag])
    imaginary = torch.cat([w.imag, -w.real])
    return torch.complex(
        _real_weight_gradient(g, parts, real, shape),
        _real_weight_gradient(g, parts, imaginary, shape),
    )


def _own(g: Geometry, values: tuple[int, ...]) -> tuple[int, ...]:
    """Of three spatial axes those that the layer has."""
    return values[3 - g.ndim :]


def _items(g: Geometry, x: Tensor) -> Tensor:
    """With one axis of items before the channels."""
    lead = x.shape[: x.ndim - g.ndim - 1]
    return x.reshape(math.prod(lead), *x.shape[len(lead) :])


def _unfolded(x: Tensor, like: Tensor, g: Geometry) -> Tensor:
    """With the axes that `like` has before its channels."""
    return x.reshape(*like.shape[: like.ndim - g.ndim - 1], *x.shape[1:])


def _correlate(g: Geometry, x: Tensor, weight: Tensor) -> Tensor:
    y = CORRELATE[g.ndim - 1](
        _pad(g, _items(g, x)),
        weight,
        stride=_own(g, g.stride),
        dilation=_own(g, g.dilation),
        groups=g.groups,
    )
    return _unfolded(y, x, g)


def _correlate_adjoint(g: Geometry, y: Tensor, weight: Tensor) -> Tensor:
    """The transpose of the correlation, without conjugation of the weight."""
    x = TRANSPOSED[g.ndim - 1](
        _items(g, y),
        weight,
        stride=_own(g, g.stride),
        dilation=_own(g, g.dilation),
        groups=g.groups,
    )
    return _unfolded(_pad_adjoint(g, x), y, g)


def _real_weight_gradient(
    g: Geometry, x: Tensor, w: Tensor, shape: tuple[int, ...]
) -> Tensor:
    zeros, none = (0,) * g.ndim, (False, True, False)
    stride, dilation = _own(g, g.stride), _own(g, g.dilation)
    _, gradient, _ = torch.ops.aten.convolution_backward(
        w.contiguous(),
        x.contiguous(),
        x.new_zeros(()).expand(shape),
        None,
        stride,
        zeros,
        dilation,
        False,
        zeros,
        g.groups,
        none,
    )
    return gradient


def _pad(g: Geometry, x: Tensor) -> Tensor:
    """The padded input."""
    if not any(g.before + g.after):
        return x
    if g.boundary == "zero":
        widths = zip(reversed(g.before), reversed(g.after))
        return F.pad(x, [n for pair in widths for n in pair][: 2 * g.ndim])
    for axis in range(3 - g.ndim, 3):
        if g.before[axis] or g.after[axis]:
            index = torch.as_tensor(axis_index(g, axis), device=x.device)
            x = x.index_select(axis - 3 + x.ndim, index)
    return x


def _pad_adjoint(g: Geometry, x: Tensor) -> Tensor:
    """Fold what lies on the padding back, for an input that may end early or late."""
    for axis in range(3 - g.ndim, 3):
        dim = axis - 3 + x.ndim
        size, padded = g.input[axis], g.padded[axis]
        # samples that no window reaches, because of the stride, get zeros
        short = padded - x.shape[dim]
        if g.boundary != "zero" and (g.before[axis] or g.after[axis]):
            index = axis_index(g, axis)[: x.shape[dim]]
            shape = (*x.shape[:dim], size, *x.shape[dim + 1 :])
            where = torch.as_tensor(np.ascontiguousarray(index), device=x.device)
            x = x.new_zeros(shape).index_add(dim, where, x)
        else:
            first, last = g.before[axis], g.after[axis] - short
            ends = [0, 0] * (x.ndim - 1 - dim) + [-first, -last]
            x = F.pad(x, ends) if first or last else x
    return x
