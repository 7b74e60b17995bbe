"""ONNX models: their nodes, and the arrays that they hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._core.optional import optional

USER = "a model in ONNX format"


@dataclass(frozen=True)
class Node:
    """A node with its attributes as values of Python.

    Attributes
    ----------
    name : str
        Its own, or that of its first output where it has none.
    kind : str
        Such as "Conv".
    inputs, outputs : list of str
    attributes : dict
        Numbers, lists of them, strings, arrays.
    """

    name: str
    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


@dataclass(frozen=True)
class Model:
    """The graph of a model.

    Attributes
    ----------
    nodes : list of Node
        In the order in which they run, without those that are `weights`.
    weights : dict
        Arrays by name: initializers, and what Constant and Identity nodes make.
    inputs : dict
        The shapes of what the model takes, with None for sizes that are not fixed; None
        for a shape that is not known.
    outputs : list of str
    """

    nodes: list[Node]
    weights: dict[str, np.ndarray]
    inputs: dict[str, tuple[int | None, ...] | None]
    outputs: list[str]

    def weight(self, node: Node, index: int, what: str) -> np.ndarray:
        """The array at an input of a node; a ValueError if it is none."""
        name = node.inputs[index]
        if name not in self.weights:
            raise ValueError(
                f"node {node}: its {what} {name!r} is computed, or an input of the "
                "model, and no array that the model holds"
            )
        return self.weights[name]

    def optional_weight(self, node: Node, index: int, what: str) -> np.ndarray | None:
        """The same, None where the node does not have this input."""
        given = len(node.inputs) > index and node.inputs[index]
        return self.weight(node, index, what) if given else None


def read(model: Any) -> Model:
    """The graph of a file, of its bytes, or of a model that onnx has read."""
    onnx = optional("onnx", USER)
    helper = optional("onnx.numpy_helper", USER)
    graph = _loaded(onnx, model).graph
    weights = {t.name: helper.to_array(t) for t in graph.initializer}
    nodes = []
    for raw in graph.node:
        node = _node(onnx, helper, raw)
        value = _constant(node, weights)
        if value is None:
            nodes.append(node)
        else:
            weights[node.outputs[0]] = value
    inputs = {i.name: _shape(i) for i in graph.input if i.name not in weights}
    return Model(nodes, weights, inputs, [output.name for output in graph.output])


def _loaded(onnx: Any, model: Any) -> Any:
    if isinstance(model, onnx.ModelProto):
        return model
    try:
        if isinstance(model, bytes):
            return onnx.load_from_string(model)
        if isinstance(model, (str, os.PathLike)):
            if not Path(model).is_file():
                raise FileNotFoundError(f"there is no file {os.fspath(model)!r}")
            return onnx.load(os.fspath(model))
    except OSError:
        raise
    except Exception as error:  # of protobuf, of many kinds
        name = "model" if isinstance(model, bytes) else repr(os.fspath(model))
        raise ValueError(f"{name} holds no ONNX model: {error}") from error
    raise TypeError(
        "model must be the path of a file, its bytes, or an onnx.ModelProto, got "
        f"{type(model).__name__}"
    )


def _node(onnx: Any, helper: Any, raw: Any) -> Node:
    attributes = {}
    for attribute in raw.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, onnx.TensorProto):
            value = helper.to_array(value)
        attributes[attribute.name] = value
    kind = (
        raw.op_type if raw.domain in ("", "ai.onnx") else f"{raw.domain}.{raw.op_type}"
    )
    name = raw.name or (raw.output[0] if raw.output else kind)
    return Node(name, kind, list(raw.input), list(raw.output), attributes)


def _constant(node: Node, weights: dict[str, np.ndarray]) -> np.ndarray | None:
    """The array that a node makes of none, or of another array."""
    if node.kind == "Identity":
        return weights.get(node.inputs[0])
    if node.kind != "Constant":
        return None
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if name in node.attributes:
            dtype = np.float32 if "float" in name else None
            return np.asarray(node.attributes[name], dtype)
    return None


def _shape(value: Any) -> tuple[int | None, ...] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(
        int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None
        for d in kind.shape.dim
    )
