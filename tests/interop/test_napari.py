"""The plugin of napari: what it computes, its manifest, and the widget.

The widget is tested where napari is installed, in a viewer where pytest-qt and a
display are there too::

    python -m pip install convinv[napari] pytest-qt
    xvfb-run -a python -m pytest tests/interop/test_napari.py
"""

import configparser
import os
import sys
import threading
import time

import numpy as np
import pytest

from convinv import gallery, imaging
from convinv.interop.napari import Blur, Restoration, restored_layer
from support.paths import PACKAGE, ROOT

MANIFEST = PACKAGE / "interop" / "napari" / "napari.yaml"
RNG = np.random.default_rng(0)
SHARP = gallery.image("astronaut", 64)[0]
DISC = gallery.disc_kernel(2)
SEEN = imaging.blur(SHARP, DISC) + 0.005 * RNG.standard_normal(SHARP.shape)


class TestRestoredLayer:
    def test_a_picture(self):
        given = {
            "name": "cell",
            "scale": (0.2, 0.2),
            "translate": (3, 4),
            "contrast_limits": (0, 2),
            "colormap": "green",
            "metadata": {"taken": "today"},
            "visible": False,
        }
        data, attributes, kind = restored_layer(SEEN, given, Blur("disc", 2))
        np.testing.assert_array_equal(data, imaging.deconvolve(SEEN, DISC))
        metadata = attributes.pop("metadata")
        assert kind == "image" and attributes == {
            "name": "cell deconvolved",
            "scale": (0.2, 0.2),
            "translate": (3, 4),
            "contrast_limits": (0, 2),
            "colormap": "green",
        }
        facts = metadata["convinv"]
        assert metadata["taken"] == "today" and given["metadata"] == {"taken": "today"}
        assert facts["blur"] == {"kind": "disc", "size": 2, "angle": 0.0}
        assert facts["restoration"]["strength"] is None and facts["success"]
        again = imaging.deconvolve(SEEN, DISC, strength=facts["strength"])
        np.testing.assert_array_equal(data, again)

    @pytest.mark.parametrize("channels", [3, 4])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_colors(self, channels, dtype):
        """In the range and dtype of the layer; opaque pixels stay so."""
        largest = 1 if dtype is np.float32 else np.iinfo(dtype).max
        image = np.stack([SEEN.clip(0, 1)] * channels, axis=-1) * largest
        image[..., 3:] = largest
        image = image.astype(dtype)
        data, attributes, _ = restored_layer(image, {"rgb": True}, Blur("disc", 2))
        assert data.dtype == dtype and data.shape == image.shape and attributes["rgb"]
        assert data.min() >= 0 and data.max() <= largest
        assert (data[..., 3:] == largest).all()
        before = np.abs(image[..., 0] / largest - SHARP).mean()
        assert np.abs(data[..., 0] / largest - SHARP).mean() < before

    def test_units_of_integers_are_kept(self):
        counts = np.rint(1000 * SEEN.clip(0)).astype(np.uint16)
        data, _, _ = restored_layer(counts, {}, Blur("disc", 2))
        assert data.mean() == pytest.approx(counts.mean(), rel=0.05)

    @pytest.mark.parametrize("width", [64, 3])
    def test_stacks(self, width):
        stack = np.stack([SEEN, SEEN[::-1], SEEN.T])[..., :width]
        restoration = Restoration(strength=0.05)
        data, _, _ = restored_layer(stack, {}, Blur("gaussian", 0.5), restoration)
        kernel = Blur("gaussian", 0.5).kernel(2)
        for found, image in zip(data, stack):
            one = imaging.deconvolve(image[None, None], kernel, strength=0.05)[0, 0]
            np.testing.assert_allclose(found, one, atol=5e-3)

    def test_volumes(self):
        volume, kernel = RNG.random((8, 12, 11)), Blur("gaussian", 1).kernel(3)
        assert kernel.ndim == 3
        restoration = Restoration(volume=True, strength=0.1)
        data, _, _ = restored_layer(volume, {}, Blur("gaussian", 1), restoration)
        wanted = imaging.deconvolve(volume, kernel, strength=0.1)
        np.testing.assert_allclose(data, wanted, atol=1e-12)

    @pytest.mark.parametrize("penalty", ["smooth", "total variation", "photon counts"])
    def test_penalties(self, penalty):
        restoration = Restoration(penalty, 0.02, "symmetric")
        data, attributes, _ = restored_layer(
            SEEN.clip(0), {}, Blur("disc", 2), restoration
        )
        assert attributes["metadata"]["convinv"]["strength"] == 0.02
        assert np.abs(data - SHARP).mean() < np.abs(SEEN - SHARP).mean()

    def test_blurs(self):
        np.testing.assert_array_equal(
            Blur("disc", 3.5).kernel(2), gallery.disc_kernel(3.5)
        )
        line = gallery.line_kernel(9, 30)
        np.testing.assert_array_equal(Blur("line", 9, 30).kernel(3), line[None])
        for shape in [(5, 7), (1, 5, 7), (5, 7, 1)]:
            psf = RNG.random(shape)
            found = Blur("layer").kernel(2, psf)
            np.testing.assert_array_equal(found, psf.reshape(5, 7))
        assert Blur("layer").kernel(3, RNG.random((5, 7))).shape == (1, 5, 7)
        gaussian = Blur("gaussian", 2.0).kernel(2)
        assert gaussian.shape == (13, 13) and gaussian.sum() == pytest.approx(1)

    def test_a_callback_ends_it(self):
        heard = []

        def callback(state):
            heard.append(state.nit)
            return len(heard) == 2

        restoration = Restoration("photon counts", 1e-3)
        _, attributes, _ = restored_layer(
            SEEN.clip(0), {}, Blur("disc", 2), restoration, callback=callback
        )
        assert heard == [1, 2]
        assert attributes["metadata"]["convinv"]["iterations"] == 2

    @pytest.mark.parametrize(
        ("image", "blur", "restoration", "words"),
        [
            (SEEN[0], Blur(), Restoration(), "a picture has 2 axes, the layer has 1"),
            (SEEN, Blur(), Restoration(volume=True), "a volume has 3 axes"),
            (SEEN, Blur("ring"), Restoration(), "kind must be one of"),
            (SEEN, Blur("layer"), Restoration(), "choose the layer"),
            (SEEN, Blur(), Restoration("none"), "penalty must be one of"),
            (SEEN, Blur(size=-1.0), Restoration(), "."),
        ],
    )
    def test_refused(self, image, blur, restoration, words):
        with pytest.raises((ValueError, TypeError), match=words):
            restored_layer(image, {}, blur, restoration)

    def test_a_layer_that_is_no_point_spread_function(self):
        with pytest.raises(ValueError, match="must have 2 axes, got shape"):
            restored_layer(SEEN, {}, Blur("layer"), psf=RNG.random((3, 4, 5)))


