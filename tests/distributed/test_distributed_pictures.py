"""deconvolve() of pictures in arrays of Dask, against the same ones in memory."""

import numpy as np
import pytest

from convinv import gallery, imaging

da = pytest.importorskip("dask.array")

PSF = gallery.gaussian_kernel(7, 1.2)
MODES = ["unknown", "zero", "periodic", "symmetric"]


def picture(shape=(90, 80), dtype="float64"):
    image = imaging.blur(gallery.image("camera", 128)[0], PSF)
    image = image[: shape[-2], : shape[-1]]
    noise = 0.02 * np.random.default_rng(0).standard_normal(shape)
    image = (image + noise).clip(0, 1)
    return (255 * image).astype(dtype) if dtype == "uint8" else image.astype(dtype)


def close(found, wanted, tolerance=1e-9):
    assert isinstance(found, da.Array)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    far = np.linalg.norm(found.compute() - wanted)
    assert far <= tolerance * np.linalg.norm(wanted)


@pytest.mark.parametrize("boundary", MODES)
@pytest.mark.parametrize("chunks", [(40, 33), (90, 80)])
def test_pictures_in_chunks(boundary, chunks):
    image = picture()
    options = {"boundary": boundary, "strength": 0.4, "rtol": 1e-12}
    found = imaging.deconvolve(da.from_array(image, chunks), PSF, **options)
    close(found, imaging.deconvolve(image, PSF, **options))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_automatic_strength(dtype):
    image = picture(dtype=dtype)
    found = imaging.deconvolve(da.from_array(image, (50, 50)), PSF, return_result=True)
    wanted = imaging.deconvolve(image, PSF, return_result=True)
    assert found.success
    for name in ("strength", "noise"):
        np.testing.assert_allclose(found.extra[name], wanted.extra[name], rtol=1e-5)
    close(found.x, wanted.x, 3e-3)


def test_colors_into_an_array():
    image = np.moveaxis(picture((3, 90, 80)), 0, -1)
    options = {"channel_axis": -1, "strength": 0.4, "rtol": 1e-12}
    out, wanted = np.zeros(image.shape), imaging.deconvolve(image, PSF, **options)
    cut = da.from_array(image, (40, 40, 3))
    close(imaging.deconvolve(cut, PSF, **options), wanted)
    assert imaging.deconvolve(cut, PSF, out=out, **options) is out
    np.testing.assert_allclose(out, wanted, atol=1e-9)


def test_masks_need_memory():
    image = da.from_array(picture(), (40, 40))
    with pytest.raises(ValueError, match=r"mask needs an image in memory"):
        imaging.deconvolve(image, PSF, mask=np.ones(image.shape, bool))
