"""The exact inverses: set-up, solve, memory and what the set-up keeps."""

import warnings

import convinv

from .exact_measure import RTOLS
from .problems import Inversion, skip

CASES = {
    "layer 64": Inversion("3to8", 64, 20, "float32"),
    "layer 256": Inversion("3to8", 256, 1, "float32"),
    "blur 256": Inversion("gaussian", 256, 1, "float32", damp=1e-2),
}
METHODS = ("direct", "schwarz", "spectral", "auto")
DIRECT_BYTES = 2**26  # of the factor; larger ones are left to exact_grid.py


class Exact:
    params = (METHODS, tuple(CASES))
    param_names = ("method", "problem")

    def setup(self, method, name):
        warnings.simplefilter("ignore", convinv.ConvergenceWarning)
        self.case = CASES[name]
        if method == "spectral":
            self.case = self.case._replace(boundary="periodic")
        self.options = {"damp": self.case.damp, "rtol": RTOLS[0]}
        if method == "direct":
            self.options["memory"] = DIRECT_BYTES
        self.op, self.b = self.case.data()
        try:
            self.result = self.solve(method, self.op, self.b)
        except ValueError as error:
            skip(str(error))

    def solve(self, method, op, b):
        return convinv.solve(op, b, method, **self.options)


class Time(Exact):
    def time_solve(self, method, name):
        """With the set-up that the operator keeps."""
        self.solve(method, self.op, self.b)

    def time_setup(self, method, name):
        """A new operator and one image."""
        self.solve(method, self.case.operator(), self.b[:1])


class Memory(Exact):
    def peakmem_solve(self, method, name):
        self.solve(method, self.case.operator(), self.b)

    def track_nbytes(self, method, name):
        """What the set-up keeps."""
        return self.result.extra.get("nbytes", float("nan"))

    track_nbytes.unit = "bytes"
