"""Convolution operators of other libraries, each made by a function without arguments.

The kernel has no symmetry, and the image no two axes of one length.
"""

from __future__ import annotations

import importlib

import numpy as np

SIZE = (12, 15)
RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((3, 5))
EVEN = RNG.standard_normal((4, 2))
CHANNELS = RNG.standard_normal((4, 2, 3, 3))
PHYSICS = {"input_shape": (1, *SIZE)}
PADDINGS = ("valid", "circular", "replicate", "reflect", "constant")


def pylops():
    """``(name, operator, arguments of check_operator)``, one row after the other."""
    found = importlib.import_module("pylops.signalprocessing")
    taps, middle = KERNEL[0], (1, 2)
    for method in ("direct", "fft"):
        yield f"Convolve1D, {method}", found.Convolve1D(40, taps, 2, method=method), {}
    yield "Convolve2D", found.Convolve2D(SIZE, KERNEL, middle), {}
    yield "Convolve2D, 4x2", found.Convolve2D(SIZE, EVEN, (2, 0)), {}
    cube = RNG.standard_normal((3, 3, 3))
    yield "ConvolveND", found.ConvolveND((7, 8, 9), cube, (1, 1, 1)), {"spatial": 3}
    filters = np.stack([taps, 2 * taps[::-1]])
    varying = found.NonStationaryConvolve1D(40, filters, (10, 30))
    yield "NonStationaryConvolve1D", varying, {}


def sigpy():
    linop = importlib.import_module("sigpy").linop
    for mode in ("full", "valid"):
        yield f"ConvolveData, {mode}", linop.ConvolveData(SIZE, KERNEL, mode), {}
        yield f"ConvolveData, {mode}, 4x2", linop.ConvolveData(SIZE, EVEN, mode), {}
    many = {"multi_channel": True}
    shape = (2, *SIZE)
    yield "ConvolveData, channels", linop.ConvolveData(shape, CHANNELS, **many), {}
    strided = linop.ConvolveData(shape, CHANNELS, "valid", (2, 2), **many)
    yield "ConvolveData, stride 2", strided, {}
    image = RNG.standard_normal(SIZE)
    yield "ConvolveFilter, full", linop.ConvolveFilter((3, 5), image), {}
    yield "FFT", linop.FFT(SIZE), {}


def deepinv():
    torch = importlib.import_module("torch")
    physics = importlib.import_module("deepinv").physics
    psf = torch.from_numpy(KERNEL.astype("float32"))[None, None]
    for padding in PADDINGS:
        yield f"Blur, {padding}", physics.Blur(psf, padding=padding), PHYSICS
    for size in ((4, 4), (2, 2), (1, 5)):
        few = torch.from_numpy(RNG.random((1, 1, *size)).astype("float32"))
        for padding in ("circular", "replicate", "reflect"):
            name = f"Blur, {padding}, {size[0]}x{size[1]}"
            yield name, physics.Blur(few, padding=padding), PHYSICS
    yield "BlurFFT", physics.BlurFFT((1, *SIZE), psf), PHYSICS
    for padding in PADDINGS:
        down = physics.Downsampling(
            img_size=(1, 12, 16), filter=psf, factor=2, padding=padding
        )
        yield f"Downsampling, {padding}", down, {"input_shape": (1, 12, 16)}


LIBRARIES = {"pylops": pylops, "sigpy": sigpy, "deepinv": deepinv}
