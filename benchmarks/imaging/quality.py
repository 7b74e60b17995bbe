"""PSNR and SSIM of one case: as it came, ours, and scikit-image's best."""

import time

import numpy as np
from skimage import metrics, restoration

from convinv import imaging

BALANCES = np.geomspace(1e-4, 1e2, 25)  # of `wiener`
COUNTS = (1, 2, 5, 10, 20, 50, 100, 200)  # iterations of `richardson_lucy`
STRENGTHS = 2.0 ** np.arange(-4, 4.5, 0.5)  # over the automatic one
OURS, BLURRED = "deconvolve", "blurred"
FLAT_ONLY = ("unsupervised_wiener",)  # which takes no stacks
RIVALS = ("wiener", "unsupervised_wiener", "richardson_lucy")


def measure(case):
    """A row of the table, a dict that JSON can hold."""
    b, x, psf = case.data()
    start = time.perf_counter()
    result = imaging.deconvolve(b, psf, return_result=True)
    seconds = time.perf_counter() - start
    automatic = result.extra["strength"]
    found = {BLURRED: (b, None), OURS: (result.x, automatic)}
    for name in RIVALS:
        if name in FLAT_ONLY and b.ndim > 2:
            continue
        found[name] = best(RUNS[name](b, psf), x)
    tried = [imaging.deconvolve(b, psf, strength=s * automatic) for s in STRENGTHS]
    levels = [psnr(picture, x) for picture in tried]
    return {
        "case": str(case),
        "psnr": {name: psnr(picture, x) for name, (picture, _) in found.items()},
        "ssim": {name: ssim(picture, x) for name, (picture, _) in found.items()},
        "setting": {name: setting for name, (_, setting) in found.items()},
        "best strength": automatic * float(STRENGTHS[np.argmax(levels)]),
        "best": max(levels),
        "noise": result.extra["noise"] / case.noise,
        "method": result.method,
        "nit": result.nit,
        "seconds": seconds,
    }


def best(runs, x):
    """The picture nearest to the scene, and its setting."""
    return max(runs, key=lambda run: psnr(run[0], x))


def _wiener(b, psf):
    for balance in BALANCES:
        picture = restoration.wiener(b, psf, balance, clip=False)
        yield picture, float(balance)


def _unsupervised_wiener(b, psf):
    yield restoration.unsupervised_wiener(b, psf, clip=False, rng=0)[0], None


def _richardson_lucy(b, psf):
    positive = np.maximum(b, 1e-6)
    for count in COUNTS:
        yield restoration.richardson_lucy(positive, psf, count, clip=False), count


RUNS = {
    "wiener": _wiener,
    "unsupervised_wiener": _unsupervised_wiener,
    "richardson_lucy": _richardson_lucy,
}


def psnr(picture, x):
    """Decibels, of a peak of 1."""
    return float(metrics.peak_signal_noise_ratio(x, picture, data_range=1))


def ssim(picture, x):
    return float(metrics.structural_similarity(x, np.asarray(picture), data_range=1))
