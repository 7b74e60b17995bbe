"""What deconvolve() makes of photographs, and of the traps that others fall into."""

import numpy as np
import pytest
from scipy import ndimage

from convinv import ConvLinearOperator, gallery, imaging

PSFS = {
    "gaussian": gallery.gaussian_kernel(13, 1.5),
    "disc": gallery.disc_kernel(5),
    "motion": gallery.line_kernel(15, 30),
}


def psnr(x, truth):
    return -10 * np.log10(np.mean((x - truth) ** 2))


def ssim(x, truth):
    from skimage.metrics import structural_similarity

    return structural_similarity(truth, x, data_range=1)


def blurred(name, psf, noise, side=128, seed=0):
    """``(b, x)`` of a scene that goes on beyond the frame."""
    scene = gallery.image(name).mean(axis=0)
    size = [side + k - 1 for k in psf.shape]
    first = [(n - m) // 2 for n, m in zip(scene.shape, size)]
    scene = scene[tuple(slice(f, f + m) for f, m in zip(first, size))]
    b = imaging.blur(scene, psf, boundary="unknown")
    x = scene[tuple(slice(k // 2, k // 2 + side) for k in psf.shape)]
    return b + noise * np.random.default_rng(seed).standard_normal(b.shape), x


@pytest.mark.parametrize("noise", [0.003, 0.03])
@pytest.mark.parametrize("kind", PSFS)
@pytest.mark.parametrize("name", ["camera", "grass", "moon"])
def test_defaults_improve_the_picture_with_nearly_the_best_strength(name, kind, noise):
    psf = PSFS[kind]
    b, x = blurred(name, psf, noise)
    result = imaging.deconvolve(b, psf, return_result=True)
    assert psnr(result.x, x) > psnr(b, x) + 0.5 and ssim(result.x, x) > ssim(b, x)
    chosen = result.extra["strength"]
    others = [
        psnr(imaging.deconvolve(b, psf, strength=chosen * factor), x)
        for factor in (0.25, 0.5, 2, 4)
    ]
    assert psnr(result.x, x) > max(others) - 0.5
    assert abs(result.extra["noise"] / noise - 1) < 0.3


def test_the_example_of_the_damping_page():
    """The identity makes this picture worse, whatever its weight: 0.128 at best."""
    x = gallery.image("camera", 64)
    psf = gallery.gaussian_kernel(9, 1.5)
    op = ConvLinearOperator(
        psf[None, None], x.shape, padding="same", boundary="reflect"
    )
    b = op.forward(x) + 0.01 * np.random.default_rng(0).standard_normal(op.output_shape)
    found = imaging.deconvolve(b[0], psf, boundary="reflect")

    def error(y):
        return np.linalg.norm(y - x) / np.linalg.norm(x)

    assert error(b) > 0.098
    assert error(found) < 0.078


def test_flat_fields_keep_their_level():
    flat = np.full((48, 48), 1000.0)
    found = imaging.deconvolve(flat, PSFS["disc"], strength=0.5)
    np.testing.assert_allclose(found, 1000.0, rtol=1e-6)
    noisy = flat + np.random.default_rng(1).standard_normal(flat.shape)
    found = imaging.deconvolve(noisy, PSFS["disc"])
    assert np.std(found) < 0.2 and abs(found.mean() - 1000) < 0.1


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_constant_pictures_stay(level):
    found = imaging.deconvolve(np.full((24, 24), level), PSFS["gaussian"])
    np.testing.assert_allclose(found, level, atol=1e-6)


@pytest.mark.parametrize("side", [4, 16])
def test_pictures_smaller_than_the_psf(side):
    b, x = blurred("camera", PSFS["disc"], 0.01, side)
    found = imaging.deconvolve(b, PSFS["disc"])
    assert np.isfinite(found).all() and found.shape == b.shape


def test_masked_arrays_keep_their_mask():
    x = np.random.default_rng(0).random((32, 32))
    psf = gallery.gaussian_kernel(5, 1.0)
    b = imaging.blur(x, psf)
    b[5, 5] = 1e6
    masked = np.ma.masked_array(b, mask=b > 1e5)
    found = imaging.deconvolve(masked, psf, boundary="symmetric", strength=0.05)
    assert abs(found - x).max() < 1.5


def test_large_holes_do_not_change_the_noise():
    b, x = blurred("camera", PSFS["disc"], 0.01, 128)
    options = {"boundary": "symmetric", "return_result": True}
    whole = imaging.deconvolve(b, PSFS["disc"], **options)
    used = np.ones(b.shape, bool)
    used[5:40, 8:50] = False
    found = imaging.deconvolve(b, PSFS["disc"], mask=used, **options)
    assert 0.5 < found.extra["noise"] / whole.extra["noise"] < 1.5


def test_names_of_boundaries_of_other_libraries():
    x = np.random.default_rng(0).random((32, 32))
    psf = gallery.gaussian_kernel(7, 1.0)
    for mode in ("wrap", "nearest", "mirror"):
        b = ndimage.convolve(x, psf, mode=mode)
        np.testing.assert_allclose(imaging.blur(x, psf, boundary=mode), b, rtol=1e-10)
        found = imaging.deconvolve(b, psf, boundary=mode, strength=1e-6, rtol=1e-9)
        assert abs(found - x).max() < 1e-2


def test_a_volume_with_a_psf_longer_than_it():
    rng = np.random.default_rng(2)
    scene = ndimage.gaussian_filter(rng.standard_normal((23, 24, 24)), 2.0) + 1
    psf = gallery.gaussian_kernel((15, 5, 5), (2.5, 1.0, 1.0))
    b = imaging.blur(scene, psf, boundary="unknown")
    x = scene[7:16, 2:-2, 2:-2]
    b = b + 0.002 * rng.standard_normal(b.shape)
    found = imaging.deconvolve(b, psf)
    assert np.linalg.norm(found - x) < 0.9 * np.linalg.norm(b - x)
