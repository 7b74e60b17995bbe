"""Nodes of ONNX models as modules of PyTorch."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from ..torch._pair_padded import PairPadded
from ..torch._shapes import shape_after
from ._layers import convolution
from ._model import Model, Node

Make = Callable[[Model, Node, tuple[int, ...]], nn.Module]
MAKERS: dict[str, Make] = {}

NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
PADS = {
    "constant": (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d),
    "reflect": (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d),
    "edge": (nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d),
    "wrap": (nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d),
}
SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}


def sequential(graph: Model, shape: tuple[int, ...]) -> nn.Sequential:
    """The modules of a chain, in evaluation mode, for inputs of a shape."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            "the model must have one input and one output, got the inputs "
            f"{', '.join(graph.inputs)} and the outputs {', '.join(graph.outputs)}"
        )
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for node in chain(graph):
        if node.kind == "Add" and _joined_bias(graph, node, modules):
            continue
        if node.kind not in MAKERS:
            raise ValueError(
                f"node {node}: of this kind of node Inverse knows no module; it knows "
                f"{', '.join(sorted(MAKERS))}"
            )
        module = MAKERS[node.kind](graph, node, shape)
        try:
            shape = shape_after(module, shape)
        except ValueError as error:
            raise ValueError(f"node {node}: {error}") from None
        name = node.name.strip("/").replace("/", "_").replace(".", "_") or node.kind
        modules[name if name not in modules else f"{name}_{len(modules)}"] = module
    return nn.Sequential(modules).eval()


def chain(graph: Model) -> list[Node]:
    """The nodes in the order in which the data pass; a ValueError if they branch."""
    (current,) = graph.inputs
    found = []
    while current != graph.outputs[0]:
        takers = [node for node in graph.nodes if current in node.inputs]
        if len(takers) != 1:
            names = ", ".join(map(str, takers)) or "no node"
            raise ValueError(f"the nodes are no chain: {current!r} is taken by {names}")
        (node,) = takers
        others = [n for n in node.inputs if n and n != current]
        computed = [n for n in others if n not in graph.weights]
        if computed or node.inputs.count(current) > 1:
            raise ValueError(
                f"the nodes are no chain: node {node} takes {', '.join(node.inputs)}"
            )
        found.append(node)
        current = node.outputs[0]
    return found


def makes(*kinds: str) -> Callable[[Make], Make]:
    """Decorator: what makes the module of nodes of these kinds."""

    def enroll(function: Make) -> Make:
        MAKERS.update(dict.fromkeys(kinds, function))
        return function

    return enroll


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array))


def _parameter(array: np.ndarray) -> nn.Parameter:
    return nn.Parameter(_tensor(array))


def _refuse(node: Node, reason: str) -> NoReturn:
    raise ValueError(f"node {node}: {reason}")


