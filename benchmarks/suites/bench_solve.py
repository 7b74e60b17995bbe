"""Every method on every problem it takes, and the same methods of SciPy beside it."""

import math

import numpy as np
from scipy.sparse import linalg

from benchmarks.support.devices import BACKENDS, library, skip, synchronize
from benchmarks.support.iteration import iteration
from benchmarks.support.layers import DTYPES, Layer
from benchmarks.support.measure import interleaved
from benchmarks.support.problems import PROBLEMS, problem
from benchmarks.support.quality import psnr
from benchmarks.support.quiet import quietly
from benchmarks.support.versions import method_names, optional, traits

METHODS = method_names()
strip_plan = optional("convinv.strips", "strip_plan")
RTOL, MAXITER = 1e-5, 200
FEW = 20  # iterations of methods that take rows: sweeps, which cost more
MOST_DECIBELS = 320.0  # asv keeps finite numbers only
STRIP_ENTRIES = 2**22  # of a strip's matrix; larger ones are left to longer runs


def refuse(method, name, op):
    """Skip problems that a method does not take."""
    if method.hermitian and name != "blur":
        skip("needs a Hermitian operator")
    if method.square and op.shape[0] != op.shape[1]:
        skip("needs a square operator")
    if not method.takes(op):
        skip("the method does not take this layer")
    if method.rate == "blocks" and math.prod(strip_plan(op).shape) > STRIP_ENTRIES:
        skip("the default strip is most of the image")


class Solve:
    """Time to the tolerance, or to the iteration limit where a method is slow."""

    params = (METHODS, ("layer", "blur"), (64, 128), DTYPES, BACKENDS)
    param_names = ("method", "problem", "size", "dtype", "backend")

    def setup(self, method, name, size, dtype, backend):
        self.xp = library(backend)
        self.op, self.x, self.b = problem(name, size, dtype, self.xp)
        self.traits = traits(method)
        refuse(self.traits, name, self.op)
        self.solve(method, maxiter=2)

    def solve(self, method, maxiter=None):
        if maxiter is None:
            maxiter = FEW if self.traits.needs_rows else MAXITER
        result = quietly(self.op, self.b, method, rtol=RTOL, maxiter=maxiter, rng=0)
        synchronize(self.xp)
        return result

    def time_solve(self, method, name, size, dtype, backend):
        self.solve(method)


class Quality(Solve):
    """What a method reaches within the iteration limit, and how soon."""

    params = (METHODS, PROBLEMS, (64,), DTYPES, BACKENDS)
    time_solve = None

    def track_iterations(self, method, name, size, dtype, backend):
        return self.solve(method).nit

    track_iterations.unit = "iterations"

    def track_psnr(self, method, name, size, dtype, backend):
        """Against the image that made b, not the minimizer, for peak 1."""
        return min(psnr(self.solve(method).x, self.x), MOST_DECIBELS)

    track_psnr.unit = "dB"


class AgainstSciPy:
    """Time divided by SciPy's, for as many iterations on the same operator."""

    params = (("gmres", "lsmr", "lsqr"), (64, 256))
    param_names = ("method", "size")
    unit = "times SciPy's time"
    iterations = 30

    def setup(self, method, size):
        n = self.iterations
        op, _, b = problem("blur" if method == "gmres" else "layer", size, "float64")
        flat = b.ravel()
        options = {"restart": n} if method == "gmres" else {}

        def scipys():
            if method == "gmres":
                linalg.gmres(op, flat, rtol=0, restart=n, maxiter=1)
            elif method == "lsqr":
                linalg.lsqr(op, flat, atol=0, btol=0, conlim=0, iter_lim=n)
            else:
                linalg.lsmr(op, flat, atol=0, btol=0, conlim=0, maxiter=n)

        self.calls = {
            "convinv": lambda: quietly(op, b, method, rtol=0, maxiter=n, **options),
            "scipy": scipys,
        }

    def track_ratio_scipy(self, method, size):
        with np.errstate(all="ignore"):
            times = interleaved(self.calls, seconds=0.2, rounds=3)
        return times["convinv"].over(times["scipy"])[0]


class Iteration:
    """An iteration divided by its two products."""

    params = ("cgls", "rshk")
    param_names = ("method",)
    unit = "products of the iteration"

    def track_iteration_cost(self, method):
        times = iteration(method, Layer(3, 8, 3, 256, 20), "float32", rounds=2)
        return times["iteration"].over(times["products"])[0]
