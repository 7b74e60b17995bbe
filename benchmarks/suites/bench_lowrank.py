"""Singular value thresholding of stacks, its gradient, and what solves with it."""

import numpy as np

from benchmarks.support.devices import BACKENDS, library, synchronize
from benchmarks.support.layers import DTYPES
from benchmarks.support.measure import interleaved
from benchmarks.support.quality import relative_error
from benchmarks.support.versions import optional

svt, svt_vjp = optional("convinv.lowrank", "svt", "svt_vjp")
MaskOperator = optional("convinv.operators", "MaskOperator")
proximal = optional("convinv.proximal")

# thresholds as parts of the norm of a 32 x 32 Gaussian matrix, about 11: that of the
# unrolled network, one that keeps most, and one too small for the squared problem
PARTS = (0.12, 0.5, 0.01)
NORM = 11.0


def stack(dtype, count=512, size=32, xp=np):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((count, size, size))
    if np.dtype(dtype).kind == "c":
        a = a + 1j * rng.standard_normal(a.shape)
    return xp.asarray(a.astype(dtype))


def loop(a, tau):
    """One matrix after the other."""
    result = np.empty_like(a)
    for i, matrix in enumerate(a):
        u, s, vh = np.linalg.svd(matrix, full_matrices=False)
        result[i] = (u * np.maximum(s - s.dtype.type(tau), 0)) @ vh
    return result


class Threshold:
    params = (PARTS, (*DTYPES, "complex128"), BACKENDS)
    param_names = ("part", "dtype", "backend")

    def setup(self, part, dtype, backend):
        self.xp = library(backend)
        self.a, self.tau = stack(dtype, xp=self.xp), part * NORM
        self.time_svt(part, dtype, backend)
        self.time_gradient(part, dtype, backend)

    def time_svt(self, part, dtype, backend):
        svt(self.a, self.tau)
        synchronize(self.xp)

    def time_gradient(self, part, dtype, backend):
        svt_vjp(self.a, self.tau, self.a)
        synchronize(self.xp)


class AgainstLoop:
    """Time of `svt` divided by that of the loop of numpy.linalg.svd."""

    params = (PARTS, (*DTYPES, "complex128"))
    param_names = ("part", "dtype")
    unit = "times the loop's time"

    def track_ratio_loop(self, part, dtype):
        a, tau = stack(dtype), part * NORM
        calls = {"loop": lambda: loop(a, tau), "svt": lambda: svt(a, tau)}
        times = interleaved(calls, seconds=0.5)
        return times["svt"].over(times["loop"])[0]


class Priors:
    params = (("isotropic", "anisotropic"),)
    param_names = ("variation",)

    def setup(self, variation):
        self.x = np.random.default_rng(0).standard_normal((256, 256))

    def time_total_variation(self, variation):
        isotropic = variation == "isotropic"
        proximal.prox_total_variation(self.x, 0.3, isotropic=isotropic, rtol=1e-3)


class Completion:
    """A tensor of tubal rank 3 from half of its entries."""

    def setup(self):
        rng = np.random.default_rng(0)
        p, q = (
            np.fft.fft(rng.standard_normal(shape)) for shape in ((40, 3, 8), (3, 40, 8))
        )
        x = np.fft.ifft(np.einsum("irk,rjk->ijk", p, q)).real
        mask = rng.random(x.shape) < 0.5
        self.x, self.op, self.b = x, MaskOperator(mask), x[mask]

    def run(self):
        return proximal.admm(
            self.op, self.b, proximal.TensorNuclearNorm(), data="hard", rtol=1e-10
        )

    def time_admm(self):
        self.run()

    def track_error(self):
        return relative_error(self.run().x, self.x)

    def track_iterations(self):
        return self.run().nit
