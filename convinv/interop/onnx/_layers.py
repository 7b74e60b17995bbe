"""The Conv and ConvTranspose nodes of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._core.typing import Shape
from ...operators._base import ShapedOperator
from .._layer_map import LayerMap, layer_map
from ._model import Model, Node, read

KINDS = ("Conv", "ConvTranspose")
SAME = ("SAME_UPPER", "SAME_LOWER")
PADDINGS = ("NOTSET", "VALID", *SAME)


@dataclass(frozen=True)
class Convolution:
    """A Conv or ConvTranspose node.

    Attributes
    ----------
    name : str
        Of the node, or of its output where it has none.
    kernel : ndarray
        ``(C_out, C_in // groups, *k)``, of a transposed convolution ``(C_in, C_out //
        groups, *k)``.
    bias : ndarray, shape (C_out,), optional
    transposed : bool
    options : dict
        ``stride``, ``dilation`` and ``groups``.
    pads : tuple of pairs, optional
        Before and after each axis; None where they follow from the size of the input,
        by `auto_pad` or `output_shape`.
    auto_pad : str
    output_padding : tuple of int
    output_shape : tuple of int, optional
        Of the spatial axes.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray | None = None
    transposed: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    pads: tuple[tuple[int, int], ...] | None = None
    auto_pad: str = "NOTSET"
    output_padding: tuple[int, ...] = ()
    output_shape: tuple[int, ...] | None = None

    @property
    def axes(self) -> int:
        """The number of spatial axes."""
        return self.kernel.ndim - 2

    @property
    def channels(self) -> int:
        """Channels of the input."""
        if self.transposed:
            return int(self.kernel.shape[0])
        return int(self.kernel.shape[1] * self.options.get("groups", 1))

    def layer_options(self, input_shape: Shape) -> dict[str, Any]:
        """The options of a layer of PyTorch that does the same to inputs of a shape.

        Parameters
        ----------
        input_shape : tuple of int
            ``(C_in, *spatial)``.

        Returns
        -------
        dict
            Padding is in pairs for each axis, which PyTorch's own layers don't take.
        """
        shape = tuple(int(n) for n in input_shape)
        if len(shape) != self.axes + 1 or shape[0] != self.channels:
            raise ValueError(
                f"input_shape must be ({self.channels}, *spatial) with {self.axes} "
                f"spatial axes for node {self.name}, got {shape}"
            )
        options = {**self.options, "padding": self.pads}
        if self.pads is None:
            options["padding"] = self._pads_of(shape[1:])
        if self.transposed:
            options |= {"transposed": True, "output_padding": self.output_padding}
        return options

    def map(self, input_shape: Shape) -> LayerMap:
        """Its linear map, without the kernel.

        Parameters
        ----------
        input_shape : tuple of int
            ``(C_in, *spatial)``.

        Returns
        -------
        LayerMap
        """
        options = self.layer_options(input_shape)
        try:
            return layer_map(self.kernel.shape, input_shape, **options)
        except ValueError as error:
            raise ValueError(f"node {self.name}: {error}") from None

    def operator(self, input_shape: Shape) -> ShapedOperator:
        """Its linear part as an operator of convinv.

        Parameters
        ----------
        input_shape : tuple of int
            ``(C_in, *spatial)``.

        Returns
        -------
        ConvLinearOperator or its adjoint
            In the kernel's dtype, where half precision becomes float32.
        """
        kernel = self.kernel
        if kernel.dtype.itemsize < 4:
            kernel = kernel.astype(np.float32)
        return self.map(input_shape).operator(kernel)

    def _pads_of(self, size: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """What ``auto_pad`` and ``output_shape`` mean for an input of a size."""
        stride, dilation = self.options["stride"], self.options["dilation"]
        pairs = []
        for axis, (n, s, d) in enumerate(zip(size, stride, dilation)):
            reach = d * (self.kernel.shape[2 + axis] - 1) + 1
            if self.transposed:
                made = n * s if self.output_shape is None else self.output_shape[axis]
                total = s * (n - 1) + self.output_padding[axis] + reach - made
                more_after = self.auto_pad == "SAME_UPPER"
            else:
                total = max((math.ceil(n / s) - 1) * s + reach - n, 0)
                more_after = self.auto_pad != "SAME_LOWER"
            less = total // 2
            pairs.append((less, total - less) if more_after else (total - less, less))
        return tuple(pairs)


def convolutions(model: Any) -> dict[str, Convolution]:
    """The convolutions of a model whose kernels it holds.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto

    Returns
    -------
    dict
        `Convolution` by the name of the node, or of its output where it has none.

    Raises
    ------
    ValueError
        If the file holds no model, or a node has attributes that make no sense.
    ImportError
        Without onnx.

    Notes
    -----
    Kernels are initializers, or made by Constant nodes.

    Examples
    --------
    >>> import numpy as np
    >>> import onnx
    >>> from onnx import TensorProto, helper, numpy_helper
    >>> from convinv.interop.onnx import convolutions
    >>> kernel = np.ones((4, 3, 3, 3), np.float32)
    >>> graph = helper.make_graph(
    ...     [helper.make_node("Conv", ["x", "w"], ["y"], "first", strides=[2, 2])],
    ...     "net",
    ...     [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 9, 9])],
    ...     [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    ...     [numpy_helper.from_array(kernel, "w")],
    ... )
    >>> found = convolutions(helper.make_model(graph))
    >>> found["first"].kernel.shape, found["first"].options["stride"]
    ((4, 3, 3, 3), (2, 2))
    """
    graph = read(model)
    held = (n for n in graph.nodes if n.kind in KINDS and n.inputs[1] in graph.weights)
    return {node.name: convolution(graph, node) for node in held}


def operator(model: Any, name: str | None, input_shape: Shape) -> ShapedOperator:
    """A convolution of a model as an operator of convinv, without its bias.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    name : str or None
        Of the node, as `convolutions` has it; None where there is but one.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of its input.

    Returns
    -------
    ConvLinearOperator, or its adjoint for a ConvTranspose

    Raises
    ------
    ValueError
        If there is no such node, or `input_shape` does not fit it.
    ImportError
        Without onnx.

    Examples
    --------
    ``operator("net.onnx", "/conv1/Conv", (3, 224, 224))``
    """
    found = convolutions(model)
    names = [key for key in found if name in (None, key)]
    if len(names) != 1:
        listed = ", ".join(map(repr, found)) or "none"
        raise ValueError(f"name must be one of the convolutions {listed}, got {name!r}")
    return found[names[0]].operator(input_shape)


def convolution(graph: Model, node: Node) -> Convolution:
    """What a Conv or ConvTranspose node says."""
    kernel = graph.weight(node, 1, "kernel")
    axes, given = kernel.ndim - 2, node.attributes
    if axes not in (1, 2, 3):
        raise ValueError(
            f"node {node} has a kernel of shape {kernel.shape}, and not of one to "
            "three spatial axes"
        )
    if tuple(given.get("kernel_shape", kernel.shape[2:])) != kernel.shape[2:]:
        raise ValueError(
            f"node {node} has a kernel_shape of {given['kernel_shape']} and a kernel "
            f"of {kernel.shape}"
        )
    options = {
        "stride": _numbers(node, "strides", axes, 1),
        "dilation": _numbers(node, "dilations", axes, 1),
        "groups": int(given.get("group", 1)),
    }
    automatic = given.get("auto_pad", "NOTSET")
    if automatic not in PADDINGS:
        raise ValueError(
            f"node {node}: auto_pad must be one of {PADDINGS}, got {automatic}"
        )
    made = given.get("output_shape")
    pads = None
    if automatic not in SAME and made is None:
        ends = _numbers(node, "pads", 2 * axes, 0)
        ends = (0,) * 2 * axes if automatic == "VALID" else ends
        pads = tuple(zip(ends[:axes], ends[axes:]))
    return Convolution(
        node.name,
        kernel,
        graph.optional_weight(node, 2, "bias"),
        node.kind == "ConvTranspose",
        options,
        pads,
        automatic,
        _numbers(node, "output_padding", axes, 0),
        None if made is None else tuple(int(n) for n in made)[-axes:],
    )


def _numbers(node: Node, name: str, count: int, default: int) -> tuple[int, ...]:
    values = tuple(int(v) for v in node.attributes.get(name, [default] * count))
    if len(values) != count:
        raise ValueError(f"node {node}: {name} must be {count} numbers, got {values}")
    return values
