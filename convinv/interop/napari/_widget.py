"""The widget "Deconvolve"."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui import widgets
from napari.layers import Image
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer

from ._layer import BLURS, PENALTIES, Blur, Restoration, restored_layer

if TYPE_CHECKING:
    import napari.viewer

BOUNDARIES = ("unknown", "zero", "periodic", "reflect", "symmetric", "replicate")
SIZES = {"gaussian": "standard deviation", "disc": "radius", "line": "length"}
EVERY = 100  # milliseconds between two looks at the search
ATTRIBUTES = (
    *("name", "rgb", "scale", "translate", "rotate", "shear", "affine", "units"),
    *("axis_labels", "contrast_limits", "colormap", "gamma", "blending"),
    *("interpolation2d", "metadata"),
)


class Deconvolve(widgets.Container):
    """What a blurred image shows, found in a thread that can be stopped.

    Parameters
    ----------
    viewer : napari.Viewer
        Its image layers can be chosen, and the result is added to it.

    Attributes
    ----------
    worker : napari.qt.threading.FunctionWorker or None
        What computes at present.
    """

    def __init__(self, viewer: napari.viewer.Viewer):  # by which napari gives it
        self.viewer = viewer
        self.worker: Any = None
        self._stop = threading.Event()
        self._nit = 0
        self.image = widgets.ComboBox(
            name="image", choices=self._images, tooltip="The blurred image."
        )
        self.blur = _of_choices("blur", BLURS, "The shape that blur makes of a point.")
        self.size = widgets.FloatSpinBox(
            name="size", value=2.0, min=0.1, max=500, step=0.5
        )
        self.angle = widgets.FloatSpinBox(
            name="angle", value=0.0, min=-180, max=180, step=5,
            tooltip="In degrees from across, counterclockwise.",
        )  # fmt: skip
        self.psf = widgets.ComboBox(
            name="psf", choices=self._images, nullable=True,
            tooltip="The image of a point, its center in the middle.",
        )  # fmt: skip
        self.penalty = _of_choices(
            "penalty", PENALTIES,
            "smooth: for photographs; total variation: for scenes of even parts with "
            "sharp edges; photon counts: for noise that grows with the brightness",
        )  # fmt: skip
        self.automatic = widgets.CheckBox(
            name="automatic", value=True, text="strength from the image"
        )
        self.strength = widgets.FloatSpinBox(
            name="strength", value=0.05, min=0, max=1e6, step=0.01,
            tooltip="More leaves less noise and fewer details.",
        )  # fmt: skip
        self.strength.native.setDecimals(5)
        self.boundary = _of_choices(
            "boundary", BOUNDARIES,
            "What is beyond the frame; unknown: a scene that goes on.",
        )  # fmt: skip
        self.boundary.label = "beyond the frame"
        self.volume = widgets.CheckBox(
            name="volume", value=False, text="the last three axes are a volume"
        )
        self.start = widgets.PushButton(name="start", text="Deconvolve")
        self.cancel = widgets.PushButton(name="cancel", text="Cancel", enabled=False)
        self.status = widgets.Label(name="status", label=" ", value="")
        super().__init__(
            widgets=[
                *(self.image, self.blur, self.size, self.angle, self.psf),
                *(self.penalty, self.automatic, self.strength, self.boundary),
                *(self.volume, self.start, self.cancel, self.status),
            ]
        )
        self._timer = QTimer(self.native)
        self._timer.setInterval(EVERY)
        self._timer.timeout.connect(self._show_progress)
        for widget in (self.image, self.blur, self.automatic):
            widget.changed.connect(self._fit)
        self.start.changed.connect(self.run)
        self.cancel.changed.connect(self.stop)
        for layers in (viewer.layers.events.inserted, viewer.layers.events.removed):
            layers.connect(self._list_layers)
        self._list_layers()

    # what is shown

    def _list_layers(self, event: Any = None) -> None:
        for widget in (self.image, self.psf):
            widget.reset_choices()
        self._fit()

    def _images(self, widget: Any) -> list[tuple[str, Image]]:
        """What `image` and `psf` offer; napari asks for it too."""
        images = [layer for layer in self.viewer.layers if isinstance(layer, Image)]
        return [(layer.name, layer) for layer in images]

    def _fit(self, event: Any = None) -> None:
        """Show what the choices ask for."""
        kind, layer = self.blur.value, self.image.value
        self.size.visible = kind != "layer"
        self.size.label = SIZES.get(kind, "size")
        self.angle.visible = kind == "line"
        self.psf.visible = kind == "layer"
        self.strength.enabled = not self.automatic.value
        self.volume.visible = layer is not None and layer.ndim > 2
        self.start.enabled = layer is not None and self.worker is None
        self.cancel.enabled = self.worker is not None

    def _show_progress(self) -> None:
        if self._stop.is_set():
            self.status.value = "stopping ..."
        else:
            self.status.value = f"iteration {self._nit}" if self._nit else "computing"

    # what is done

    def settings(self) -> tuple[Blur, Restoration]:
        """The choices of the user."""
        blur = Blur(self.blur.value, self.size.value, self.angle.value)
        restoration = Restoration(
            self.penalty.value,
            None if self.automatic.value else self.strength.value,
            self.boundary.value,
            bool(self.volume.value and self.volume.visible),
        )
        return blur, restoration

    def run(self, event: Any = None) -> None:
        """Start to compute, in a thread."""
        layer = self.image.value
        if layer is None or self.worker is not None:
            return
        blur, restoration = self.settings()
        psf = self.psf.value
        self._stop.clear()
        self._nit = 0
        self.worker = create_worker(
            restored_layer,
            layer.data[0] if layer.multiscale else layer.data,
            {name: getattr(layer, name) for name in ATTRIBUTES},
            blur,
            restoration,
            psf=None if psf is None else np.asarray(psf.data),
            callback=self._heard,
            _start_thread=False,
            _progress={"desc": "Deconvolve"},
            _ignore_errors=True,  # they are shown by what is connected
        )
        self.worker.returned.connect(self._add)
        self.worker.errored.connect(self._fail)
        self.worker.finished.connect(self._end)
        self.status.value = "computing"
        self._timer.start()
        self._fit()
        self.worker.start()

    def stop(self, event: Any = None) -> None:
        """End the computation, without a result."""
        self._stop.set()

    def _heard(self, state: Any) -> bool:
        """What the search calls after each iteration, in its thread."""
        self._nit = state.nit
        return self._stop.is_set()

    def _add(self, layer: tuple[np.ndarray, dict[str, Any], str]) -> None:
        if self._stop.is_set():
            self.status.value = "stopped"
            return
        data, attributes, _ = layer
        self.viewer.add_image(data, **attributes)
        facts = attributes["metadata"]["convinv"]
        self.status.value = (
            f"strength {facts['strength']:.3g}, {facts['iterations']} iterations, "
            f"{facts['seconds']:.2g} s"
        )

    def _fail(self, error: Exception) -> None:
        self.status.value = str(error)
        show_error(f"Deconvolve: {error}")

    def _end(self) -> None:
        self._timer.stop()
        self.worker = None
        self._fit()


def _of_choices(name: str, choices: tuple[str, ...], tooltip: str) -> Any:
    return widgets.ComboBox(name=name, choices=choices, tooltip=tooltip)
