"""Total variation, counts and bounds in deconvolve()."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery, imaging, solve
from convinv.proximal import Box, TotalVariation, minimize

PSF = gallery.disc_kernel(2.5)


def psnr(x, truth):
    return -10 * np.log10(np.mean((x - truth) ** 2))


def blurred(side=96, noise=0.01, psf=PSF):
    """``(b, x)`` of a part of a photograph that goes on beyond the frame."""
    reach = psf.shape[0] // 2
    scene = gallery.image("camera")[0, 60 : 60 + side + 2 * reach]
    scene = scene[:, 200 : 200 + side + 2 * reach]
    b = imaging.blur(scene, psf, boundary="unknown")
    rng = np.random.default_rng(0)
    return b + noise * rng.standard_normal(b.shape), scene[reach:-reach, reach:-reach]


def operator(b, psf=PSF):
    size = [n + k - 1 for n, k in zip(b.shape, psf.shape)]
    op = ConvLinearOperator(psf[None, None], (1, *size), flip=True)
    return op, tuple(slice(k // 2, k // 2 + n) for n, k in zip(b.shape, psf.shape))


@pytest.mark.parametrize("bounds", [None, (0.1, 0.8)])
def test_total_variation_is_that_of_minimize(bounds):
    b, _ = blurred(32)
    op, frame = operator(b)
    priors = [TotalVariation(2e-3)] + ([Box(*bounds)] if bounds else [])
    wanted = minimize(op, b[None], priors, rtol=1e-6).x[0][frame]
    found = imaging.deconvolve(
        b, PSF, regularizer="tv", strength=2e-3, bounds=bounds, rtol=1e-6
    )
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_automatic_total_variation_is_nearly_the_best():
    b, x = blurred()
    result = imaging.deconvolve(b, PSF, regularizer="tv", return_result=True)
    chosen = result.extra["strength"]
    assert f"strength {chosen:.3g}" in result.message
    assert abs(result.extra["noise"] / 0.01 - 1) < 0.2
    others = [
        psnr(imaging.deconvolve(b, PSF, regularizer="tv", strength=chosen * f), x)
        for f in (0.25, 0.5, 2, 4)
    ]
    assert psnr(result.x, x) > max(max(others) - 0.5, psnr(b, x) + 1)


def test_total_variation_of_colors_and_of_masked_pictures():
    b, x = blurred(48)
    colors = np.stack([b, b[::-1]], axis=-1)
    found = imaging.deconvolve(
        colors, PSF, regularizer="tv", strength=1e-3, channel_axis=-1
    )
    one = imaging.deconvolve(b, PSF, regularizer="tv", strength=1e-3)
    np.testing.assert_allclose(found[..., 0], one, atol=0.02)
    used = np.random.default_rng(1).random(b.shape) > 0.1
    found = imaging.deconvolve(
        np.where(used, b, np.nan), PSF, regularizer="tv", strength=1e-3
    )
    assert psnr(found, x) > psnr(one, x) - 1
    with pytest.raises(ValueError, match="the same for all channels"):
        imaging.deconvolve(
            colors,
            PSF,
            regularizer="tv",
            channel_axis=-1,
            mask=np.stack([used, ~used], axis=-1),
        )


def test_counts_are_those_of_richardson_lucy():
    rng = np.random.default_rng(2)
    b, _ = blurred(40)
    counts = rng.poisson(300 * b)
    op, frame = operator(b)
    for strength in (0.0, 0.01):
        wanted = solve(
            op,
            counts[None].astype(float),
            "richardson-lucy",
            tv=strength,
            stopping="change",
            rtol=1e-3,
        )
        found = imaging.deconvolve(
            counts.astype(float), PSF, model="poisson", strength=strength
        )
        np.testing.assert_allclose(found, wanted.x[0][frame], rtol=1e-9)


@pytest.mark.parametrize("photons", [50, 2000])
def test_automatic_counts_improve_the_picture_in_every_unit(photons):
    rng = np.random.default_rng(3)
    b, x = blurred(96, noise=0.0)
    counts = rng.poisson(photons * b).astype(np.uint16)
    kept = imaging.deconvolve(
        counts, PSF, model="poisson", preserve_range=True, return_result=True
    )
    assert psnr(kept.x / photons, x) > psnr(counts / photons, x) + 1
    assert kept.x.min() >= 0
    mean = counts.mean()
    assert 0.4 < kept.extra["strength"] * mean < 2.5  # one over the mean count
    scaled = imaging.deconvolve(counts, PSF, model="poisson")
    np.testing.assert_allclose(65535 * scaled, kept.x, rtol=1e-3, atol=1e-3 * mean)


def test_bounds_are_those_of_solve():
    b, x = blurred(32)
    op, frame = operator(b)
    wanted = solve(
        op, b[None], damp=0.05, regularizer="gradient", bounds=(0.2, None), rtol=1e-9
    )
    found = imaging.deconvolve(b, PSF, strength=0.05, bounds=(0.2, None), rtol=1e-9)
    np.testing.assert_allclose(found, wanted.x[0][frame], atol=1e-5)
    assert found.min() >= 0.2 - 1e-12


@pytest.mark.parametrize(
    "options, text",
    [
        ({"model": "poisson", "regularizer": "gradient"}, "must be 'tv' with model"),
        ({"model": "poisson", "bounds": (0, 1)}, "bounds must be None or"),
        ({"model": "poisson", "method": "cgls"}, "method must be one of"),
        ({"model": "binomial"}, "model must be one of"),
        ({"bounds": 3}, "bounds must be a pair"),
        ({"regularizer": "tv", "max_memory": "1MB"}, "max_memory does not go"),
        ({"image": np.full((9, 9), -1.0), "model": "poisson"}, "must not be negative"),
    ],
)
def test_errors_name_the_argument(options, text):
    given = {"image": np.ones((9, 9)), **options}
    with pytest.raises((TypeError, ValueError), match=text):
        imaging.deconvolve(given.pop("image"), PSF, **given)


@pytest.mark.parametrize("model", ["gaussian", "poisson"])
def test_black_pictures_stay_black(model):
    found = imaging.deconvolve(np.zeros((24, 24)), PSF, model=model)
    np.testing.assert_allclose(found, 0, atol=1e-12)
