"""Peak memory of whole processes: interpreter and imports included."""

from benchmarks.support.devices import skip
from benchmarks.support.layers import DTYPES, Layer
from benchmarks.support.quiet import quietly
from benchmarks.support.versions import method_names, traits

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
    params = (method_names(), DTYPES)
    param_names = ("method", "dtype")

    def setup(self, method, dtype):
        self.op, x, _ = LAYER.data(dtype)
        self.b = self.op.forward(x)
        found = traits(method)
        if found.square or not found.takes(self.op):
            skip("the method does not take this layer")

    def peakmem_solve(self, method, dtype):
        quietly(self.op, self.b, method, maxiter=3)