def test_the_widget_is_loaded_when_it_is_asked_for(monkeypatch):
    from convinv.interop import napari as adapter

    with pytest.raises(AttributeError, match="has no attribute 'Convolve'"):
        adapter.Convolve
    monkeypatch.setitem(sys.modules, "napari", None)
    with pytest.raises(ImportError, match="Deconvolve needs napari: python -m pip"):
        adapter.Deconvolve


class TestManifest:
    def test_is_installed(self):
        if not (ROOT / "setup.cfg").is_file():
            pytest.skip("no setup.cfg beside the tests")
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg", encoding="utf-8")
        name, _, target = config["options.entry_points"]["napari.manifest"].partition(
            "="
        )
        assert name.strip() == config["metadata"]["name"]
        module, _, file = target.strip().partition(":")
        assert PACKAGE.parent.joinpath(*module.split("."), file) == MANIFEST
        assert MANIFEST.name in config["options.package_data"]["*"]

    def test_is_valid(self):
        npe2 = pytest.importorskip("npe2")
        manifest = npe2.PluginManifest.from_file(MANIFEST)
        (widget,) = manifest.contributions.widgets
        assert widget.display_name == "Deconvolve"
        pytest.importorskip("napari")
        manifest.validate_imports()

    @pytest.mark.parametrize("name", ["photograph", "beads"])
    def test_samples(self, name):
        from convinv.interop.napari import _samples

        ((data, attributes, kind),) = getattr(_samples, name)()
        assert kind == "image" and attributes["name"].startswith(name)
        assert np.isfinite(data).all() and data.size < 1e6
        found = restored_layer(
            data,
            attributes,
            Blur("disc", 4) if name == "photograph" else Blur("gaussian", 2),
            Restoration(volume=name == "beads", strength=0.05),
        )
        assert found[0].std() > 1.05 * data.std()  # of more contrast


@pytest.fixture(scope="module")
def app():
    """An application without a screen, where there is none yet."""
    pytest.importorskip("napari")
    widgets = pytest.importorskip("qtpy.QtWidgets")
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    yield widgets.QApplication.instance() or widgets.QApplication([])


