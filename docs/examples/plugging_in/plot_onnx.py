"""
Invert a network in an ONNX file
================================

``convinv.interop.onnx`` reads convolutions from ONNX models, and inverts models that
are a chain: here an encoder, from whose output the picture is found again.
"""

import matplotlib.pyplot as plt
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from convinv import gallery, layer_report
from convinv.interop.onnx import Inverse, convolutions, operator

# %%
# A small encoder, as other tools would have written it: a strided convolution, padded
# by ``auto_pad``, an activation, and another convolution with padding.

picture = gallery.image("astronaut", 56, dtype=np.float32)
kernels = {
    "k1": gallery.conv_layer(3, 20, rng=0).astype(np.float32),
    "k2": gallery.conv_layer(20, 32, rng=1).astype(np.float32),
}
strided = {"strides": [2, 2], "auto_pad": "SAME_UPPER"}
nodes = [
    helper.make_node("Conv", ["x", "k1"], ["h1"], "encoder/first", **strided),
    helper.make_node("LeakyRelu", ["h1"], ["h2"], "encoder/act", alpha=0.2),
    helper.make_node("Conv", ["h2", "k2"], ["y"], "encoder/second", pads=[1] * 4),
]
shapes = {"x": [1, *picture.shape], "y": [1, 32, 28, 28]}
ends = [
    helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    for name, shape in shapes.items()
]
weights = [numpy_helper.from_array(array, name) for name, array in kernels.items()]
model = helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:], weights))
onnx.checker.check_model(model)
features = ReferenceEvaluator(model).run(None, {"x": picture[None]})[0]

figure, axes = plt.subplots(2, 5, figsize=(9, 4))
for i, ax in enumerate(axes.flat):
    ax.imshow(features[0, i])
    ax.set_title(f"feature {i}")
    ax.set_axis_off()

# %%
# One line for the inverse. It is a module of PyTorch, and says how exact it is.

inverse = Inverse(model)
found = inverse(torch.from_numpy(features)).detach().numpy()[0]
print(inverse.last)

figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.9))
for ax, image, title in (
    (axes[0], picture, "the picture"),
    (axes[1], found, "from its features"),
):
    ax.imshow(np.clip(np.moveaxis(image, 0, -1), 0, 1))
    ax.set_title(title)
    ax.set_axis_off()
print(f"largest error of a pixel: {np.abs(found - picture).max():.1e}")

# %%
# A convolution alone is an operator, without PyTorch: transposed ones too, with every
# attribute that ONNX has.

print(list(convolutions(model)))
first = operator(model, "encoder/first", picture.shape)
print(layer_report(first))
