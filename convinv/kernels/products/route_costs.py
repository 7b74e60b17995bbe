"""The route of a layer's products: tap by tap, by Winograd's tiles, or by FFT.

The choice depends on sizes alone, never on a clock: the same layer is computed in the
same way everywhere. The costs are models in nanoseconds of one core, fitted to
alternating measurements of two routes (one core of a Xeon with AVX-512). The model of
the FFT is in ``fft_tiles.py``, the others are here. On a grid of 3 to 127 taps along
an axis, images of 24 to 1024, 1 to 16 channels, two and three axes, strides of 1 and 2,
the route that is taken took 1.01 to 1.02 times the faster one on average, in three runs
on a busy machine; 94 to 97 of 100 layers were within 1.1 times; the others are near the
crossover. ``python -m benchmarks.products`` prints both.

Winograd's and the direct route were compared on 32 to 256 channels, images of 3 to 66
(one core of an EPYC with AVX-512): the model's ratio is 0.8 to 1.2 times the measured
one for those that take about as long.
"""

import math

import numpy as np

from ..._core.geometry import Geometry
from .fft_tiles import Torus, choose, real_size

# Nanoseconds, by bytes of a real number: of a multiply-add, and of a sample that is
# read or written; and of a product, whatever its size.
TAP = {4: 0.0148, 8: 0.0275}
SAMPLE = {4: 0.35, 8: 0.7}
CALL = 15e3
VECTOR = 64  # bytes of the vectors of a row's samples that are computed at once
SUMS = 8  # vectors of sums that keep the multipliers busy
FEW = 27  # taps, 3 x 3 x 3, up to which FFTs are never tried
# Winograd's products: channels of a group from which they are tried, nanoseconds of the
# transforms of a tile in a channel, and of the buffers of a product beside its call.
THICK = 32
TILE = {4: 12.0, 8: 24.0}
BUFFERS = 20e3
# A GPU speeds up multiply-adds most, so that FFTs need a larger advantage.
GPU = 4.0


def fft_torus(geometry: Geometry, dtype, taps: int, gpu=False) -> Torus | None:
    """The tori of a layer for products by FFT; None if the direct route is cheaper.

    Parameters
    ----------
    geometry : Geometry
    dtype : dtype
        Of the data.
    taps : int
        Taps of the kernel that are not zero in all channels; real and imaginary parts
        count separately.
    gpu : bool
    """
    if taps <= FEW:
        return None
    torus = choose(geometry, dtype)
    factor = GPU if gpu else 1
    direct = direct_nanoseconds(geometry, dtype, taps)
    return torus if factor * torus.nanoseconds < direct else None


def takes_winograd(geometry: Geometry, kernel) -> bool:
    """Whether a layer's products on the CPU are Winograd's.

    Not where the direct products leave exact zeros that Winograd's would round: where
    padding alone is under a kernel, or a channel has some taps that are zero, so that a
    border may not be seen at all.
    """
    g = geometry
    padding = max(g.before + g.after) if g.boundary == "zero" else 0
    fits = (
        kernel.dtype.kind == "f"
        and g.ndim == 2
        and g.kernel == (1, 3, 3)
        and max(g.stride) == max(g.dilation) == 1
        and padding < 3
        and min(g.c_in, g.c_out) // g.groups >= THICK
    )
    if not fits or winograd_nanoseconds(g, kernel.dtype) >= direct_nanoseconds(
        g, kernel.dtype, 9
    ):
        return False
    taps = kernel.reshape(g.groups, -1, g.c_in // g.groups, 9) != 0
    seen = taps.any(axis=1), taps.any(axis=2)
    return all(bool((some.all(-1) | ~some.any(-1)).all()) for some in seen)


def direct_nanoseconds(geometry: Geometry, dtype, taps: int) -> float:
    """Time of a product with one image tap by tap on one core, mean of both directions.

    Every plane that a plane of the result needs is copied for it; sums over few columns
    and rows wait for each other.
    """
    g, size = geometry, real_size(dtype)
    components = np.dtype(dtype).itemsize // size
    channels = g.c_in // g.groups * g.c_out
    products = channels * math.prod(g.output) * taps * components
    width, lanes = g.output[2] * components, VECTOR // size
    vectors = -(-width // lanes)
    rows = max(g.c_out // g.groups, 4 if g.stride[1] == 1 else 2)
    sums = min(vectors, 4) * min(rows, 8)
    slow = vectors * lanes / width * max(SUMS / sums, 1)
    planes = -(-g.kernel[0] // g.stride[0])
    read = g.kernel[0] * g.output[0] * g.c_in * math.prod(g.input[1:])
    read += planes * g.input[0] * g.c_out * math.prod(g.output[1:])
    written = g.c_in * math.prod(g.input) + g.c_out * math.prod(g.output)
    samples = (read + written) / 2 * components
    return TAP[size] * products * slow + SAMPLE[size] * samples + CALL


def winograd_nanoseconds(geometry: Geometry, dtype) -> float:
    """The same of Winograd's products: 36 multiplications of a vector of tiles.

    Eight images would fill vectors that a small one leaves empty, but the bits of an
    image must not depend on the batch, nor must the route.
    """
    g, size = geometry, real_size(dtype)
    lanes = VECTOR // size
    tiles = math.prod(-(-n // 4) for n in g.output[1:])
    padded = -(-tiles // lanes) * lanes
    slow = 1.25 if padded == lanes else 1
    products = 36 * (g.c_in // g.groups * g.c_out) * padded
    transforms = (g.c_in + g.c_out) * tiles
    return TAP[size] * products * slow + TILE[size] * transforms + CALL + BUFFERS


def count_taps(kernel) -> int:
    """The taps of a kernel ``(c_out, c_in, *k)`` of any library that are not zero."""
    parts = [kernel.real, kernel.imag] if kernel.dtype.kind == "c" else [kernel]
    return sum(int((part != 0).any(axis=(0, 1)).sum()) for part in parts)
