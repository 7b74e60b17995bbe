"""What ``python -m benchmarks.dashboard`` follows over many commits: few and short.

Most narrow a class of another suite to one or two of its parameters. All ratios are
convinv's time over the peer's, so that a larger one is worse.
"""

import numpy as np
from scipy import fft, signal
from scipy.sparse.linalg import splu

from benchmarks.support import tracked
from benchmarks.support.problems import problem
from benchmarks.support.quiet import quietly
from benchmarks.support.versions import require_method
from convinv import ConvLinearOperator

from . import (
    bench_exact,
    bench_imaging,
    bench_import,
    bench_kernels,
    bench_operator,
    bench_radon,
    bench_solve,
)

RTOL = 1e-6


class Import(tracked.Tracked, bench_import.Import):
    repeat = (3, 5, 4.0)
    timeraw_import_over_scipy = None


class Products(tracked.Tracked, bench_kernels.Products):
    params = (("thin", "strided"), ("float32",), ("numpy",))


class Overhead(tracked.Tracked, bench_operator.Overhead):
    params = (("numpy",),)
    time_rmatvec = None


class Exact(tracked.Tracked, bench_exact.Time):
    """The exact inverses and the default, and `cgls` to the same tolerance."""

    params = (("auto", "direct", "schwarz", "cgls"), ("layer 64",), ("numpy",))


class Memory(tracked.Tracked, bench_exact.Memory):
    params = (("auto", "direct", "schwarz", "cgls"), ("layer 64",), ("numpy",))
    track_nbytes = None


class Krylov(tracked.Tracked, bench_solve.AgainstSciPy):
    params = (("gmres", "lsmr"), (64,))


class Deconvolution(tracked.Tracked, bench_imaging.Deconvolve):
    params = ("Gaussian", "motion")


class Radon(tracked.Tracked, bench_radon.AgainstSkimage):
    params = ((128,), ("float64",), ("forward", "adjoint"))


class Convolution(tracked.Beside):
    """A product with a PSF of one channel beside ``scipy.signal.fftconvolve``."""

    params = (11, 31)
    param_names = ("taps",)
    unit = "times fftconvolve's time"

    def pair(self, taps):
        rng = np.random.default_rng(0)
        psf, x = rng.random((taps, taps)), rng.random((256, 256))
        op = ConvLinearOperator(psf[None, None], (1, *x.shape))
        image, flipped = x[None], psf[::-1, ::-1]

        def theirs():
            signal.fftconvolve(x, flipped, "valid")

        return lambda: op.forward(image), theirs


class Sparse(tracked.Beside):
    """A new layer and one image beside SuperLU on the normal equations."""

    params = ("layer", "blur")
    param_names = ("problem",)
    unit = "times splu's time"

    def pair(self, name):
        op, _, b = problem(name, 32, "float64")
        A, data = op.tosparse().tocsc(), b.ravel()

        def ours():
            fresh = ConvLinearOperator(op.kernel, op.input_shape, **self.padding(name))
            quietly(fresh, b, "auto", rtol=RTOL)

        def theirs():
            splu((A.T @ A).tocsc()).solve(A.T @ data)

        return ours, theirs

    def padding(self, name):
        return {"padding": "same" if name == "blur" else 0}


class Fourier(tracked.Beside):
    """A damped blur with periodic boundaries beside a division of transforms."""

    params = (64, 256)
    param_names = ("size",)
    unit = "times the division's time"

    def pair(self, size):
        require_method("spectral")
        rng, damp = np.random.default_rng(0), 0.1
        psf, b = rng.random((9, 9)) / 81, rng.random((size, size))
        op = ConvLinearOperator(
            psf[None, None], (1, size, size), padding="same", boundary="periodic"
        )
        first = np.roll(np.pad(psf[::-1, ::-1], (0, size - 9)), (-4, -4), (0, 1))
        symbol, image = fft.rfft2(first), b[None]

        def theirs():
            weight = symbol.conj() / (abs(symbol) ** 2 + damp**2)
            fft.irfft2(weight * fft.rfft2(b), b.shape)

        return lambda: quietly(op, image, "spectral", damp=damp, rtol=RTOL), theirs
