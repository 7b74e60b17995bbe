"""The operator around its kernels: construction, overhead of a product, its matrix."""

import numpy as np

from convinv import ConvLinearOperator, gallery

from .problems import SMALL

KERNEL = gallery.conv_layer(3, 8, rng=0)


class Construction:
    """Its time should not depend on the size of the image."""

    params = (64, 4096)
    param_names = ("size",)

    def setup(self, size):
        self.time_construct(size)

    def time_construct(self, size):
        ConvLinearOperator(KERNEL, (3, size, size), padding="same")


class FirstProduct:
    """A new operator and one product: what preparing the kernel costs."""

    params = (tuple(SMALL),)
    param_names = ("layer",)

    def setup(self, layer):
        layer = SMALL[layer]
        self.layer = layer._replace(size=layer.taps * layer.stride, batch=1)
        _, self.x, _ = self.layer.data("float64")
        self.time_first_product(layer)

    def time_first_product(self, layer):
        self.layer.operator("float64").forward(self.x)


class Overhead:
    """Products so small that only the way to the kernel counts."""

    def setup(self):
        rng = np.random.default_rng(0)
        self.op = ConvLinearOperator(gallery.conv_layer(1, 1, rng=0), (1, 8, 8))
        self.x = rng.standard_normal(self.op.shape[1])
        self.y = rng.standard_normal(self.op.shape[0])
        self.image = self.x.reshape(self.op.input_shape)
        self.time_matvec()
        self.time_rmatvec()

    def time_matvec(self):
        self.op.matvec(self.x)

    def time_rmatvec(self):
        self.op.rmatvec(self.y)

    def time_forward(self):
        self.op.forward(self.image)


class Matrix:
    params = (16, 64)
    param_names = ("size",)

    def setup(self, size):
        self.op = ConvLinearOperator(KERNEL, (3, size, size), padding="same")

    def time_tosparse(self, size):
        self.op.tosparse()