def wait(app, done, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it takes too long"
        app.processEvents()
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore")
class TestWidget:
    @pytest.fixture
    def viewer(self, app):
        from napari.components import ViewerModel

        return ViewerModel()

    @pytest.fixture
    def widget(self, app, viewer):
        from convinv.interop.napari import Deconvolve

        widget = Deconvolve(viewer)
        yield widget
        widget.stop()
        wait(app, lambda: widget.worker is None)
        widget.native.close()

    def test_follows_the_layers(self, widget, viewer):
        assert widget.image.value is None and not widget.start.enabled
        layer = viewer.add_image(SEEN, name="seen")
        assert widget.image.value is layer
        assert widget.start.enabled
        viewer.add_points(np.zeros((1, 2)))
        assert list(widget.image.choices) == [layer]
        viewer.layers.clear()
        assert widget.image.value is None and not widget.start.enabled

    def test_shows_what_the_blur_has(self, widget, viewer):
        widget.show()
        for kind, shown, label in [
            ("gaussian", {"size"}, "standard deviation"),
            ("disc", {"size"}, "radius"),
            ("line", {"size", "angle"}, "length"),
            ("layer", {"psf"}, None),
        ]:
            widget.blur.value = kind
            names = ("size", "angle", "psf")
            assert {n for n in names if getattr(widget, n).visible} == shown
            assert label in (None, widget.size.label)
        assert not widget.strength.enabled
        widget.automatic.value = False
        assert widget.strength.enabled
        widget.image.value = viewer.add_image(np.zeros((3, 4, 5)))
        assert widget.volume.visible

    def test_adds_the_result(self, app, widget, viewer):
        seen = viewer.add_image(
            SEEN, name="seen", scale=(2, 2), translate=(1, 5), contrast_limits=(0, 0.9)
        )
        widget.image.value, widget.blur.value, widget.size.value = seen, "disc", 2.0
        widget.automatic.value, widget.strength.value = False, 0.05
        widget.boundary.value = "symmetric"
        widget.start.changed.emit(True)
        assert widget.worker is not None and widget.cancel.enabled
        assert not widget.start.enabled
        wait(app, lambda: widget.worker is None)
        found = viewer.layers["seen deconvolved"]
        wanted = imaging.deconvolve(SEEN, DISC, strength=0.05, boundary="symmetric")
        np.testing.assert_array_equal(found.data, wanted)
        assert tuple(found.scale) == (2, 2) and tuple(found.translate) == (1, 5)
        assert tuple(found.contrast_limits) == (0, 0.9)
        assert found.metadata["convinv"]["restoration"]["boundary"] == "symmetric"
        assert widget.status.value.startswith("strength 0.05, ")
        assert widget.start.enabled and not widget.cancel.enabled

    def test_a_layer_as_the_blur(self, app, widget, viewer):
        psf = viewer.add_image(DISC, name="psf")
        widget.image.value = viewer.add_image(SEEN, name="seen")
        widget.blur.value, widget.psf.value = "layer", psf
        widget.run()
        wait(app, lambda: widget.worker is None)
        wanted = imaging.deconvolve(SEEN, DISC)
        np.testing.assert_array_equal(viewer.layers["seen deconvolved"].data, wanted)

    def test_can_be_stopped(self, app, widget, viewer, monkeypatch):
        """After an iteration, with no layer added."""
        started, go_on = threading.Event(), threading.Event()

        def slow(*args, callback, **kwargs):
            state = type("State", (), {"nit": 7})
            started.set()
            while not callback(state):
                go_on.wait(0.01)
            return np.zeros((2, 2)), {"metadata": {}}, "image"

        monkeypatch.setattr("convinv.interop.napari._widget.restored_layer", slow)
        widget.image.value = viewer.add_image(SEEN, name="seen")
        widget.run()
        wait(app, lambda: widget.status.value == "iteration 7")
        widget.cancel.changed.emit(True)
        wait(app, lambda: widget.worker is None)
        assert [layer.name for layer in viewer.layers] == ["seen"]
        assert widget.status.value == "stopped"

    def test_errors_are_shown(self, app, widget, viewer):
        widget.image.value = viewer.add_image(SEEN, name="seen")
        widget.blur.value = "layer"
        widget.psf.value = None
        widget.run()
        wait(app, lambda: widget.worker is None)
        assert "choose the layer" in widget.status.value
        assert len(viewer.layers) == 1 and widget.start.enabled


@pytest.mark.filterwarnings("ignore")
def test_in_a_viewer(request):
    """napari finds the widget by the manifest, and docks it."""
    npe2 = pytest.importorskip("npe2")
    pytest.importorskip("napari")
    pytest.importorskip("pytestqt")
    if not os.environ.get("DISPLAY"):
        pytest.skip("needs a display: run with xvfb-run")
    viewer = request.getfixturevalue("make_napari_viewer")()
    manager = npe2.PluginManager.instance()
    if "convinv" not in manager:
        manager.register(npe2.PluginManifest.from_file(MANIFEST))
    _, widget = viewer.window.add_plugin_dock_widget("convinv", "Deconvolve")
    viewer.open_sample("convinv", "photograph")
    (layer,) = viewer.layers
    assert widget.image.value is layer
    widget.blur.value, widget.size.value = "disc", 4.0
    widget.run()
    qtbot = request.getfixturevalue("qtbot")
    qtbot.waitUntil(lambda: widget.worker is None, timeout=60_000)
    assert len(viewer.layers) == 2 and viewer.layers[1].rgb
