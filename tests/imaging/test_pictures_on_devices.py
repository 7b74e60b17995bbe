"""deconvolve() of pictures on a device gives what it gives on the host."""

import numpy as np
import pytest

from convinv import imaging

CASES = {
    "frame": {"boundary": "zero", "strength": 0.2},
    "torus": {"boundary": "periodic"},
    "mirror": {"boundary": "reflect", "bounds": (0, 1), "strength": 0.1},
    "unknown": {"boundary": "unknown", "strength": 0.2},
    "coarse": {"boundary": "unknown", "strength": 0.2, "stride": 2},
    "total variation": {"boundary": "zero", "regularizer": "tv", "strength": 0.01},
    "counts": {"boundary": "unknown", "model": "poisson", "strength": 0.1},
}


@pytest.mark.parametrize("case", CASES)
def test_device_equals_host(cupy, case):
    rng = np.random.default_rng(0)
    psf, image = rng.random((3, 4)) + 0.1, rng.random((12, 10))
    rtol = 1e-5 if CASES[case].get("regularizer") == "tv" else 1e-8
    options = {"rtol": rtol, **CASES[case]}
    expected = imaging.deconvolve(image, psf, **options)
    found = imaging.deconvolve(cupy.asarray(image), cupy.asarray(psf), **options)
    assert isinstance(found, cupy.ndarray) and found.dtype == expected.dtype
    np.testing.assert_allclose(found.get(), expected, atol=1e-5)


def test_colors(cupy):
    image = np.random.default_rng(1).random((11, 9, 3))
    psf = np.full((3, 3), 1 / 9)
    options = {"channel_axis": -1, "strength": 0.1, "rtol": 1e-8}
    expected = imaging.deconvolve(image, psf, **options)
    found = imaging.deconvolve(cupy.asarray(image), cupy.asarray(psf), **options)
    np.testing.assert_allclose(found.get(), expected, atol=1e-6)
