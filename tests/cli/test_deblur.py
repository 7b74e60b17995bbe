"""``convinv deblur`` and ``convinv psf`` on files of all kinds."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import convolve

from convinv import _files, gallery, imaging
from convinv._files import Picture
from support.paths import PACKAGE

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("skimage")
pytest.importorskip("tifffile")

PSF = gallery.gaussian_kernel(9, 1.0)
SIZE = 40, 48


@pytest.fixture(scope="module")
def sharp():
    whole = gallery.image("astronaut", channels_first=False)
    return whole[60:256:2, 150:346:2][: SIZE[0], : SIZE[1]]


@pytest.fixture(scope="module")
def blurred(sharp):
    """Of colors between 0 and 1, by SciPy, with noise."""
    b = convolve(sharp, PSF[..., None], mode="reflect")
    return b + 0.002 * np.random.default_rng(0).standard_normal(b.shape)


def stored(b, dtype):
    return np.rint(np.clip(b, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def opacity(dtype):
    alpha = np.full(SIZE, np.iinfo(dtype).max, dtype)
    alpha[5:9, 7:30] = np.iinfo(dtype).max // 2
    return alpha


def save(kind, b, folder):
    """The ten files: a picture `b` of colors as each of them, and its path."""
    gray = b[..., 1]
    ends = {"float TIFF": "tif", "3-D TIFF": "tif", "JPEG": "jpg", "npy": "npy"}
    path = folder / f"in.{ends.get(kind, 'png')}"
    if kind == "palette":
        Image.fromarray(stored(b, "uint8")).quantize(256).save(path)
    elif kind == "JPEG":
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "maker"
        turned = stored(np.rot90(b), "uint8")
        Image.fromarray(turned).save(path, exif=exif, quality=98, subsampling=0)
    else:
        pictures = {
            "gray": Picture(stored(gray, "uint8")),
            "colors": Picture(stored(b, "uint8"), -1),
            "alpha": Picture(stored(b, "uint8"), -1, opacity("uint8")),
            "gray 16": Picture(stored(gray, "uint16")),
            "colors 16": Picture(stored(b, "uint16"), -1),
            "float TIFF": Picture(gray.astype("float32")),
            "3-D TIFF": Picture(np.stack([gray] * 3).astype("float32")),
            "npy": Picture(gray),
        }
        _files.write(path, pictures[kind])
    return path


KINDS = (
    "gray", "colors", "alpha", "palette", "gray 16", "colors 16", "float TIFF",
    "3-D TIFF", "JPEG", "npy",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_ten_files(facts, tmp_path, sharp, blurred, kind):
    """Sharper than before, in the form of the input."""
    path = save(kind, blurred, tmp_path)
    out = tmp_path / f"out{path.suffix}"
    found = facts("deblur", path, out, "--psf", "gaussian:1")
    before, after = _files.read(path), _files.read(out)
    assert after.samples.dtype == before.samples.dtype
    assert after.samples.shape == before.samples.shape == tuple(found["shape"])
    assert after.channel_axis == before.channel_axis
    truth = sharp if before.channel_axis is not None else sharp[..., 1]
    scale = np.iinfo(after.samples.dtype).max if after.samples.dtype.kind == "u" else 1

    def error(picture):
        return np.linalg.norm(picture.samples / scale - truth)

    loss = {"palette": 0.95, "JPEG": 0.85}.get(kind, 0.75)
    assert error(after) < loss * error(before)
    if kind == "alpha":
        np.testing.assert_array_equal(after.alpha, opacity("uint8"))
    if kind == "JPEG":
        with Image.open(out) as file:
            assert file.getexif()[0x010F] == "maker" and 0x0112 not in file.getexif()
    assert 0 < found["strength"] and 0.0005 < found["noise"] < 0.02
    assert found["seconds"] > 0 and found["success"]


def test_the_same_as_in_python(facts, tmp_path, blurred):
    """Every level of 16 bits, and options that reach deconvolve."""
    path, out = save("colors 16", blurred, tmp_path), tmp_path / "out.png"
    words = "--psf", "disc:1.5", "--strength", "0.02", "--boundary", "mirror"
    found = facts("deblur", path, out, *words)
    image = _files.read(path).samples / 65535
    psf = gallery.disc_kernel(1.5)
    options = {"strength": 0.02, "boundary": "reflect", "channel_axis": -1}
    want = imaging.deconvolve(image, psf, **options)
    np.testing.assert_array_equal(_files.read(out).samples, stored(want, "uint16"))
    outside = (want < -0.5 / 65535) | (want > 1 + 0.5 / 65535)
    assert found["strength"] == 0.02 and found["clipped"] == outside.mean()


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("", {"strength": "auto"}),
        ("--strength 0.5 --noise 0.1", {"strength": 0.5, "noise": 0.1}),
        ("--tv", {"regularizer": "tv", "strength": "auto"}),
        ("--tv 0.25", {"regularizer": "tv", "strength": 0.25}),
        ("--tv --strength 0.5", {"regularizer": "tv", "strength": 0.5}),
        ("--poisson --bounds 0,", {"model": "poisson", "bounds": (0, np.inf)}),
        ("--bounds=-1,2", {"bounds": (-1, 2)}),
        ("--boundary wrap --max-memory 1GB", {"max_memory": "1GB"}),
    ],
)
def test_options_reach_deconvolve(done, monkeypatch, tmp_path, blurred, words, options):
    given = {}

    def recording(image, psf, **options):
        given.update(options)
        facts = {"extra": {}, "method": "none", "nit": 1, "success": True}
        return SimpleNamespace(x=image, message="", **facts)

    monkeypatch.setattr(imaging, "deconvolve", recording)
    path, out = save("gray", blurred, tmp_path), tmp_path / "out.png"
    done("deblur", path, out, "--psf", "gaussian:1", *words.split())
    fixed = {"channel_axis": None, "progress": False, "return_result": True}
    boundary = "periodic" if "wrap" in words else "unknown"
    want = {"strength": "auto", "boundary": boundary, **fixed, **options}
    assert given == want
    np.testing.assert_array_equal(_files.read(out).samples, _files.read(path).samples)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--tv", {"regularizer": "tv"}),
        ("--tv 0.002", {"regularizer": "tv", "strength": 0.002}),
        ("--poisson", {"model": "poisson"}),
        ("--bounds 0,", {"bounds": (0, None)}),
    ],
)
def test_models(facts, tmp_path, blurred, words, options):
    path, out = tmp_path / "in.npy", tmp_path / "out.npy"
    image = np.clip(blurred[..., 1], 0, None)
    np.save(path, image)
    found = facts("deblur", path, out, "--psf", "gaussian:1", *words.split())
    want = imaging.deconvolve(image, PSF, return_result=True, **options)
    np.testing.assert_allclose(np.load(out), want.x, rtol=0, atol=1e-9)
    assert found["strength"] == want.extra["strength"]


def test_volumes_and_stacks(done, tmp_path):
    """Three sigmas blur in depth; two axes of a PSF take plane by plane."""
    rng = np.random.default_rng(0)
    volume = rng.random((9, 24, 26)).astype(np.float32)
    _files.write(tmp_path / "in.tif", Picture(volume))
    for name, psf in (
        ("gaussian:0.6,0.9,0.9", gallery.gaussian_kernel((7, 9, 9), (0.6, 0.9, 0.9))),
        ("gaussian:0.9", gallery.gaussian_kernel(9, 0.9)),
    ):
        out = tmp_path / "out.tif"
        words = "--psf", name, "--strength", "0.1", "--force"
        done("deblur", tmp_path / "in.tif", out, *words)
        want = imaging.deconvolve(volume, psf, strength=0.1)
        np.testing.assert_allclose(_files.read(out).samples, want, atol=1e-5)


def test_psf_files(done, tmp_path, blurred):
    path = save("npy", blurred, tmp_path)
    want = imaging.deconvolve(blurred[..., 1], PSF, strength=0.05)
    deep = np.rint(PSF / PSF.max() * 65535).astype(np.uint16)
    np.save(tmp_path / "psf.npy", PSF)
    np.savez(tmp_path / "psf.npz", PSF)
    _files.write(tmp_path / "psf.tif", Picture(PSF))
    _files.write(tmp_path / "psf.png", Picture(np.stack([deep] * 3, axis=-1), -1))
    for end in ("npy", "npz", "tif", "png"):
        words = "--psf", tmp_path / f"psf.{end}", "--strength", "0.05", "--force"
        out = tmp_path / "out.npy"
        lines = done("deblur", path, out, *words)
        np.testing.assert_allclose(np.load(out), want, atol=1e-3 if end == "png" else 0)
        assert "strength 0.05 (given)" in lines and "9 x 9 pixels" in lines


def test_channel_axis(done, refused, tmp_path, blurred):
    path, out = tmp_path / "in.npy", tmp_path / "out.npy"
    colors = np.ascontiguousarray(np.moveaxis(blurred, -1, 0))
    np.save(path, colors)
    words = "deblur", path, out, "--psf", "gaussian:1", "--strength", "0.05"
    done(*words, "--channel-axis", "0")
    want = imaging.deconvolve(colors, PSF, channel_axis=0, strength=0.05)
    np.testing.assert_allclose(np.load(out), want, atol=1e-12)
    assert "is no axis of an array" in refused(2, *words, "--channel-axis", "3")
    np.save(path, blurred)
    assert "colors in the last axis" in refused(1, *words, "--force")


def test_transparent_pixels_do_not_count(done, tmp_path, blurred):
    """Whatever color they have, the others come out the same."""
    alpha = opacity("uint8")
    alpha[20:30, :10] = 0
    outs = []
    for color in (0, 255):
        samples = stored(blurred, "uint8")
        samples[20:30, :10] = color
        _files.write(tmp_path / "in.png", Picture(samples, -1, alpha), force=True)
        words = "--psf", "gaussian:1", "--strength", "0.05", "--force"
        done("deblur", tmp_path / "in.png", tmp_path / "out.png", *words)
        outs.append(_files.read(tmp_path / "out.png").samples.astype(int))
    assert abs(outs[0] - outs[1]).max() <= 1


class TestRefusals:
    def words(self, folder, blurred, kind="gray", out="out.png", psf="gaussian:1"):
        return "deblur", save(kind, blurred, folder), folder / out, "--psf", psf

    def test_nothing_is_overwritten(self, refused, done, tmp_path, blurred):
        words = self.words(tmp_path, blurred)
        words[2].write_text("mine", encoding="utf-8")
        assert "exists; --force overwrites it" in refused(1, *words)
        assert words[2].read_text(encoding="utf-8") == "mine"
        done(*words, "--force")
        assert _files.read(words[2]).samples.shape == SIZE

    @pytest.mark.parametrize(
        ("code", "kind", "out", "psf", "more", "message"),
        [
            (1, "colors 16", "out.jpg", "gaussian:1", "", "JPEG file holds .* uint8"),
            (1, "alpha", "out.jpg", "gaussian:1", "", "no opacity"),
            (1, "float TIFF", "out.png", "gaussian:1", "", "not float32"),
            (1, "gray", "out.bmp", "gaussian:1", "", "must end in one of"),
            (1, "gray", "no/out.png", "gaussian:1", "", "no folder"),
            (1, "gray", "out.png", "psf.npy", "", "there is no file 'psf.npy'"),
            (1, "gray", "out.png", "gaussian:1,1,1", "", "psf"),
            (2, "gray", "out.png", "gaussian:-1", "", "must be positive"),
            (2, "gray", "out.png", "disc:1e9", "", "may exceed 1000 pixels"),
            (2, "gray", "out.png", "disc:1,2", "", "--psf must be FILE, gaussian"),
            (2, "gray", "out.png", "disc:1", "--strength much", "'much' must be one"),
            (2, "gray", "out.png", "disc:1", "--noise -1", "not negative"),
            (2, "gray", "out.png", "disc:1", "--bounds 1,0", "LO must be below HI"),
            (2, "gray", "out.png", "disc:1", "--bounds 1", "must be LO,HI"),
            (2, "gray", "out.png", "disc:1", "--boundary odd", "boundary"),
            (2, "gray", "out.png", "disc:1", "--tv 1 --strength 1", "give one"),
            (2, "gray", "out.png", "disc:1", "--max-memory lots", "number of bytes"),
        ],
    )
    def test_errors(
        self, refused, tmp_path, blurred, code, kind, out, psf, more, message
    ):
        words = self.words(tmp_path, blurred, kind, out, psf)
        import re

        assert re.search(message, refused(code, *words, *more.split()))
        assert not words[2].exists()

    def test_files(self, refused, tmp_path):
        (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
        psf = "--psf", "disc:1"
        for name, words in (
            ("nothing.png", "there is no file"),
            ("text.png", "no image can be read from"),
        ):
            error = refused(1, "deblur", tmp_path / name, tmp_path / "out.png", *psf)
            assert words in error
        assert "required: --psf" in refused(2, "deblur", "a.png", "b.png")


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_killed_in_the_middle(tmp_path, blurred, how):
    """What was there before stays; nothing else, if Python can still act."""
    path = save("gray", blurred, tmp_path)
    out = tmp_path / "out.png"
    out.write_text("old", encoding="utf-8")
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from convinv import _files, cli\n"
        "from convinv._files import _formats\n"
        "def half(file, picture, suffix):\n"
        "    file.write(b'half')\n"
        "    file.flush()\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "_formats._write = half\n"
        f"code = cli.main(['deblur', {str(path)!r}, {str(out)!r}, '--psf', "
        "'gaussian:1', '--force', '--json'])\n"
        "raise SystemExit(code)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=env, text=True
    )
    with process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(getattr(signal, how))
    assert out.read_text(encoding="utf-8") == "old"
    if how != "SIGKILL":
        assert process.returncode in (130, 143)
        assert sorted(os.listdir(tmp_path)) == ["in.png", "out.png"]


class TestPSF:
    def test_estimate(self, done, facts, tmp_path, sharp):
        psf = gallery.line_kernel(5, 30)
        after = convolve(sharp, psf[..., None], mode="reflect")
        for name, picture in (("a", sharp), ("b", after)):
            deep = Picture(stored(picture, "uint16"), -1)
            _files.write(tmp_path / f"{name}.png", deep)
        words = "psf", tmp_path / "a.png", tmp_path / "b.png", "--size", "7"
        found = facts(*words, "--output", tmp_path / "psf.npy")
        want = np.zeros((7, 7))
        rows, columns = psf.shape
        top, left = (7 - rows) // 2, (7 - columns) // 2
        want[top : top + rows, left : left + columns] = psf
        np.testing.assert_allclose(found["psf"], want, atol=0.02 * psf.max())
        np.testing.assert_array_equal(np.load(tmp_path / "psf.npy"), found["psf"])
        np.testing.assert_allclose(found["sum"], 1, atol=1e-3)
        along = want.sum(axis=0) @ (np.arange(7) - 3) ** 2
        np.testing.assert_allclose(found["width"][1], np.sqrt(along), atol=0.05)
        lines = done(*words)
        assert "7 x 7 pixels" in lines and "written" not in lines

    def test_refusals(self, refused, tmp_path, sharp):
        for name, rows in (("a", 40), ("b", 39)):
            _files.write(tmp_path / f"{name}.tif", Picture(sharp[:rows, :, 0]))
        words = "psf", tmp_path / "a.tif", tmp_path / "b.tif"
        assert "must be of one size" in refused(1, *words, "--size", "5")
        assert "required: --size" in refused(2, *words)
        assert "positive integers" in refused(2, *words, "--size", "0")
        error = refused(2, *words, "--size", "5", "--output", "psf.png")
        assert "must end in .npy or .tif" in error
        out = tmp_path / "a.tif"
        assert "--force" in refused(1, *words, "--size", "5", "--output", out)
