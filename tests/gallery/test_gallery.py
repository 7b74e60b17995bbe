"""Photographs, kernels, noise and named problems."""

import importlib.util
import itertools
import struct
import sys
import zlib

import numpy as np
import pytest

from convinv import gallery, solve

pytest.importorskip("skimage")
Image = pytest.importorskip("PIL.Image")

NAMES = gallery.images()


def test_names():
    assert {"astronaut", "coffee", "chelsea", "rocket", "camera", "moon"} <= set(NAMES)
    installed = importlib.util.find_spec("sklearn") is not None
    assert ("china" in NAMES) == ("flower" in NAMES) == installed


@pytest.mark.parametrize("name", NAMES)
def test_photographs(name):
    x = gallery.image(name)
    assert x.dtype == np.float64 and x.ndim == 3 and x.shape[0] in (1, 3)
    assert min(x.shape[1:]) >= 100
    assert 0 <= x.min() < 0.3 and 0.75 < x.max() <= 1 and x.std() > 0.02
    assert x.flags.c_contiguous


def test_resizing():
    whole = gallery.image("coffee")
    x = gallery.image("coffee", size=50, dtype="float32")
    assert x.shape == (3, 50, 50) and x.dtype == np.float32
    assert 0 <= x.min() and x.max() <= 1
    middle = whole[:, :, 100:500]  # of 400 x 600 pixels
    blocks = middle.reshape(3, 50, 8, 50, 8).mean(axis=(2, 4))
    assert np.corrcoef(blocks.ravel(), x.ravel())[0, 1] > 0.99
    np.testing.assert_array_equal(gallery.image("coffee", size=400), middle)
    assert gallery.image("coffee", size=401).shape == (3, 401, 401)
    last = gallery.image("coffee", size=50, channels_first=False)
    np.testing.assert_allclose(last.transpose(2, 0, 1), x, atol=1e-6)
    assert last.flags.c_contiguous


MODES = {  # of files: the picture that must come back
    "L": lambda a: a[..., :1],
    "LA": lambda a: a[..., :1] * a[..., 1:2] + 1 - a[..., 1:2],
    "RGB": lambda a: a[..., :3],
    "RGBA": lambda a: a[..., :3] * a[..., 3:] + 1 - a[..., 3:],
}


@pytest.mark.parametrize("mode", MODES)
def test_files(tmp_path, mode):
    path = tmp_path / "picture.png"
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, len(mode)), np.uint8)
    Image.fromarray(picture[..., 0] if mode == "L" else picture, mode).save(path)
    x = gallery.image(path)
    assert 0 <= x.min() and x.max() <= 1
    np.testing.assert_array_equal(gallery.image(str(path)), x)
    expected = MODES[mode](picture / 255)
    np.testing.assert_allclose(x, expected.transpose(2, 0, 1), atol=1e-12)


def test_files_of_other_kinds(tmp_path):
    ramp = np.linspace(0, 1, 72).reshape(8, 9)
    deep, shown = tmp_path / "deep.png", np.round(65535 * ramp)
    Image.fromarray(shown.astype(np.uint16)).save(deep)
    np.testing.assert_allclose(gallery.image(deep)[0], shown / 65535)
    real = tmp_path / "real.tif"
    Image.fromarray(ramp.astype(np.float32)).save(real)
    np.testing.assert_allclose(gallery.image(real)[0], ramp, rtol=1e-6)
    bits = tmp_path / "bits.png"
    Image.fromarray(ramp > 0.5).save(bits)
    np.testing.assert_array_equal(gallery.image(bits)[0], ramp > 0.5)
    ink = tmp_path / "ink.tif"
    Image.fromarray(np.full((8, 9, 4), [0, 255, 255, 0], np.uint8), "CMYK").save(ink)
    np.testing.assert_array_equal(gallery.image(ink)[:, 0, 0], [1, 0, 0])
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.fromarray(np.zeros((8, 12), np.uint8)).save(turned, exif=exif)
    assert gallery.image(turned).shape == (1, 12, 8)


