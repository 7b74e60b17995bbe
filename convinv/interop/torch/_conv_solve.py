"""conv_solve: the input of a layer from its output, differentiable."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..._core.result import OnFailure, check_on_failure
from ..._core.typing import Shape
from ..._core.validation import number
from .._call import RTOL, Call
from .._layer_map import LayerMap, layer_map
from . import _products as products
from ._compiled import compiled_solve
from ._differentiable import Solve
from ._tensors import HALVES, check_tensor

# the real dtype of each that is computed in
REAL = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}


def conv_solve(
    y: Tensor,
    weight: Tensor,
    input_shape: Shape,
    *,
    bias: Tensor | None = None,
    damp: float | Tensor = 0.0,
    x0: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    transposed: bool = False,
    method: str = "auto",
    rtol: float | None = None,
    on_failure: OnFailure = "warn",
) -> Tensor:
    """The input of a convolution layer from its output, differentiable.

    The x of least ``||A x + bias - y||^2 + damp^2 ||x||^2``, where A is what
    `torch.nn.functional.conv2d` (or ``conv1d``, ``conv3d``, ``conv_transpose2d``, ...)
    does with these arguments; among several, that of least norm.

    Parameters
    ----------
    y : Tensor, shape (N, C_out, *spatial) or (C_out, *spatial)
        The output, or a batch of outputs.
    weight : Tensor
        As the layer has it: ``(C_out, C_in // groups, *k)``, of a transposed layer
        ``(C_in, C_out // groups, *k)``, with one, two or three spatial axes.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input: with a stride, inputs of several sizes have
        outputs of the same size.
    bias : Tensor, shape (C_out,), optional
    damp : float or Tensor of one number
        Tikhonov damping, not negative.
    x0 : Tensor, optional
        Of the result's shape. Without damp, x is the solution that is nearest to it; a
        damped solve starts from it, and does not depend on it.
    stride, padding, dilation, groups, padding_mode
        Those of the layer, in its words; `padding` also takes pairs for each axis.
    output_padding : int or tuple of int
        Of a transposed layer.
    transposed : bool
        Whether it is a transposed convolution.
    method : str
        As `convinv.solve` takes it, for the solution; gradients take the exact inverse
        where there is one.
    rtol : float, optional
        Tolerance of the solve and of those for gradients, as in `convinv.solve`, by
        default 1e-10 in double precision; in single 1e-6, and 1e-5 for gradients.
    on_failure : {"warn", "raise", "ignore"}
        What to do where it is not reached, in the solve and in gradients.

    Returns
    -------
    x : Tensor, shape (N, C_in, *spatial) or (C_in, *spatial)
        In y's dtype (complex if the weight is) and on its device. Half precision is
        computed in float32, under `torch.autocast` too.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or shapes or devices do not fit.
    ConvergenceError
        With ``on_failure="raise"``; it is a RuntimeError.
    ImportError
        If tensors are on a CUDA device and CuPy is not installed.

    Warns
    -----
    ConvergenceWarning
        If the tolerance is not reached.

    Notes
    -----
    Gradients by y, weight, bias and damp are exact to the tolerance, for tall and wide
    layers, damped or not (Golub and Pereyra, "The differentiation of pseudo-inverses
    and nonlinear least squares problems whose variables separate", 1973, DOI
    10.1137/0710036), and can be differentiated again. They cost one solve with ``A^H
    A`` (wide layers: two with ``A A^H``), two products and two gradients by the weight,
    and store y and x, however many iterations a method makes. There is none where a
    change of the weight changes the layer's rank.

    `torch.func.grad`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian` and `vmap` take it
    (over y a batch, over weights a loop), and so does `torch.compile` with
    ``fullgraph=True``, there with first derivatives and without these transforms.

    What is set up to invert a weight is kept until 16 others have been inverted, or set
    up in more than 1 GiB; a weight is known by its values.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import conv_solve
    >>> layer = torch.nn.Conv2d(3, 16, 4, stride=2)
    >>> x = torch.rand(4, 3, 32, 32)
    >>> y, weight, bias = layer(x), layer.weight, layer.bias
    >>> found = conv_solve(y, weight, (3, 32, 32), bias=bias, stride=2)
    >>> bool((found - x).abs().max() < 1e-3)
    True
    >>> found.square().sum().backward()
    >>> layer.weight.grad.shape
    torch.Size([16, 3, 4, 4])
    """
    check_on_failure(on_failure)
    for name, tensor in (("y", y), ("weight", weight), ("bias", bias), ("x0", x0)):
        if tensor is not None:
            check_tensor(tensor, name, halves=True)
            _check_device(tensor, name, y)
    layer = layer_map(
        tuple(weight.shape),
        input_shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
        transposed=transposed,
    )
    call = Call(layer, method, *tolerances(rtol, y, weight), on_failure)
    return solved(y, weight, bias, damp, x0, call)


def tolerances(rtol: float | None, y: Tensor, weight: Tensor) -> tuple[float, float]:
    """Those of the solve and of gradients: as given, or those of the precision."""
    if rtol is None:
        return RTOL[REAL[_computed(y, weight)].itemsize]
    given = number(rtol, "rtol")
    return given, given


def solved(
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    damp: float | Tensor,
    x0: Tensor | None,
    call: Call,
) -> Tensor:
    """What `conv_solve` returns, by a layer's map."""
    _check_output(y, "y", call.layer_map.output_shape)
    dtype = _computed(y, weight)
    damping = _damping(damp, REAL[dtype])
    with torch.autocast(y.device.type, enabled=False):
        data, kernel = y.to(dtype), weight.to(dtype)
        if bias is not None:
            data = data - _along_channels(bias, call.layer_map).to(dtype)
        start, shift = None, None
        if x0 is not None:
            start = _started(x0, y, call.layer_map).to(dtype)
            if not isinstance(damp, Tensor) and not damp:
                data = data - products.apply(call.layer_map, start, kernel)
                start, shift = None, start
        function = compiled_solve if torch.compiler.is_compiling() else _solve
        x = function(data, kernel, damping, start, call)
        if shift is not None:
            x = x + shift
    return x.to(y.dtype if y.is_complex() == dtype.is_complex else dtype)


def _solve(
    y: Tensor, weight: Tensor, damp: Tensor, x0: Tensor | None, call: Call
) -> Tensor:
    return Solve.apply(y, weight, damp, x0, call, False)


def _computed(y: Tensor, weight: Tensor) -> torch.dtype:
    """The dtype that is computed in."""
    same = y.dtype == weight.dtype  # else the call would stay in an exported graph
    dtype = y.dtype if same else torch.promote_types(y.dtype, weight.dtype)
    return torch.float32 if dtype in HALVES else dtype


def _damping(damp: float | Tensor, dtype: torch.dtype) -> Tensor:
    if not isinstance(damp, Tensor):
        return torch.tensor(number(damp, "damp"), dtype=dtype)
    if damp.numel() != 1 or damp.is_complex():
        raise ValueError(
            f"damp must be one real number, got a tensor of dtype {damp.dtype} and "
            f"shape {tuple(damp.shape)}"
        )
    return damp.reshape(()).to(dtype)


def _check_device(tensor: Tensor, name: str, y: Tensor) -> None:
    if tensor.device != y.device:
        raise ValueError(
            f"{name} must be on y's device {y.device}, got {tensor.device}"
        )


def _check_output(y: Tensor, name: str, shape: tuple[int, ...]) -> None:
    if y.ndim not in (len(shape), len(shape) + 1) or y.shape[-len(shape) :] != shape:
        inner = ", ".join(map(str, shape))
        raise ValueError(
            f"{name} must have shape (N, {inner}) or ({inner}), got {tuple(y.shape)}"
        )


def _along_channels(bias: Tensor, layer: LayerMap) -> Tensor:
    channels, *spatial = layer.output_shape
    if tuple(bias.shape) != (channels,):
        raise ValueError(f"bias must have shape ({channels},), got {tuple(bias.shape)}")
    return bias.reshape(channels, *[1] * len(spatial))


def _started(x0: Tensor, y: Tensor, layer: LayerMap) -> Tensor:
    """x0 with a batch as y has one."""
    _check_output(x0, "x0", layer.input_shape)
    lead = y.shape[: y.ndim - len(layer.output_shape)]
    try:
        return x0.expand(*lead, *layer.input_shape)
    except RuntimeError:
        raise ValueError(
            f"x0 must have shape {(*lead, *layer.input_shape)} like the result, or "
            f"{layer.input_shape}, got {tuple(x0.shape)}"
        ) from None
