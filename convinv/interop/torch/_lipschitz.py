"""Lipschitz constants of layers and chains of layers: a lower and an upper bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..._core.typing import Shape
from ...operators._convolution import ConvLinearOperator
from ...spectra import norm_bounds
from .._layer_map import per_axis
from .._setups import OPERATORS
from ._layers import is_layer, map_of, read
from ._residual_block import ResidualBlock
from ._tensors import array_of

STEPS = 20  # pairs of points that are tried


def lipschitz(module: nn.Module, input_shape: Shape) -> tuple[float, float]:
    """Bounds of the Lipschitz constant of a layer or a chain, in the Euclidean norm.

    Parameters
    ----------
    module : nn.Module
        A convolution, a transposed one, a linear layer, or an `nn.Sequential` of these
        with activations, normalizations and dropout in evaluation mode, pooling and
        changes of shape.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input.

    Returns
    -------
    lower, upper : float
        Of a layer as `convinv.spectra.norm_bounds`: equal to rounding for circular
        padding and for small layers; else `upper` is proven, and the gap between the
        two is all that is uncertain. Of a chain `upper` is the product of those of its
        modules, which is proven and may be far above, and `lower` the growth of the
        distance of two points.

    Raises
    ------
    TypeError
        If `module`, or one in the chain, has no known constant; names it.
    ValueError
        If `input_shape` does not fit, or a module is in training mode where that
        matters; names it.

    Notes
    -----
    The constants are 1 for ReLU, Tanh, Softplus, ELU (with alpha at most 1) and changes
    of shape, ``max(1, |slope|)`` for LeakyReLU and PReLU, 1/4 for Sigmoid, ``max
    |weight| / sqrt(var + eps)`` for BatchNorm, the norm of the average for AvgPool, and
    the root of how many windows share a sample for MaxPool.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from convinv.interop.torch import lipschitz
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    ...                     nn.Flatten(), nn.Linear(512, 10))
    >>> lower, upper = lipschitz(net, (3, 16, 16))
    >>> 0 < lower <= upper
    True
    """
    shape = tuple(int(n) for n in input_shape)
    if is_layer(module):
        return _layer_bounds(module, shape)[:2]
    upper = proven_constant(module, shape)
    return min(_growth(module, shape), upper), upper


def proven_constant(module: nn.Module, shape: tuple[int, ...]) -> float:
    """The upper bound of `lipschitz`."""
    upper, size = 1.0, shape
    for name, part in _parts(module, ""):
        try:
            factor, size = _constant(part, size)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            place = f"{name or 'module'} {type(part).__name__}"
            raise kind(f"{place}: {error}") from error
        upper *= factor
    return upper


def _parts(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules of a chain, in their order, with their paths."""
    if not isinstance(module, nn.Sequential):
        yield path, module
        return
    for name, child in module.named_children():
        yield from _parts(child, f"{path}.{name}" if path else name)


def _constant(module: nn.Module, shape: Shape) -> tuple[float, tuple[int, ...]]:
    """An upper bound of a module's constant, and the shape of its output."""
    if is_layer(module):
        _, upper, after = _layer_bounds(module, tuple(shape))
        return upper, after
    for kinds, constant in CONSTANTS:
        if isinstance(module, kinds):
            return float(constant(module, tuple(shape))), _after(module, shape)
    raise TypeError("no Lipschitz constant is known of it")


def _after(module: nn.Module, shape: Shape) -> tuple[int, ...]:
    """The shape of the output of a module that keeps shapes or has no parameters."""
    if isinstance(module, (NORMALIZATIONS, nn.PReLU)):
        return tuple(shape)
    return tuple(module(torch.empty(1, *shape, device="meta")).shape[1:])


def _layer_bounds(
    layer: Any, shape: tuple[int, ...]
) -> tuple[float, float, tuple[int, ...]]:
    found = read(layer)
    if found.linear:
        return (*_linear_bounds(found.weight), _linear_shape(layer, shape))
    layer_map = map_of(found, shape)
    op = OPERATORS.operator(layer_map, array_of(found.weight.cpu()))
    bounds = op.cached(("norm bounds",), lambda: norm_bounds(op))
    return (*bounds, layer_map.output_shape)


def _linear_bounds(weight: Tensor) -> tuple[float, float]:
    matrix = array_of(weight.cpu())  # with an axis of one tap
    return norm_bounds(ConvLinearOperator(matrix, (matrix.shape[1], 1)))


def _linear_shape(layer: nn.Linear, shape: tuple[int, ...]) -> tuple[int, ...]:
    if shape[-1] != layer.in_features:
        raise ValueError(
            f"the last axis of its input must have {layer.in_features} samples, got "
            f"shape {shape}"
        )
    return (*shape[:-1], layer.out_features)


