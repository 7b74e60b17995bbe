"""The operator around its kernels: construction, overhead of a product, its matrix."""

import numpy as np

from benchmarks.support.devices import BACKENDS, library, synchronize
from benchmarks.support.layers import SMALL
from benchmarks.support.versions import optional
from convinv import ConvLinearOperator

gallery = optional("convinv.gallery")


class Construction:
    """Its time should not depend on the size of the image."""

    params = ((64, 4096), BACKENDS)
    param_names = ("size", "backend")

    def setup(self, size, backend):
        self.xp = library(backend)
        self.kernel = self.xp.asarray(gallery.conv_layer(3, 8, rng=0))
        self.time_construct(size, backend)

    def time_construct(self, size, backend):
        ConvLinearOperator(self.kernel, (3, size, size), padding="same")
        synchronize(self.xp)


class FirstProduct:
    """A new operator and one product: what preparing the kernel costs."""

    params = (tuple(SMALL), BACKENDS)
    param_names = ("layer", "backend")

    def setup(self, layer, backend):
        self.xp, layer = library(backend), SMALL[layer]
        self.layer = layer._replace(size=layer.taps * layer.stride, batch=1)
        _, self.x, _ = self.layer.data("float64", self.xp)
        self.time_first_product(layer, backend)

    def time_first_product(self, layer, backend):
        self.layer.operator("float64", self.xp).forward(self.x)
        synchronize(self.xp)


class Overhead:
    """Products so small that only the way to the kernel counts."""

    params = (BACKENDS,)
    param_names = ("backend",)

    def setup(self, backend):
        xp, rng = library(backend), np.random.default_rng(0)
        kernel = xp.asarray(gallery.conv_layer(1, 1, rng=0))
        self.xp, self.op = xp, ConvLinearOperator(kernel, (1, 8, 8))
        self.x, self.y = (
            xp.asarray(rng.standard_normal(n)) for n in self.op.shape[::-1]
        )
        self.image = self.x.reshape(self.op.input_shape)
        self.op.matvec(self.x)
        self.op.rmatvec(self.y)

    def time_matvec(self, backend):
        self.op.matvec(self.x)
        synchronize(self.xp)

    def time_rmatvec(self, backend):
        self.op.rmatvec(self.y)
        synchronize(self.xp)

    def time_forward(self, backend):
        self.op.forward(self.image)
        synchronize(self.xp)


class Matrix:
    params = (16, 64)
    param_names = ("size",)

    def setup(self, size):
        kernel = gallery.conv_layer(3, 8, rng=0)
        self.op = ConvLinearOperator(kernel, (3, size, size), padding="same")

    def time_tosparse(self, size):
        self.op.tosparse()
