"""The two products of a convolution: by layer, dtype, boundary, and against torch."""

from benchmarks.support.devices import BACKENDS, library, skip, synchronize
from benchmarks.support.layers import DTYPES, SMALL, Layer
from benchmarks.support.measure import interleaved

BOUNDARIES = ("zero", "periodic", "reflect", "symmetric", "replicate")


class Products:
    params = (tuple(SMALL), DTYPES, BACKENDS)
    param_names = ("layer", "dtype", "backend")

    def setup(self, layer, dtype, backend):
        self.prepare(SMALL[layer], dtype, backend)

    def prepare(self, layer, dtype, backend):
        self.xp = library(backend)
        self.op, self.x, self.y = layer.data(dtype, self.xp)
        self.op.forward(self.x)
        self.op.adjoint(self.y)
        synchronize(self.xp)

    def time_forward(self, layer, dtype, backend):
        self.op.forward(self.x)
        synchronize(self.xp)

    def time_adjoint(self, layer, dtype, backend):
        self.op.adjoint(self.y)
        synchronize(self.xp)


class Boundaries(Products):
    params = (BOUNDARIES, DTYPES, BACKENDS)
    param_names = ("boundary", "dtype", "backend")

    def setup(self, boundary, dtype, backend):
        layer = Layer(3, 8, 3, 64, 20, padding=1, boundary=boundary)
        self.prepare(layer, dtype, backend)


class AgainstTorch:
    """Time of a product divided by torch's, on the same threads and arrays.

    benchmarks.kernel_table has larger layers, and more of them.
    """

    params = (("thin", "thick"), DTYPES, ("forward", "adjoint"))
    param_names = ("layer", "dtype", "product")
    unit = "times torch's time"

    def setup(self, layer, dtype, product):
        try:
            import torch  # noqa: F401
        except ImportError:
            skip("needs torch")
        layer = SMALL[layer]
        op, x, y = layer.data(dtype)
        forward, adjoint = layer.torch_products(op, x, y)
        self.calls = {
            "forward": {"convinv": lambda: op.forward(x), "torch": forward},
            "adjoint": {"convinv": lambda: op.adjoint(y), "torch": adjoint},
        }[product]

    def track_ratio_torch(self, layer, dtype, product):
        times = interleaved(self.calls, seconds=0.1)
        return times["convinv"].over(times["torch"])[0]
