"""Layers that the benchmarks share; all seeds are fixed."""

from typing import NamedTuple

import numpy as np

from convinv import ConvLinearOperator

from .versions import optional

gallery = optional("convinv.gallery")
DTYPES = ("float32", "float64")


class Layer(NamedTuple):
    """A two-dimensional layer with square images and kernels, and a batch for it."""

    c_in: int
    c_out: int
    taps: int
    size: int
    batch: int
    stride: int = 1
    padding: int = 0
    boundary: str = "zero"

    def __str__(self):
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        boundary = f", {self.boundary}" if self.boundary != "zero" else ""
        return (
            f"{self.c_in}->{self.c_out}, {self.taps}x{self.taps}{stride}{boundary}, "
            f"{self.size}x{self.size}, batch {self.batch}"
        )

    def operator(self, dtype, xp=np):
        kernel = gallery.conv_layer(
            self.c_in, self.c_out, self.taps, rng=0, dtype=dtype
        )
        return ConvLinearOperator(
            xp.asarray(kernel),
            (self.c_in, self.size, self.size),
            stride=self.stride,
            padding=self.padding,
            boundary=self.boundary,
        )

    def data(self, dtype, xp=np):
        """The operator, a batch of inputs and a batch of outputs."""
        op, rng = self.operator(dtype, xp), np.random.default_rng(1)
        x, y = (
            xp.asarray(rng.standard_normal((self.batch, *shape)).astype(dtype))
            for shape in (op.input_shape, op.output_shape)
        )
        return op, x, y

    def torch_products(self, op, x, y):
        """The same two products by torch, as functions without arguments."""
        import torch

        kernel, x, y = map(tensor, (op.kernel, x, y))
        covered = (y.shape[-1] - 1) * self.stride + self.taps
        options = {"stride": self.stride, "padding": self.padding}
        rest = self.size + 2 * self.padding - covered

        def forward():
            return torch.conv2d(x, kernel, **options)

        def adjoint():
            return torch.conv_transpose2d(y, kernel, output_padding=rest, **options)

        return forward, adjoint


def tensor(array):
    """An array as one of torch: a copy on the host, on a device in the same memory."""
    import torch

    if isinstance(array, np.ndarray):
        return torch.from_numpy(np.array(array))
    return torch.from_dlpack(array)


def operations(layer, op):
    """Floating-point operations of one product with the batch."""
    return 2 * op.geometry.multiplications * layer.batch


def traffic(layer, op):
    """Bytes of one product: input and output, each moved once."""
    return sum(op.shape) * layer.batch * op.dtype.itemsize


# What the kernels are held to; benchmarks.kernel_table measures them.
BARS = (
    Layer(3, 8, 3, 256, 20),
    Layer(3, 8, 3, 64, 200),
    Layer(1, 1, 11, 512, 4),
    Layer(64, 64, 3, 64, 8),
    Layer(16, 32, 3, 128, 16, stride=2),
    Layer(128, 128, 3, 32, 2),
    Layer(3, 8, 3, 61, 200),
)

# The same kinds of layers, small enough for a run over many commits.
SMALL = {
    "thin": Layer(3, 8, 3, 64, 20),
    "psf": Layer(1, 1, 11, 128, 4),
    "thick": Layer(64, 64, 3, 32, 2),
    "strided": Layer(16, 32, 3, 64, 4, stride=2),
}
