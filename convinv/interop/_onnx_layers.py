"""The convolutions of an ONNX model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .._core.optional import optional

Found = tuple[np.ndarray, "np.ndarray | None", dict[str, Any]]


def read(path: Path) -> dict[str, Found]:
    """Kernel, bias and options of every convolution whose weights the model holds.

    The names are those of the nodes, or of their outputs where a node has none.
    """
    onnx = optional("onnx", "a model in ONNX format")
    to_array = optional("onnx.numpy_helper", "a model in ONNX format").to_array
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # of protobuf, of many kinds
        raise ValueError(f"{str(path)!r} holds no ONNX model: {error}") from error
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:  # where PaddlePaddle's models have them
        values = [a.t for a in node.attribute if a.name == "value"]
        if node.op_type == "Constant" and values:
            weights[node.output[0]] = values[0]
    found = {}
    for node in graph.node:
        if node.op_type != "Conv" or node.input[1] not in weights:
            continue
        kernel = to_array(weights[node.input[1]])
        named = len(node.input) > 2 and node.input[2] in weights
        bias = to_array(weights[node.input[2]]) if named else None
        attributes = {
            a.name: onnx.helper.get_attribute_value(a) for a in node.attribute
        }
        options = _options(attributes, kernel.ndim - 2)
        found[node.name or node.output[0]] = kernel, bias, options
    return found


def _options(attributes: dict[str, Any], axes: int) -> dict[str, Any]:
    """The options of the operator for the attributes of a node."""
    options: dict[str, Any] = {}
    for name, key in (("strides", "stride"), ("dilations", "dilation")):
        if name in attributes:
            options[key] = tuple(map(int, attributes[name]))
    options["groups"] = int(attributes.get("group", 1))
    pads = list(map(int, attributes.get("pads", [0] * 2 * axes)))
    options["padding"] = tuple(zip(pads[:axes], pads[axes:]))
    automatic = attributes.get("auto_pad", b"NOTSET").decode()
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(
            f"auto_pad {automatic} depends on the input: give --padding BEFORE:AFTER"
        )
    if automatic == "VALID":
        options["padding"] = "valid"
    return options