@makes("Conv", "ConvTranspose")
def _layer(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
    found = convolution(graph, node)
    bias = None if found.bias is None else _tensor(found.bias)
    return PairPadded(_tensor(found.kernel), bias, **found.layer_options(shape))


@makes("Gemm", "MatMul")
def _linear(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
    given = node.attributes
    weight = (
        graph.weight(node, 1, "matrix") if node.inputs[1] in graph.weights else None
    )
    if weight is None or weight.ndim != 2 or given.get("transA", 0):
        _refuse(node, "it is no product of the data with a matrix from the right")
    if not given.get("transB", 0):
        weight = weight.T
    bias = graph.optional_weight(node, 2, "bias")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = _parameter(weight * weight.dtype.type(given.get("alpha", 1.0)))
    if bias is not None:
        scaled = bias * bias.dtype.type(given.get("beta", 1.0))
        layer.bias = _parameter(np.broadcast_to(scaled.reshape(-1), len(weight)))
    return layer


def _joined_bias(graph: Model, node: Node, modules: Any) -> bool:
    """Whether a node adds the bias of the linear layer before it, which gets it."""
    last = next(reversed(modules.values()), None)
    arrays = [graph.weights[name] for name in node.inputs if name in graph.weights]
    if not isinstance(last, nn.Linear) or last.bias is not None or len(arrays) != 1:
        return False
    if arrays[0].shape not in ((last.out_features,), (1, last.out_features)):
        return False
    last.bias = _parameter(arrays[0].reshape(-1))
    return True


@makes("BatchNormalization")
def _norm(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
    if node.attributes.get("training_mode", 0) or len(node.outputs) > 1:
        _refuse(node, "it scales by the statistics of the batch")
    names = ("scale", "bias", "mean", "variance")
    arrays = [graph.weight(node, i, name) for i, name in enumerate(names, start=1)]
    scale, bias, mean, variance = map(_tensor, arrays)
    kind = NORMS[max(len(shape), 2)]
    module = kind(len(scale), eps=node.attributes.get("epsilon", 1e-5))
    module.weight, module.bias = nn.Parameter(scale), nn.Parameter(bias)
    module.running_mean, module.running_var = mean, variance
    return module


@makes("PRelu")
def _prelu(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
    slope = graph.weight(node, 1, "slope")
    full = slope.reshape((1,) * (len(shape) - slope.ndim) + slope.shape)
    if slope.size > 1 and full.shape != (shape[0], *[1] * (len(shape) - 1)):
        _refuse(node, f"its slopes {slope.shape} are not one for each channel")
    module = nn.PReLU(slope.size)
    module.weight = _parameter(slope.reshape(-1))
    return module


@makes("Selu")
def _selu(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
    for name, value in SELU.items():
        given = node.attributes.get(name, value)
        if not math.isclose(given, value, rel_tol=1e-6):
            _refuse(node, f"its {name} is {given:.6g} in place of {value:.6g}")
    return nn.SELU()


def _plain(kind: type[nn.Module], **attributes: float) -> Make:
    """Of nodes without weights; for each attribute its default."""

    def make(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
        return kind(*(node.attributes.get(n, v) for n, v in attributes.items()))

    return make


MAKERS |= {
    "Celu": _plain(nn.CELU, alpha=1.0),
    "Dropout": _plain(nn.Identity),
    "Elu": _plain(nn.ELU, alpha=1.0),
    "Identity": _plain(nn.Identity),
    "LeakyRelu": _plain(nn.LeakyReLU, alpha=0.01),
    "Relu": _plain(nn.ReLU),
    "Sigmoid": _plain(nn.Sigmoid),
    "Softplus": _plain(nn.Softplus),
    "Softsign": _plain(nn.Softsign),
    "Tanh": _plain(nn.Tanh),
}


@makes("Flatten", "Reshape")
def _reshaped(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
    size = math.prod(shape)
    if node.kind == "Flatten":
        if node.attributes.get("axis", 1) != 1:
            _refuse(node, "it joins the axis of items with others")
        return nn.Flatten()
    wanted = [int(n) for n in graph.weight(node, 1, "shape").reshape(-1)]
    if not node.attributes.get("allowzero", 0):
        wanted = [([0, *shape][i] if n == 0 else n) for i, n in enumerate(wanted)]
    rest = wanted[1:]
    if -1 in rest:
        known = math.prod(n for n in rest if n != -1)
        rest[rest.index(-1)] = size // max(known, 1)
    if not rest or math.prod(rest) != size:
        _refuse(node, f"a shape of {wanted} joins items of {shape} with each other")
    return nn.Sequential(nn.Flatten(), nn.Unflatten(1, rest))


@makes("DepthToSpace")
def _depth_to_space(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
    mode = node.attributes.get("mode", "DCR")
    if mode != "CRD":
        _refuse(node, f"a mode of {mode}; PyTorch's PixelShuffle is CRD")
    return nn.PixelShuffle(int(node.attributes["blocksize"]))


@makes("Pad")
def _pad(graph: Model, node: Node, shape: tuple[int, ...]) -> nn.Module:
    mode, axes = node.attributes.get("mode", "constant"), len(shape) - 1
    pads = node.attributes.get("pads")
    if pads is None:
        pads = graph.weight(node, 1, "pads")
    value = graph.optional_weight(node, 2, "constant_value")
    if len(node.inputs) > 3 and node.inputs[3]:
        _refuse(node, "it has axes of its own")
    pairs = list(zip(pads[: len(pads) // 2], pads[len(pads) // 2 :]))
    spatial = pairs[2:]
    if mode not in PADS or len(pairs) != axes + 2 or any(map(any, pairs[:2])):
        _refuse(node, f"pads of {list(map(int, pads))} in mode {mode} for {shape}")
    widths = [int(n) for pair in reversed(spatial) for n in pair]
    if mode != "constant":
        return PADS[mode][axes - 1](widths)
    filled = 0.0 if value is None else float(value.reshape(-1)[0])
    return PADS[mode][axes - 1](widths, filled)
