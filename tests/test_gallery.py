"""Photographs, kernels, noise and named problems."""

import importlib.util
import sys

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
    with pytest.raises(ImportError, match=r"resizing needs scikit-image \(pip"):
        gallery.image(path, size=5)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"images need scikit-image \(pip"):
        gallery.image(path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert gallery.images() == []
    with pytest.raises(ImportError, match=r'scikit-image \(pip .* "convinv\[demo\]"\)'):
        gallery.image("astronaut")
    with pytest.raises(ImportError, match="scikit-learn"):
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
