"""Pictures in files: read in full, written without loss, whole or not at all."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from convinv import _files
from convinv._files import Picture, _deep_png
from support.paths import PACKAGE

Image = pytest.importorskip("PIL.Image")
tifffile = pytest.importorskip("tifffile")

SIZE = (20, 31)


def samples(dtype, *more):
    rng = np.random.default_rng(0)
    shape = (*SIZE, *more)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    ends = np.iinfo(dtype)
    return rng.integers(ends.min, ends.max, shape, dtype, endpoint=True)


PICTURES = {
    "gray": (Picture(samples("uint8")), "png tif npy"),
    "colors": (Picture(samples("uint8", 3), -1), "png tif"),
    "gray 16": (Picture(samples("uint16")), "png tif npy"),
    "colors 16": (Picture(samples("uint16", 3), -1), "png tif"),
    "gray, alpha": (Picture(samples("uint8"), None, samples("uint8")), "png tif"),
    "alpha": (Picture(samples("uint8", 3), -1, samples("uint8")), "png tif"),
    "gray 16, alpha": (Picture(samples("uint16"), None, samples("uint16")), "png tif"),
    "alpha 16": (Picture(samples("uint16", 3), -1, samples("uint16")), "png tif"),
    "int16": (Picture(samples("int16")), "tif npy"),
    "float": (Picture(samples("float32")), "tif npy"),
    "double": (Picture(samples("float64")), "tif npy"),
    "volume": (Picture(np.stack([samples("float32")] * 5)), "tif npy"),
    "colored stack": (Picture(np.stack([samples("uint16", 3)] * 4), -1), "tif"),
}
CASES = [(name, end) for name in PICTURES for end in PICTURES[name][1].split()]


@pytest.mark.parametrize(("name", "end"), CASES)
def test_lossless(tmp_path, name, end):
    picture, path = PICTURES[name][0], tmp_path / f"picture.{end}"
    _files.write(path, picture)
    back = _files.read(path)
    assert back.samples.dtype == picture.samples.dtype
    assert back.channel_axis == picture.channel_axis
    np.testing.assert_array_equal(back.samples, picture.samples)
    assert (back.alpha is None) == (picture.alpha is None)
    if picture.alpha is not None:
        np.testing.assert_array_equal(back.alpha, picture.alpha)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["gray 16", "colors 16", "alpha 16", "gray 16, alpha"])
def test_deep_png_is_a_png(tmp_path, name):
    """As another reader sees it: Pillow, which keeps the high bytes of colors."""
    picture, path = PICTURES[name][0], tmp_path / "deep.png"
    _files.write(path, picture)
    with Image.open(path) as file:
        seen = np.asarray(file)
    want = picture.interleaved()
    if seen.dtype == np.uint8:
        want = want >> 8
    if name == "gray 16, alpha":
        seen = seen[..., [0, 3]]
    np.testing.assert_array_equal(seen, want)


def test_filters_make_deep_pictures_small(tmp_path, monkeypatch):
    ramp = np.arange(256, dtype=np.uint16)
    smooth = np.stack([np.add.outer(ramp, k * ramp) * 60 for k in (1, 2, 3)], axis=-1)
    path = tmp_path / "smooth.png"
    monkeypatch.setattr(_deep_png, "BAND", 70 * 6 * 256)  # bands of 70 rows
    _files.write(path, Picture(smooth.astype(np.uint16), -1))
    assert path.stat().st_size < 0.1 * smooth.size * 2
    np.testing.assert_array_equal(_files.read(path).samples, smooth.astype(np.uint16))


@pytest.mark.parametrize("end", ["png", "tif", "gif"])
def test_palettes(tmp_path, end):
    picture = Image.fromarray(samples("uint8", 3)).quantize(16)
    picture.save(tmp_path / f"palette.{end}")
    back = _files.read(tmp_path / f"palette.{end}")
    np.testing.assert_array_equal(back.samples, np.asarray(picture.convert("RGB")))


def test_transparent_color(tmp_path):
    path, gray = tmp_path / "key.png", samples("uint8")
    Image.fromarray(gray).save(path, transparency=int(gray[0, 0]))
    back = _files.read(path)
    np.testing.assert_array_equal(back.samples, gray)
    np.testing.assert_array_equal(back.alpha == 0, gray == gray[0, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(tmp_path, orientation):
    """Both formats, against scikit-image's own rotations and flips."""
    colors = samples("uint8", 3)
    turned = {
        1: colors, 2: colors[:, ::-1], 3: colors[::-1, ::-1], 4: colors[::-1],
        5: colors.swapaxes(0, 1), 6: np.rot90(colors, -1),
        7: colors[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(colors),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    Image.fromarray(colors).save(tmp_path / "a.png", exif=exif)
    tags = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(
        tmp_path / "a.tif", colors, photometric="rgb", extratags=tags, metadata=None
    )
    for end in ("png", "tif"):
        back = _files.read(tmp_path / f"a.{end}")
        np.testing.assert_array_equal(back.samples, turned)
        _files.write(tmp_path / f"b.{end}", back)
        with Image.open(tmp_path / f"b.{end}") as file:
            assert file.getexif().get(0x0112, 1) == 1  # it has been turned
            np.testing.assert_array_equal(np.asarray(file), turned)


class TestMetadata:
    @pytest.fixture
    def photograph(self, tmp_path):
        exif = Image.Exif()
        exif[0x010F] = "maker"
        options = {"exif": exif, "dpi": (300, 300), "icc_profile": b"a profile"}
        path, colors = tmp_path / "photograph.jpg", samples("uint8", 3)
        Image.fromarray(colors).save(path, quality=70, comment=b"hello", **options)
        return _files.read(path)

    @pytest.mark.parametrize(
        ("end", "deep"), [("jpg", False), ("png", False), ("png", True)]
    )
    def test_photographs(self, photograph, tmp_path, end, deep):
        if deep:
            deeper = photograph.samples.astype(np.uint16) * 257
            photograph = photograph.with_samples(deeper)
        _files.write(tmp_path / f"out.{end}", photograph)
        with Image.open(tmp_path / f"out.{end}") as file:
            assert file.getexif()[0x010F] == "maker"
            np.testing.assert_allclose(file.info["dpi"], 300, atol=0.02)
            assert file.info["icc_profile"] == b"a profile"

    def test_quality_of_jpeg(self, photograph, tmp_path):
        _files.write(tmp_path / "out.jpg", photograph)
        with Image.open(tmp_path / "out.jpg") as file:
            with Image.open(tmp_path / "photograph.jpg") as source:
                assert file.quantization == source.quantization
                assert file.info["comment"] == b"hello"

    def test_to_tiff(self, photograph, tmp_path):
        _files.write(tmp_path / "out.tif", photograph)
        with tifffile.TiffFile(tmp_path / "out.tif") as file:
            assert file.pages[0].resolution == (300, 300)
            assert file.pages[0].tags[34675].value == b"a profile"

    def test_text_and_gamma_of_png(self, tmp_path):
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("Title", "a ramp")
        info.add(b"gAMA", (45455).to_bytes(4, "big"))
        path = tmp_path / "in.png"
        Image.fromarray(samples("uint8")).save(path, pnginfo=info)
        for picture in (_files.read(path), PICTURES["alpha 16"][0]):
            metadata = _files.read(path).metadata
            kept = Picture(picture.samples, picture.channel_axis, None, metadata)
            _files.write(tmp_path / "out.png", kept, force=True)
            with Image.open(tmp_path / "out.png") as file:
                assert file.info["gamma"] == 0.45455 and file.text["Title"] == "a ramp"

    @pytest.mark.parametrize("kind", ["imagej", "ome", "shaped", "text"])
    def test_tiff(self, tmp_path, kind):
        words = {
            "imagej": {"imagej": True, "metadata": {"axes": "CYX", "unit": "um"}},
            "ome": {"ome": True, "metadata": {"axes": "CYX", "PhysicalSizeX": 0.25}},
            "shaped": {"metadata": {"axes": "ZYX", "sample": "yeast"}},
            "text": {"metadata": None, "description": "a leaf", "datetime": True},
        }[kind]
        volume = np.stack([samples("uint16")] * 4)
        options = {"photometric": "minisblack", "resolution": (2, 3), **words}
        tifffile.imwrite(tmp_path / "in.tif", volume, **options)
        back = _files.read(tmp_path / "in.tif")
        channels = 4 if "CYX" in str(words) else 1
        assert back.channels == channels
        _files.write(tmp_path / "out.tif", back)
        with tifffile.TiffFile(tmp_path / "in.tif") as old:
            with tifffile.TiffFile(tmp_path / "out.tif") as new:
                np.testing.assert_array_equal(new.asarray(), volume)
                assert new.series[0].axes == old.series[0].axes
                assert new.pages[0].resolution == old.pages[0].resolution
                assert new.pages[0].datetime == old.pages[0].datetime
                assert new.imagej_metadata == old.imagej_metadata
                assert new.shaped_metadata == old.shaped_metadata
                if kind in ("ome", "text"):
                    assert new.pages[0].description == old.pages[0].description


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "end", "words"),
        [
            ("float", "png", "samples of uint8 or uint16, not float32; .tif and .npy"),
            ("gray 16", "jpg", "samples of uint8, not uint16"),
            ("alpha", "jpg", "no opacity"),
            ("colored stack", "png", "can't hold a stack"),
            ("gray", "bmp", "must end in one of .png, .jpg, .jpeg, .tif, .tiff, .npy"),
        ],
    )
    def test_formats(self, tmp_path, name, end, words):
        with pytest.raises(ValueError, match=words):
            _files.write(tmp_path / f"out.{end}", PICTURES[name][0])
        assert not os.listdir(tmp_path)

    def test_cut_files(self, tmp_path):
        for end in ("png", "tif", "npy"):
            path = tmp_path / f"whole.{end}"
            _files.write(path, PICTURES["gray"][0])
            path.write_bytes(path.read_bytes()[:300])
            with pytest.raises(ValueError, match=f"whole.{end}"):
                _files.read(path)

    def test_what_is_no_picture(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no file '.*nothing.png'"):
            _files.read(tmp_path / "nothing.png")
        path = tmp_path / "text.tif"
        path.write_text("no picture", encoding="utf-8")
        with pytest.raises(ValueError, match="no image can be read from '.*text.tif'"):
            _files.read(path)
        with tifffile.TiffWriter(tmp_path / "mixed.tif") as file:
            file.write(samples("uint8"))
            file.write(samples("uint8")[:5, :5])
        with pytest.raises(ValueError, match="holds 2 images of different kinds"):
            _files.read(tmp_path / "mixed.tif")

    def test_arrays(self, tmp_path):
        archive = tmp_path / "two.npz"
        np.savez(archive, a=np.ones(3), b=np.zeros(2))
        with pytest.raises(ValueError, match=r"holds 2 arrays \('a', 'b'\), not one"):
            _files.load_array(archive)
        assert list(_files.load_arrays(archive)) == ["a", "b"]
        archive.write_bytes(archive.read_bytes()[:-30])
        with pytest.raises(ValueError, match="two.npz' holds no array"):
            _files.load_arrays(archive)
        np.savez(archive, np.ones(4))
        assert _files.load_array(archive).shape == (4,)
        np.save(tmp_path / "words.npy", np.array(["a"]))
        with pytest.raises(ValueError, match="must hold numbers, got dtype <U1"):
            _files.load_array(tmp_path / "words.npy")
        np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
        with pytest.raises(ValueError, match="holds no array"):
            _files.load_array(tmp_path / "objects.npy")

    @pytest.mark.parametrize(
        ("module", "end", "package"),
        [("PIL", "png", "pillow"), ("tifffile", "tif", "tifffile")],
    )
    def test_missing_packages(self, tmp_path, monkeypatch, module, end, package):
        path = tmp_path / f"a.{end}"
        _files.write(path, PICTURES["gray"][0])
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=f"needs {package}: python -m pip instal"):
            _files.read(path)


