"""conv_solve as an operator that `torch.compile` and `torch.export` keep as it is.

Outside of these an autograd.Function does the same, which unlike an operator can be
differentiated twice and by the transforms of `torch.func`.
"""

# Without annotations as strings, which PyTorch 2.4 can't read.
from typing import Any, List, Optional, Tuple, cast

import torch
from torch import Tensor

from ..._core.geometry import Geometry
from ..._core.result import OnFailure
from .._call import Call, norms, unreached
from .._derivatives import gradients
from .._layer_map import LayerMap
from ._differentiable import Matrix, Solve
from ._tensors import array_of


def compiled_solve(
    y: Tensor, weight: Tensor, damp: Tensor, x0: Optional[Tensor], call: Call
) -> Tensor:
    """What `Solve` does with the layer of `call`."""
    return _solve(y, weight, damp, x0, *encoded(call))


def encoded(call: Call) -> Tuple[List[int], str, List[float]]:
    """`call` in types that operators take."""
    g = call.layer_map.geometry
    axes = [g.input, g.kernel, g.output, g.stride, g.dilation, g.before, g.after]
    sizes = [g.c_in, g.c_out, g.groups, *[n for three in axes for n in three], g.ndim]
    words = f"{g.boundary} {call.method} {call.on_failure}"
    return (
        [*sizes, int(call.layer_map.transposed)],
        words,
        [call.rtol, call.gradient_rtol],
    )


def decoded(sizes: List[int], words: str, rtols: List[float]) -> Call:
    """What `encoded` was given."""
    fields: List[Any] = list(sizes[:3])
    fields += [tuple(sizes[i : i + 3]) for i in range(3, 24, 3)]
    boundary, method, on_failure = words.split()
    geometry = Geometry._make([*fields, boundary, sizes[24]])
    layer_map = LayerMap(geometry, bool(sizes[25]))
    return Call(layer_map, method, rtols[0], rtols[1], cast(OnFailure, on_failure))


@torch.library.custom_op("convinv::conv_solve", mutates_args=())
def _solve(
    y: Tensor,
    weight: Tensor,
    damp: Tensor,
    x0: Optional[Tensor],
    sizes: List[int],
    words: str,
    rtols: List[float],
) -> Tensor:
    call = decoded(sizes, words, rtols)
    return Solve.forward(y, weight, damp, x0, call, False)


@_solve.register_fake
def _(
    y: Tensor,
    weight: Tensor,
    damp: Tensor,
    x0: Optional[Tensor],
    sizes: List[int],
    words: str,
    rtols: List[float],
) -> Tensor:
    m = decoded(sizes, words, rtols).layer_map
    lead = y.shape[: y.ndim - len(m.output_shape)]
    return y.new_empty((*lead, *m.input_shape))


@torch.library.custom_op("convinv::conv_solve_gradients", mutates_args=())
def _gradients(
    g: Tensor,
    y: Tensor,
    weight: Tensor,
    damp: Tensor,
    x: Tensor,
    parameters: bool,
    sizes: List[int],
    words: str,
    rtols: List[float],
) -> Tuple[Tensor, Tensor, Tensor]:
    call = decoded(sizes, words, rtols)
    matrix = Matrix(call, weight, False)
    call.damped = bool(damp)
    if matrix.rows <= matrix.columns:
        axes = len(call.layer_map.output_shape)
        residuals = norms(array_of(y - matrix.apply(x)), axes)
        call.deficient = unreached(residuals, array_of(y), axes)
    found = gradients(matrix, g, y, damp, x, parameters)
    # an operator returns tensors of memory of their own
    return tuple(
        torch.zeros_like(like) if t is None else t.clone()
        for t, like in zip(found, (y, weight, damp))
    )


@_gradients.register_fake
def _(
    g: Tensor,
    y: Tensor,
    weight: Tensor,
    damp: Tensor,
    x: Tensor,
    parameters: bool,
    sizes: List[int],
    words: str,
    rtols: List[float],
) -> Tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(y), torch.empty_like(weight), torch.empty_like(damp)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    y, weight, damp, _, *ctx.call = inputs
    ctx.save_for_backward(y, weight, damp, output)


def _backward(ctx: Any, g: Tensor) -> Any:
    needs = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
    found = _gradients(g, *ctx.saved_tensors, needs, *ctx.call)
    return (*found, None, None, None, None)


_solve.register_autograd(_backward, setup_context=_setup)
