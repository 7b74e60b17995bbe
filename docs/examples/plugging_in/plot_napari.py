"""
A widget in napari
==================

napari shows a widget "Deconvolve" where convinv is installed: choose a layer, the shape
of the blur, and press the button. Nothing has to be programmed.
"""

import importlib
import os

import matplotlib.pyplot as plt
import numpy as np

from convinv import gallery, imaging

try:
    import napari
except ImportError:
    napari = None

# %%
# ``python -m pip install convinv[napari]``, then Plugins, Deconvolve. The search runs
# in a thread and can be stopped; the result is a new layer in the place and the
# contrast of the old one, whose ``metadata["convinv"]`` says what was done. Where these
# pages were made with napari, this is the widget:


sharp = gallery.image("astronaut", 256, channels_first=False)
seen = imaging.blur(sharp, gallery.disc_kernel(4), channel_axis=-1)
seen = (255 * seen).round().astype(np.uint8)


def screenshot(image):
    """The widget as an array of pixels, drawn without a screen."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from napari.components import ViewerModel
    from qtpy.QtGui import QImage
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    viewer = ViewerModel()
    viewer.add_image(image, rgb=True, name="astronaut")
    # by its name, as napari finds it: what builds these pages looks up other imports
    widget = importlib.import_module("convinv.interop.napari").Deconvolve(viewer)
    widget.blur.value, widget.size.value = "disc", 4
    widget.show()
    application.processEvents()
    image = widget.native.grab().toImage()
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8)
    rows = rows.reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()]
    return rows.reshape(image.height(), image.width(), 3)


if napari is None:
    print("napari is not installed here")
else:
    figure, ax = plt.subplots(figsize=(4.5, 4.9))
    ax.imshow(screenshot(seen))
    ax.set_axis_off()

# %%
# What the button does is a function too, for scripts: it takes a layer's pixels and
# attributes, and returns those of the result.


def restored(image):
    from convinv.interop.napari import Blur, restored_layer

    attributes = {"name": "astronaut", "rgb": True, "scale": (0.5, 0.5)}
    return restored_layer(image, attributes, Blur("disc", 4))


found, attributes, _ = restored(seen)
print(attributes["name"], attributes["scale"], found.dtype)
print(attributes["metadata"]["convinv"]["message"])

figure, axes = plt.subplots(1, 2, figsize=(8, 4.2))
for ax, image, title in ((axes[0], seen, "the layer"), (axes[1], found, "the result")):
    ax.imshow(image)
    ax.set_title(title)
    ax.set_axis_off()