def test_bad_images(tmp_path):
    with pytest.raises(ValueError, match="no image file 'nobody'.*astronaut, "):
        gallery.image("nobody")
    path = tmp_path / "text.png"
    path.write_text("no picture", encoding="utf-8")
    with pytest.raises(ValueError, match="no image can be read from .*text.png"):
        gallery.image(path)
    stack = tmp_path / "stack.tif"
    page = Image.fromarray(np.zeros((8, 9), np.uint8))
    page.save(stack, save_all=True, append_images=[page, page])
    with pytest.raises(ValueError, match=r"stack.tif' holds 3 images, not one"):
        gallery.image(stack)
    loud = tmp_path / "loud.tif"
    Image.fromarray(np.full((8, 9), 2, np.float32)).save(loud)
    with pytest.raises(ValueError, match="holds numbers outside the range"):
        gallery.image(loud)
    for size in (0, -3):
        with pytest.raises(ValueError, match=f"size must be positive, got {size}"):
            gallery.image("camera", size=size)
    with pytest.raises(TypeError):
        gallery.image("camera", size=3.5)


def test_missing_packages(monkeypatch, tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(path)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match="of another size needs .* scikit-image"):
        gallery.image(path, size=5)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="image file needs pillow: python -m pip"):
        gallery.image(path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert gallery.images() == []
    with pytest.raises(ImportError, match="comes with scikit-image: python -m pip"):
        gallery.image("astronaut")
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        gallery.image("china")


def test_conv_layer():
    kernel = gallery.conv_layer(3, 200, rng=1)
    bound = 1 / np.sqrt(27)
    assert kernel.shape == (200, 3, 3, 3) and kernel.dtype == np.float64
    assert 0.99 * bound < np.abs(kernel).max() <= bound
    assert abs(kernel.mean()) < 0.05 * bound
    np.testing.assert_array_equal(kernel, gallery.conv_layer(3, 200, rng=1))
    assert gallery.conv_layer(1, 2, (3, 5), dtype="float32").shape == (2, 1, 3, 5)
    assert gallery.conv_layer(1, 2, dtype="float32").dtype == np.float32


def test_conv_layer_is_as_torch_has_it():
    torch = pytest.importorskip("torch")
    weight = torch.nn.Conv2d(4, 500, 5).weight.detach().numpy()
    kernel = gallery.conv_layer(4, 500, 5, rng=0)
    assert weight.shape == kernel.shape
    np.testing.assert_allclose(np.abs(weight).max(), np.abs(kernel).max(), rtol=1e-3)
    np.testing.assert_allclose(weight.std(), kernel.std(), rtol=0.02)


def test_gaussian_kernel():
    kernel = gallery.gaussian_kernel(21, 2.0)
    assert kernel.shape == (21, 21)
    np.testing.assert_allclose(kernel.sum(), 1)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1])
    offset = np.arange(21) - 10
    np.testing.assert_allclose(kernel.sum(axis=0) @ offset**2, 4, rtol=1e-3)
    assert gallery.gaussian_kernel(1, 2.0) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 8, 15])
@pytest.mark.parametrize("seed", range(5))
def test_motion_kernel(size, seed):
    kernel = gallery.motion_kernel(size, seed)
    assert kernel.shape == (size, size) and kernel.min() >= 0
    np.testing.assert_allclose(kernel.sum(), 1)
    np.testing.assert_array_equal(kernel, gallery.motion_kernel(size, seed))
    used = kernel > 0
    lines = used.any(axis=0), used.any(axis=1)
    assert any(line.all() for line in lines), "the path fills the longer extent"
    if size >= 8:
        assert used.mean() < 0.5


def test_noise_follows_every_image():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 40, 40)) * np.array([1, 10]).reshape(2, 1, 1, 1)
    b = np.zeros((2, 8, 38, 38), np.float32)
    noisy = gallery.add_noise(b, 0.1, 3, reference=x)
    assert noisy.dtype == np.float32 and not b.any()
    np.testing.assert_allclose(noisy.std(axis=(1, 2, 3)), [0.1, 1], rtol=0.05)
    again = gallery.add_noise(b, 0.1, 3, reference=x)
    np.testing.assert_array_equal(noisy, again)
    own = gallery.add_noise(x, 0.01, 3) - x
    np.testing.assert_allclose(own.std(axis=(1, 2, 3)), [0.01, 0.1], rtol=0.05)
    np.testing.assert_array_equal(gallery.add_noise(x, 0), x)
    with pytest.raises(ValueError, match="level must not be negative, got -1"):
        gallery.add_noise(x, -1)
    with pytest.raises(ValueError, match="one image for every one in b"):
        gallery.add_noise(b, 0.1, reference=x[0])


