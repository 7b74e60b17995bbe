"""Small ONNX models, random ones among them."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSET = 22
TYPES = {
    "float16": onnx.TensorProto.FLOAT16,
    "float32": onnx.TensorProto.FLOAT,
    "float64": onnx.TensorProto.DOUBLE,
}


def model(nodes, shape, weights, dtype="float32", output="y"):
    """A model with one input "x" of a shape without its batch."""
    kind = TYPES[dtype]
    x = helper.make_tensor_value_info("x", kind, ["N", *shape])
    y = helper.make_tensor_value_info(output, kind, None)
    tensors = [numpy_helper.from_array(np.asarray(a), n) for n, a in weights.items()]
    graph = helper.make_graph(nodes, "net", [x], [y], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = 10
    return made


def run(model, x):
    return ReferenceEvaluator(model).run(None, {"x": x})[0]


def node(kind, *weights, out="y", data="x", **attributes):
    name = attributes.pop("name", kind)
    return helper.make_node(kind, [data, *weights], [out], name, **attributes)


def constant(name, array):
    """A node that makes an array."""
    return helper.make_node(
        "Constant", [], [name], value=numpy_helper.from_array(array)
    )


@dataclass
class Drawn:
    """A random Conv or ConvTranspose.

    Attributes
    ----------
    kind : str
    kernel, bias : array
    attributes : dict
    shape : tuple of int
        Of one input.
    dtype : str
    """

    kind: str
    kernel: np.ndarray
    bias: np.ndarray
    attributes: dict
    shape: tuple
    dtype: str

    def model(self, constants=False):
        nodes = [helper.make_node(self.kind, ["x", "w", "b"], ["y"], "layer")]
        for name, value in self.attributes.items():
            nodes[0].attribute.append(helper.make_attribute(name, value))
        weights = {"w": self.kernel, "b": self.bias}
        if constants:
            nodes = [constant("w", weights.pop("w")), *nodes]
        return model(nodes, self.shape, weights, self.dtype)

    def spelt_out(self):
        """The same of one group, with pads in place of ``output_shape``.

        onnx's reference does that right. A ConvTranspose with groups, or with an
        ``output_shape`` and no ``auto_pad``, it does not.
        """
        given, groups = dict(self.attributes), self.attributes.get("group", 1)
        kernel = dense_groups(self.kernel, groups, self.kind == "ConvTranspose")
        given["group"] = 1
        made = given.pop("output_shape", None)
        if made is not None:
            upper = given.pop("auto_pad", "NOTSET") == "SAME_UPPER"
            given["pads"] = explicit_pads(self, made, upper)
        return Drawn(self.kind, kernel, self.bias, given, self.shape, self.dtype)

    @property
    def is_reached(self):
        """Whether the reference takes its output padding: no larger than the stride."""
        extra = self.attributes.get("output_padding", [0])
        return (np.array(extra) < self.attributes["strides"]).all()

    def uncropped(self):
        """The ConvTranspose without padding of any kind."""
        given = {
            name: value
            for name, value in self.attributes.items()
            if name in ("strides", "dilations", "group", "kernel_shape")
        }
        return Drawn(self.kind, self.kernel, self.bias, given, self.shape, self.dtype)

    def crop(self, full):
        """What padding leaves of the output of `uncropped`."""
        axes = self.kernel.ndim - 2
        extra = self.attributes.get("output_padding", [0] * axes)
        pads = self.attributes.get("pads")
        if self.attributes.get("auto_pad", "")[:4] == "SAME":
            made = [n * s for n, s in zip(self.shape[1:], self.attributes["strides"])]
            upper = self.attributes["auto_pad"] == "SAME_UPPER"
            pads = explicit_pads(self, made, upper)
        pads = pads or [0] * 2 * axes
        for axis, (begin, end, more) in enumerate(
            zip(pads[:axes], pads[axes:], extra), start=2
        ):
            widths = [(0, 0)] * full.ndim
            widths[axis] = 0, more
            full = np.pad(full, widths, constant_values=0)
            part = slice(begin, full.shape[axis] - end)
            full = full[(slice(None),) * axis + (part,)]
        return full


def dense_groups(kernel, groups, transposed):
    """The kernel of one group, with zeros between the groups."""
    first, second, *taps = kernel.shape
    dense = np.zeros((first, second * groups, *taps), kernel.dtype)
    rows = first // groups
    for g in range(groups):
        part = slice(g * rows, (g + 1) * rows), slice(g * second, (g + 1) * second)
        dense[part] = kernel[part[0]]
    return dense


def explicit_pads(drawn, made, upper):
    """The formula of ONNX' page on ConvTranspose."""
    axes = range(drawn.kernel.ndim - 2)
    given = drawn.attributes
    begin, end = [], []
    for i in axes:
        reach = (drawn.kernel.shape[2 + i] - 1) * given["dilations"][i] + 1
        total = given["strides"][i] * (drawn.shape[1 + i] - 1) + reach - made[i]
        total += given.get("output_padding", [0] * len(made))[i]
        small, large = total // 2, total - total // 2
        begin.append(small if upper else large)
        end.append(large if upper else small)
    return begin + end


def draw(rng):
    """A random layer whose output is not empty."""
    while True:
        drawn = _draw(rng)
        if drawn is not None:
            return drawn


def _draw(rng):
    axes = int(rng.integers(1, 4))
    kind = str(rng.choice(["Conv", "ConvTranspose"]))
    groups = int(rng.choice([1, 1, 2, 3]))
    c_in, c_out = groups * rng.integers(1, 3, 2)
    taps = rng.integers(1, 4, axes)
    stride, dilation = rng.integers(1, 4, axes), rng.integers(1, 3, axes)
    size = rng.integers(1, 6 if axes == 3 else 9, axes)
    dtype = str(rng.choice(list(TYPES)))
    reach = dilation * (taps - 1) + 1
    given = {"strides": stride.tolist(), "dilations": dilation.tolist()}
    if rng.random() < 0.5 or groups > 1:
        given["group"] = groups
    if rng.random() < 0.5:
        given["kernel_shape"] = taps.tolist()
    automatic = str(rng.choice(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if rng.random() < 0.7 or automatic != "NOTSET":
        given["auto_pad"] = automatic
    pads = (
        rng.integers(0, 3, 2 * axes) if automatic == "NOTSET" else 0 * stride.repeat(2)
    )
    if automatic == "NOTSET" and rng.random() < 0.8:
        given["pads"] = pads.tolist()
    else:
        pads = 0 * pads
    if kind == "Conv":
        padded = size + pads[:axes] + pads[axes:]
        if automatic[:4] != "SAME" and (padded < reach).any():
            return None
        shape = (c_out, c_in // groups)
    else:
        extra = rng.integers(0, np.maximum(stride, dilation))
        if rng.random() < 0.6:
            extra = 0 * extra
        else:
            given["output_padding"] = extra.tolist()
        made = stride * (size - 1) + extra + reach - pads[:axes] - pads[axes:]
        if automatic[:4] != "SAME" and (made < 1).any():
            return None
        if rng.random() < 0.3 and automatic != "VALID":
            given.pop("pads", None)
            full = stride * (size - 1) + extra + reach
            wanted = np.maximum(full - rng.integers(0, 4, axes), 1)
            given["output_shape"] = wanted.tolist()
        shape = (c_in, c_out // groups)
    kernel = rng.standard_normal((*shape, *taps)).astype(dtype)
    bias = rng.standard_normal(c_out).astype(dtype)
    return Drawn(kind, kernel, bias, given, (int(c_in), *size.tolist()), dtype)
