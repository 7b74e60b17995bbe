"""blur() is the convolution of SciPy."""

import numpy as np
import pytest
from scipy import ndimage, signal

from convinv import gallery, imaging

RNG = np.random.default_rng(0)
MODES = {
    "zero": "constant",
    "periodic": "wrap",
    "reflect": "mirror",
    "symmetric": "reflect",
    "replicate": "nearest",
}


@pytest.mark.parametrize("taps", [(3, 4), (5, 1), (2, 2)])
@pytest.mark.parametrize("boundary", MODES)
def test_boundaries(boundary, taps):
    x, psf = RNG.random((9, 8)), RNG.random(taps) + 0.1
    found = imaging.blur(x, psf, boundary=boundary, normalize=False)
    wanted = ndimage.convolve(x, psf, mode=MODES[boundary])
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_default_is_that_of_ndimage_with_a_psf_of_sum_one():
    x, psf = RNG.random((9, 8)), RNG.random((3, 3))
    wanted = ndimage.convolve(x, psf / psf.sum())
    np.testing.assert_allclose(imaging.blur(x, psf), wanted, rtol=1e-12)


def test_unknown_boundary_is_the_valid_part():
    x, psf = RNG.random((9, 8)), RNG.random((3, 4)) + 0.1
    found = imaging.blur(x, psf, boundary="unknown", normalize=False)
    wanted = signal.convolve(x, psf, "valid", method="direct")
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    with pytest.raises(ValueError, match="smaller than psf"):
        imaging.blur(x, np.ones((10, 1)), boundary="unknown")


def test_channels_stacks_and_their_own_psfs():
    x = RNG.random((2, 9, 8, 3))
    psfs = RNG.random((3, 3, 3)) + 0.1
    found = imaging.blur(x, psfs[0], channel_axis=-1)
    wanted = [
        [ndimage.convolve(x[i, ..., c], psfs[0] / psfs[0].sum()) for c in range(3)]
        for i in range(2)
    ]
    np.testing.assert_allclose(found, np.moveaxis(wanted, 1, -1), rtol=1e-12)
    found = imaging.blur(x[0], np.moveaxis(psfs, 0, -1), channel_axis=-1)
    wanted = [ndimage.convolve(x[0, ..., c], psfs[c] / psfs[c].sum()) for c in range(3)]
    np.testing.assert_allclose(found, np.moveaxis(wanted, 0, -1), rtol=1e-12)


def test_integers_become_fractions():
    x = RNG.integers(0, 255, (9, 8)).astype(np.uint8)
    psf = gallery.gaussian_kernel(3, 1.0)
    wanted = ndimage.convolve(x / 255, psf)
    np.testing.assert_allclose(imaging.blur(x, psf), wanted, rtol=1e-12)
    found = imaging.blur(x, psf, preserve_range=True)
    np.testing.assert_allclose(found, 255 * wanted, rtol=1e-12)


def test_pictures_with_gaps_are_refused():
    x = RNG.random((9, 8))
    x[3, 3] = np.nan
    with pytest.raises(ValueError, match="without a value"):
        imaging.blur(x, np.ones((3, 3)))