def _growth(module: nn.Module, shape: tuple[int, ...]) -> float:
    """How much two points that are near each other are further apart afterwards.

    Which points is found by power iterations: the adjoint of the Jacobian turns the
    difference of the outputs into that of the inputs. Less rounding errors.
    """
    parameter = next(module.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(0)

    def normal() -> Tensor:
        values = torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        return values.to(parameter)

    def output(z: Tensor) -> Tensor:
        return module(z.clone())  # which may be changed in place

    x, v, best = normal(), normal(), 0.0
    eps = torch.finfo(x.dtype).eps
    step = math.sqrt(eps) * float(torch.linalg.vector_norm(x))
    for _ in range(STEPS):
        v = v * (step / torch.linalg.vector_norm(v))
        with torch.no_grad():
            y, there = output(x), x + v
            change = output(there) - y
        length = float(torch.linalg.vector_norm(change))
        apart = float(torch.linalg.vector_norm(there - x))
        rounding = 10 * eps * float(torch.linalg.vector_norm(y))
        best = max(best, (length - rounding) / apart)
        v = torch.autograd.functional.vjp(output, x, change)[1]
        if not torch.any(v):
            break
    return best


def _batch_norm(module: Any, shape: Shape) -> float:
    if module.training or module.running_var is None:
        raise ValueError(
            "it depends on the batch: call eval(), with track_running_stats=True"
        )
    scale = torch.rsqrt(module.running_var + module.eps)
    if module.weight is not None:
        scale = scale * module.weight.detach().abs()
    return float(scale.max())


def _dropout(module: Any, shape: Shape) -> float:
    if module.training and module.p:
        raise ValueError("it is in training mode: call eval()")
    return 1.0


def _leaky(module: nn.LeakyReLU, shape: Shape) -> float:
    return max(1.0, abs(module.negative_slope))


def _prelu(module: nn.PReLU, shape: Shape) -> float:
    return max(1.0, float(module.weight.detach().abs().max()))


def _max_pool(module: Any, shape: Shape) -> float:
    names = "kernel_size", "stride", "dilation"
    axes = zip(*(per_axis(getattr(module, n), len(shape) - 1, n) for n in names))
    shared = (-(-k // (s // math.gcd(s, d))) for k, s, d in axes)
    return math.sqrt(math.prod(shared))


def _average_pool(module: Any, shape: Shape) -> float:
    """From the convolution that it is, whose windows all count their padding."""
    axes = len(shape) - 1
    sizes = per_axis(module.kernel_size, axes, "kernel_size")
    stride = per_axis(module.stride, axes, "stride")
    padding = per_axis(module.padding, axes, "padding")
    divisor = getattr(module, "divisor_override", None) or math.prod(sizes)
    if module.ceil_mode or (any(padding) and not module.count_include_pad):
        raise TypeError(
            "a constant is known only with ceil_mode=False and count_include_pad=True"
        )
    kernel = torch.full((1, 1, *sizes), 1 / divisor, dtype=torch.float64)
    op = ConvLinearOperator(
        kernel.numpy(), (1, *shape[1:]), stride=stride, padding=padding
    )
    return norm_bounds(op)[1]


def _adaptive_pool(module: Any, shape: Shape) -> float:
    after = _after(module, shape)[1:]
    if any(n % m for n, m in zip(shape[1:], after)):
        raise TypeError("a constant is known only where its windows do not overlap")
    return math.sqrt(math.prod(after) / math.prod(shape[1:]))


def _number(value: float) -> Callable[[Any, Shape], float]:
    return lambda module, shape: value


NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# kinds of modules, and a function of one and its input's shape
CONSTANTS: list[tuple[Any, Callable[[Any, Shape], float]]] = [
    ((nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Softplus, nn.Softsign), _number(1)),
    ((nn.LogSigmoid, nn.Softshrink, nn.Tanhshrink, nn.Identity), _number(1)),
    ((nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle), _number(1)),
    (nn.Sigmoid, _number(1 / 4)),
    (nn.Hardsigmoid, _number(0.16667)),
    (nn.Hardswish, _number(1.5)),
    (nn.SiLU, _number(1.0999)),
    (nn.GELU, _number(1.1290)),
    (nn.Mish, _number(1.0886)),
    (nn.SELU, _number(1.7581)),
    (nn.CELU, _number(1)),
    (nn.ELU, lambda module, _: max(1.0, abs(module.alpha))),
    (nn.LeakyReLU, _leaky),
    (nn.PReLU, _prelu),
    (
        ResidualBlock,
        lambda module, shape: 1 + proven_constant(module.body, tuple(shape)),
    ),
    (NORMALIZATIONS, _batch_norm),
    ((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), _dropout),
    ((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), _max_pool),
    ((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _average_pool),
    (
        (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
        _adaptive_pool,
    ),
]
