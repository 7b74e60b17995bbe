"""Peak memory of whole processes: interpreter and imports included."""

import convinv
from benchmarks.support.devices import skip
from benchmarks.support.layers import DTYPES, Layer
from benchmarks.support.quiet import quietly

METHODS = {m.name: m for m in convinv.methods() if m.objective == "least-squares"}
LAYER = Layer(3, 8, 3, 64, 80)


class Product:
    params = (DTYPES,)
    param_names = ("dtype",)

    def setup(self, dtype):
        self.op, self.x, self.y = LAYER.data(dtype)

    def peakmem_data_alone(self, dtype):
        return self.x, self.y

    def peakmem_forward(self, dtype):
        self.op.forward(self.x)

    def peakmem_adjoint(self, dtype):
        self.op.adjoint(self.y)


class Solve:
    params = (
        tuple(name for name, m in METHODS.items() if not m.square),
        DTYPES,
    )
    param_names = ("method", "dtype")

    def setup(self, method, dtype):
        self.op, x, _ = LAYER.data(dtype)
        self.b = self.op.forward(x)
        if not METHODS[method].takes(self.op):
            skip("the method does not take this layer")

    def peakmem_solve(self, method, dtype):
        quietly(self.op, self.b, method, maxiter=3)