@pytest.mark.parametrize("name", gallery.PROBLEMS)
@pytest.mark.parametrize("photograph", ["astronaut", "camera"])
def test_problems(name, photograph):
    op, x, b = gallery.problem(name, photograph=photograph, size=24, dtype="float32")
    assert op.dtype == x.dtype == b.dtype == np.float32
    assert op.input_shape == x.shape and op.output_shape == b.shape
    np.testing.assert_array_equal(b, op.forward(x))
    noisy = gallery.problem(name, photograph=photograph, size=24, noise=0.05)[2] - b
    np.testing.assert_allclose(noisy.std(), 0.05 * x.std(), rtol=0.1)


def test_problems_can_be_solved():
    op, x, b = gallery.problem("layer", size=24)
    assert op.kernel.shape == (8, 3, 3, 3)
    np.testing.assert_allclose(solve(op, b, rtol=1e-10).x, x, atol=1e-6)
    with pytest.raises(ValueError, match="'layer', 'gaussian', 'motion', got 'fog'"):
        gallery.problem("fog")


def png_of_16_bits(path, picture):
    """A PNG file written by hand: Pillow writes none with colors of 16 bits."""
    height, width, channels = picture.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in picture)

    def chunk(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = {b"IHDR": head, b"IDAT": zlib.compress(rows), b"IEND": b""}
    body = b"".join(chunk(*part) for part in parts.items())
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def ramps(channels):
    """512 levels of 16 bits in each channel."""
    ramp = np.arange(512, dtype=np.uint16).reshape(16, 32) * 128 + 5
    parts = [ramp, ramp[::-1], ramp[:, ::-1], ramp[::-1, ::-1]]
    return np.stack(parts[:channels], axis=-1)


class TestSixteenBits:
    """Every level that the file has."""

    @pytest.mark.parametrize(
        ("kind", "channels"),
        [
            *itertools.product(["png", "tiff", "big-endian", "planes"], [1, 3]),
            ("deflate", 1),  # Pillow writes no colors of 16 bits
        ],
    )
    def test_levels(self, tmp_path, kind, channels):
        tifffile = pytest.importorskip("tifffile")
        picture, path = ramps(channels), tmp_path / f"ramp.{kind}"
        shown = picture if channels > 1 else picture[..., 0]
        options = {"photometric": "rgb" if channels > 1 else "minisblack"}
        if kind == "png":
            png_of_16_bits(path, picture)
        elif kind == "planes":
            planes = np.moveaxis(picture, -1, 0)
            planes = planes if channels > 1 else planes[0]
            config = {"planarconfig": "separate"} if channels > 1 else {}
            tifffile.imwrite(path, planes, **options, **config)
        elif kind == "deflate":
            Image.fromarray(shown).save(path, "TIFF", compression="tiff_adobe_deflate")
        else:
            order = ">" if kind == "big-endian" else "<"
            tifffile.imwrite(path, shown, byteorder=order, **options)
        x = gallery.image(path)
        np.testing.assert_allclose(x, np.moveaxis(picture / 65535, -1, 0), atol=1e-12)
        assert np.unique(x[0]).size == 512

    @pytest.mark.parametrize("channels", [2, 4])
    def test_transparency(self, tmp_path, channels):
        picture, path = ramps(channels), tmp_path / "clear.png"
        png_of_16_bits(path, picture)
        wide = picture / 65535
        want = wide[..., :-1] * wide[..., -1:] + 1 - wide[..., -1:]
        np.testing.assert_allclose(
            gallery.image(path), np.moveaxis(want, -1, 0), atol=1e-12
        )

    def test_what_cannot_be_read_in_full_is_refused(self, tmp_path):
        colors = tmp_path / "deep.ppm"
        head = b"P6 32 16 65535\n"
        colors.write_bytes(head + ramps(3).astype(">u2").tobytes())
        with pytest.raises(ValueError, match="more than 8 bits .* in full"):
            gallery.image(colors)

    def test_by_the_command(self, tmp_path, capsys):
        from convinv.cli import main

        path = tmp_path / "ramp.png"
        png_of_16_bits(path, ramps(3))
        arguments = ["demo", "--image", str(path), "--size", "0", "--method", "cgls"]
        arguments += ["--only", "layer"]
        assert main([*arguments, "--output", str(tmp_path / "demo.png")]) == 0
        assert "cgls" in capsys.readouterr().out


class TestGaussians:
    @pytest.mark.parametrize(
        ("size", "sigma", "sizes", "sigmas"),
        [
            (9, (2, 1), (9, 9), (2, 1)),
            ((5, 9), 1.5, (5, 9), (1.5, 1.5)),
            ((5, 8, 9), (0.8, 1.5, 2), (5, 8, 9), (0.8, 1.5, 2)),
            (7, (1.0, 2.0, 3.0), (7, 7, 7), (1, 2, 3)),
            ((6,), 1.0, (6,), (1,)),
            (np.array([4, 3]), np.array([1.0, 2.0]), (4, 3), (1, 2)),
        ],
    )
    def test_axes(self, size, sigma, sizes, sigmas):
        from scipy.signal.windows import gaussian

        want = np.ones(())
        for pixels, width in zip(sizes, sigmas):
            want = np.multiply.outer(want, gaussian(pixels, width))
        got = gallery.gaussian_kernel(size, sigma)
        np.testing.assert_allclose(got, want / want.sum(), rtol=1e-12)

    @pytest.mark.parametrize(
        ("size", "sigma", "error", "words"),
        [
            (9, 0.0, ValueError, "sigma must be positive"),
            (9, (1.0, -1.0), ValueError, "sigma must be positive"),
            (0, 1.0, ValueError, "size must be positive"),
            ((3, 4), (1.0, 2.0, 3.0), ValueError, "one entry per axis"),
            (9.5, 1.0, TypeError, "integer"),
        ],
    )
    def test_errors(self, size, sigma, error, words):
        with pytest.raises(error, match=words):
            gallery.gaussian_kernel(size, sigma)


class TestDiscs:
    @pytest.mark.parametrize("radius", [0.3, 1.0, 2.5, 5.0])
    def test_area(self, radius):
        kernel = gallery.disc_kernel(radius)
        reach = len(kernel) // 2
        fine = (np.arange(-reach * 200 - 100, reach * 200 + 100) + 0.5) / 200
        inside = np.hypot(*np.meshgrid(fine, fine)) < radius
        blocks = inside.reshape(len(kernel), 200, len(kernel), 200).mean(axis=(1, 3))
        np.testing.assert_allclose(
            kernel, blocks / blocks.sum(), atol=2e-3 * kernel.max()
        )
        assert kernel[0].any() and reach == max(int(np.ceil(radius - 0.5)), 0)

    @pytest.mark.parametrize("radius", [0, -1.0, np.inf, np.nan])
    def test_errors(self, radius):
        with pytest.raises(ValueError, match="radius must be positive and finite"):
            gallery.disc_kernel(radius)


class TestLines:
    @pytest.mark.parametrize("length", [1, 3, 15, 4, 7.5])
    def test_axes(self, length):
        kernel = gallery.line_kernel(length)
        edges = np.arange(kernel.shape[1] + 1) - kernel.shape[1] / 2
        want = np.diff(np.clip(edges, -length / 2, length / 2)) / length
        np.testing.assert_allclose(kernel, want[None], atol=1e-12)
        np.testing.assert_allclose(gallery.line_kernel(length, 90), kernel.T, atol=1e-9)

    @pytest.mark.parametrize("angle", [17, 45, 60, 120, 211])
    def test_moments(self, angle):
        """As of a line sampled finely: each point to the nearest pixel."""
        kernel = gallery.line_kernel(12, angle)
        turn, t = np.deg2rad(angle), np.linspace(-6, 6, 100001)
        places = np.rint([-np.sin(turn) * t, np.cos(turn) * t]).astype(int)
        want = np.zeros(kernel.shape)
        np.add.at(want, tuple(places + np.array(kernel.shape)[:, None] // 2), 1)
        np.testing.assert_allclose(kernel, want / want.sum(), atol=1e-4)
        assert kernel[0].any() and kernel[:, 0].any()

    def test_errors(self):
        with pytest.raises(ValueError, match="length must be positive and finite"):
            gallery.line_kernel(0)
        with pytest.raises(ValueError, match="angle must be finite"):
            gallery.line_kernel(3, np.nan)
