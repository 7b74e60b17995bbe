"""estimate_psf() and match_psf() find the kernel."""

import numpy as np
import pytest
from scipy import ndimage, signal

from convinv import gallery, imaging


def largest(found, wanted):
    return abs(found - wanted).max() / wanted.max()


@pytest.mark.parametrize("taps", [(5, 5), (4, 7)])
def test_psf_of_a_pair_without_noise(taps):
    rng = np.random.default_rng(0)
    sharp, psf = rng.random((40, 36)), rng.random(taps)
    found = imaging.estimate_psf(sharp, ndimage.convolve(sharp, psf), taps)
    assert largest(found, psf) < 1e-5


def test_psf_is_the_minimizer():
    rng = np.random.default_rng(1)
    before, after = rng.random((2, 14, 12))
    size, strength, rows = 3, 0.7, []
    for unit in np.eye(9).reshape(9, 3, 3):
        rows.append(signal.convolve(before, unit, "valid", method="direct").ravel())
    matrix = np.stack(rows, axis=1)
    rough = []
    for unit in np.eye(9).reshape(9, 3, 3):
        framed = np.pad(unit, 1)
        rough.append(np.concatenate([np.diff(framed, axis=a).ravel() for a in (0, 1)]))
    rough = np.stack(rough, axis=1)
    normal = matrix.T @ matrix + strength**2 * rough.T @ rough
    wanted = np.linalg.solve(normal, matrix.T @ after[1:-1, 1:-1].ravel())
    found = imaging.estimate_psf(before, after, size, strength)
    np.testing.assert_allclose(found.ravel(), wanted, rtol=1e-9)


@pytest.mark.parametrize("noise, most", [(0.001, 0.05), (0.01, 0.2)])
def test_automatic_strength_with_noise(noise, most):
    sharp = gallery.image("camera", 160)[0]
    psf = gallery.motion_kernel(11, rng=1)
    rng = np.random.default_rng(2)
    b = imaging.blur(sharp, psf) + noise * rng.standard_normal(sharp.shape)
    found = imaging.estimate_psf(sharp, b, 15)

    def error(psf_found):
        return np.linalg.norm(psf_found[2:-2, 2:-2] - psf) / np.linalg.norm(psf)

    least = min(
        error(imaging.estimate_psf(sharp, b, 15, s)) for s in np.geomspace(1e-2, 1e2, 9)
    )
    assert error(found) < 1.2 * least + 1e-6
    assert least < most


def test_colors_have_one_psf():
    sharp = np.moveaxis(gallery.image("astronaut", 64), 0, -1)
    psf = gallery.motion_kernel(5, rng=3)
    b = imaging.blur(sharp, psf, channel_axis=-1)
    found = imaging.estimate_psf(sharp, b, 5, channel_axis=-1)
    assert largest(found, psf) < 1e-3


def test_three_axes():
    rng = np.random.default_rng(4)
    sharp, psf = rng.random((12, 14, 16)), rng.random((3, 2, 3))
    found = imaging.estimate_psf(sharp, ndimage.convolve(sharp, psf), psf.shape)
    assert largest(found, psf) < 1e-5


@pytest.mark.parametrize("sizes", [((25, 25), (25, 25)), ((21, 20), (30, 31))])
def test_match_of_gaussians(sizes):
    a, b = (
        np.exp(
            -0.5
            * sum((g - n // 2) ** 2 for g, n in zip(np.ogrid[: s[0], : s[1]], s))
            / sigma**2
        )
        for s, sigma in zip(sizes, (1.5, 2.5))
    )
    a, b = a / a.sum(), b / b.sum()
    kernel = imaging.match_psf(a, b)
    wide = np.zeros((61, 61))
    corner = [30 - n // 2 for n in a.shape]
    wide[tuple(slice(c, c + n) for c, n in zip(corner, a.shape))] = a
    turned = ndimage.convolve(wide, kernel, mode="constant")
    corner = [30 - n // 2 for n in b.shape]
    turned = turned[tuple(slice(c, c + n) for c, n in zip(corner, b.shape))]
    assert largest(turned, b) < 1e-3
    assert abs(kernel.sum() - 1) < 1e-2


def test_match_with_noise_is_near_the_kernel():
    a, b = gallery.gaussian_kernel(25, 1.5), gallery.gaussian_kernel(25, 2.5)
    rng = np.random.default_rng(5)
    noisy = b + 1e-3 * b.max() * rng.standard_normal(b.shape)
    kernel = imaging.match_psf(a, noisy)
    assert largest(kernel, gallery.gaussian_kernel(25, 2.0)) < 0.05


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((np.zeros((9, 9)), np.zeros((9, 8)), 3), "same shape"),
        ((np.zeros((9, 9)), np.zeros((9, 9)), 10), "must not exceed"),
        ((np.zeros((9, 9)), np.zeros((9, 9)), (3, 3, 3)), "size must be an integer"),
        ((np.zeros((9, 9)), np.zeros((9, 9)), 0), "size must be at least 1"),
        ((np.zeros((99, 99)), np.zeros((99, 99)), 90), "at most 5000 pixels"),
        ((np.zeros((9, 9)), np.zeros((9, 9)), 3, "lcurve"), "strength must be one of"),
    ],
)
def test_errors_name_the_argument(arguments, text):
    with pytest.raises((TypeError, ValueError), match=text):
        imaging.estimate_psf(*arguments)


def test_match_needs_as_many_axes():
    with pytest.raises(ValueError, match="same number of axes"):
        imaging.match_psf(np.ones(3), np.ones((3, 3)))
