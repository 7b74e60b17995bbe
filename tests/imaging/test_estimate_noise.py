"""estimate_noise() finds the noise of photographs."""

import numpy as np
import pytest

from convinv import gallery, imaging


@pytest.mark.parametrize("level", [0.003, 0.03])
@pytest.mark.parametrize("known", [False, True])
def test_noise_of_blurred_photographs(level, known):
    sharp = np.moveaxis(gallery.image("astronaut", 200), 0, -1)
    psf = gallery.gaussian_kernel(11, 1.5)
    b = imaging.blur(sharp, psf, channel_axis=-1)
    b += level * np.random.default_rng(0).standard_normal(b.shape)
    found = imaging.estimate_noise(b, psf if known else None, channel_axis=-1)
    assert abs(found / level - 1) < 0.1


def test_noise_of_a_sharp_texture_needs_the_psf():
    sharp = gallery.image("camera")[0, 100:356, 100:356]
    psf = np.zeros((15, 15))
    psf[7] = 1 / 15
    b = imaging.blur(sharp, psf)
    b += 0.003 * np.random.default_rng(1).standard_normal(b.shape)
    assert abs(imaging.estimate_noise(b, psf) / 0.003 - 1) < 0.1


def test_stacks_in_three_axes_and_integers():
    rng = np.random.default_rng(2)
    stack = 1000 + 50 * rng.standard_normal((20, 30, 30))
    found = imaging.estimate_noise(stack.astype(np.uint16), preserve_range=True)
    assert abs(found / 50 - 1) < 0.05
    found = imaging.estimate_noise(stack.astype(np.uint16))
    assert abs(found * 65535 / 50 - 1) < 0.05


def test_four_axes_are_refused():
    with pytest.raises(ValueError, match="one to three axes"):
        imaging.estimate_noise(np.zeros((3, 3, 3, 3)))
