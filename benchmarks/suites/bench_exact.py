"""The exact inverses: set-up, solve, memory and what the set-up keeps."""

import numpy as np

from benchmarks.support.devices import BACKENDS, library, placed, skip, synchronize
from benchmarks.support.inversions import Inversion
from benchmarks.support.quiet import quietly

CASES = {
    "layer 64": Inversion("3to8", 64, 20, "float32"),
    "layer 256": Inversion("3to8", 256, 1, "float32"),
    "blur 256": Inversion("gaussian", 256, 1, "float32", damp=1e-2),
}
RTOL = 1e-6
METHODS = ("direct", "schwarz", "spectral", "auto")
DIRECT_BYTES = 2**26  # of the factor; larger ones are left to benchmarks.exact_grid


class Exact:
    params = (METHODS, tuple(CASES), BACKENDS)
    param_names = ("method", "problem", "backend")

    def setup(self, method, name, backend):
        self.xp = library(backend)
        self.case = CASES[name]
        if method == "spectral":
            self.case = self.case._replace(boundary="periodic")
        self.options = {"damp": self.case.damp, "rtol": RTOL}
        if method == "direct":
            self.options["memory"] = DIRECT_BYTES
        try:
            op, b = self.case.data()
        except ImportError as error:
            skip(str(error))
        self.op, self.b = self.on_device(op), self.xp.asarray(b)
        try:
            self.result = self.solve(method, self.op, self.b)
        except ValueError as error:
            skip(str(error))

    def solve(self, method, op, b):
        result = quietly(op, b, method, **self.options)
        synchronize(self.xp)
        return result

    def fresh(self):
        return self.on_device(self.case.operator())

    def on_device(self, op):
        return op if self.xp is np else placed(op, self.xp)


class Time(Exact):
    def time_solve(self, method, name, backend):
        """With the set-up that the operator keeps."""
        self.solve(method, self.op, self.b)

    def time_setup(self, method, name, backend):
        """A new operator and one image."""
        self.solve(method, self.fresh(), self.b[:1])


class Memory(Exact):
    params = (METHODS, tuple(CASES), ("numpy",))  # the peak is that of the host

    def peakmem_solve(self, method, name, backend):
        self.solve(method, self.fresh(), self.b)

    def track_nbytes(self, method, name, backend):
        """What the set-up keeps."""
        return self.result.extra.get("nbytes", float("nan"))

    track_nbytes.unit = "bytes"
