"""The estimate of the noise, on noise of known size."""

import numpy as np
import pytest

from convinv import gallery
from convinv._regularize.noise import noise_of

SHAPES = [(4000,), (64, 70), (16, 18, 20), (3, 50, 60)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_white_noise(shape, dtype):
    """Per image, also where an axis is too short for the filter."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, *shape)).astype(dtype)
    if dtype == "c16":
        noise += 2j * rng.standard_normal(noise.shape)
    noise *= np.array([1.0, 3.0]).reshape(2, *[1] * len(shape))
    ramps = sum(np.indices(shape))
    wanted = np.array([1.0, 3.0]) * (5**0.5 if dtype == "c16" else 1)
    found = noise_of((noise + ramps).astype(dtype), len(shape))
    np.testing.assert_allclose(found, wanted, rtol=0.08)


@pytest.mark.parametrize("size", [0.01, 0.03])
def test_a_blurred_photograph(size):
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(gallery.image("camera", 128)[0], 1.2)
    noise = size * np.random.default_rng(1).standard_normal(image.shape)
    assert noise_of(image + noise, 2) == pytest.approx(size, rel=0.1)


def test_no_noise():
    assert noise_of(np.outer(np.arange(9.0), np.ones(9)), 2) < 1e-14
    assert noise_of(np.ones((5, 2, 3)), 2).tolist() == [0.0] * 5