class TestWhole:
    def test_nothing_is_overwritten(self, tmp_path):
        path = tmp_path / "out.png"
        path.write_text("mine", encoding="utf-8")
        with pytest.raises(FileExistsError, match="exists; --force overwrites it"):
            _files.write(path, PICTURES["gray"][0])
        assert path.read_text(encoding="utf-8") == "mine"
        _files.write(path, PICTURES["gray"][0], force=True)
        np.testing.assert_array_equal(_files.read(path).samples, samples("uint8"))

    def test_what_appears_meanwhile_is_kept(self, tmp_path):
        path = tmp_path / "out"
        with pytest.raises(FileExistsError):
            with _files.written_whole(path) as file:
                file.write(b"late")
                path.write_text("mine", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "mine"
        assert os.listdir(tmp_path) == ["out"]

    def test_an_error_in_the_middle(self, tmp_path):
        path = tmp_path / "out"
        path.write_text("old", encoding="utf-8")
        with pytest.raises(ZeroDivisionError):
            with _files.written_whole(path, force=True) as file:
                file.write(b"half")
                1 / 0
        assert path.read_text(encoding="utf-8") == "old"
        assert os.listdir(tmp_path) == ["out"]

    def test_killed_in_the_middle(self, tmp_path):
        code = (
            "import os, signal\n"
            "from convinv._files import written_whole\n"
            "with written_whole('out.png') as file:\n"
            "    file.write(b'half')\n"
            "    file.flush()\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env)
        assert done.returncode == -signal.SIGKILL
        assert not (tmp_path / "out.png").exists()

    def test_links_and_modes_stay(self, tmp_path):
        target, link = tmp_path / "target", tmp_path / "link"
        target.write_text("old", encoding="utf-8")
        target.chmod(0o640)
        link.symlink_to(target)
        with _files.written_whole(link, force=True) as file:
            file.write(b"new")
        assert link.is_symlink() and target.read_text(encoding="utf-8") == "new"
        assert target.stat().st_mode & 0o777 == 0o640

    def test_no_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no folder '.*nowhere'"):
            _files.write(tmp_path / "nowhere" / "a.png", PICTURES["gray"][0])
        with pytest.raises(IsADirectoryError, match="is a folder"):
            _files.write(tmp_path, PICTURES["gray"][0])
