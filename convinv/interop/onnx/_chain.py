"""Inverse(): the input of a model that is a chain from its output."""

from __future__ import annotations

from typing import Any

from ..._core.optional import optional
from ..._core.typing import Shape
from ._model import Model, read


def Inverse(model: Any, input_shape: Shape | None = None, **options: Any) -> Any:
    """The inverse of a model whose nodes form a chain: from its output to its input.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        One input and one output, each node the only one that takes what the node before
        it makes. Nodes that become modules of PyTorch: Conv, ConvTranspose, Gemm and
        MatMul with weights that the model holds, BatchNormalization, LeakyRelu, PRelu,
        Elu, Celu, Selu, Softplus, Softsign, Tanh, Sigmoid, Flatten, Reshape, Pad,
        DepthToSpace, Identity and Dropout; Relu, which has no inverse and is listed in
        ``unsupported``.
    input_shape : tuple of int, optional
        Of one input, without the axis of a batch; by default what the model says, if it
        says all of it.
    **options
        Of `convinv.interop.torch.Inverse`: ``damp``, ``rtol``, ``check``,
        ``on_failure``.

    Returns
    -------
    convinv.interop.torch.Inverse
        A module of PyTorch, to be called with tensors; its ``module`` is the chain.

    Raises
    ------
    ValueError
        If the nodes are no chain, or one is of another kind: the error names it.
    ImportError
        Without onnx or PyTorch.

    See Also
    --------
    operator : A convolution alone, for which PyTorch is not needed.

    Examples
    --------
    ``x = Inverse("encoder.onnx")(torch.from_numpy(y))``
    """
    optional("torch", "convinv.interop.onnx.Inverse")
    from ..torch import Inverse as InverseOfModules
    from ._modules import sequential

    graph = read(model)
    shape = _input_shape(graph) if input_shape is None else tuple(input_shape)
    return InverseOfModules(sequential(graph, shape), shape, **options)


def _input_shape(graph: Model) -> tuple[int, ...]:
    """What the model says of its input."""
    shapes = list(graph.inputs.values())
    shape = shapes[0] if len(shapes) == 1 else None
    if shape is None or len(shape) < 2 or None in shape[1:]:
        raise ValueError(
            f"the sizes of the model's input are not all given, {shape}: give "
            "input_shape, without the axis of a batch"
        )
    return tuple(int(n or 0) for n in shape[1:])
