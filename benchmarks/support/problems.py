"""Layers and test problems that the benchmarks share; all seeds are fixed."""

import functools
import importlib
from typing import NamedTuple

import numba  # noqa: F401  here, so that processes forked later need not import it
import numpy as np

from convinv import ConvLinearOperator, gallery

DTYPES = ("float32", "float64")
BACKENDS = ("numpy", "cupy")


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


# What the kernels are held to; kernel_table.py measures them.
BARS = (
    Layer(3, 8, 3, 256, 20),
    Layer(3, 8, 3, 64, 200),
    Layer(1, 1, 11, 512, 4),
    Layer(64, 64, 3, 64, 8),
    Layer(16, 32, 3, 128, 16, stride=2),
)

# The same kinds of layers, small enough for a run over many commits.
SMALL = {
    "thin": Layer(3, 8, 3, 64, 20),
    "psf": Layer(1, 1, 11, 128, 4),
    "thick": Layer(64, 64, 3, 32, 2),
    "strided": Layer(16, 32, 3, 64, 4, stride=2),
}


class Inversion(NamedTuple):
    """Photographs behind a convolution and noise, to be inverted exactly.

    `name` is one of `LAYERS` (3 x 3 with default weights, valid unless the boundary is
    another than "zero") or `BLURS` (one channel, padding "same"). The noise is 1 % of
    the root mean square of ``A x``.
    """

    name: str
    size: int
    batch: int
    dtype: str
    boundary: str = "zero"
    damp: float = 0.0

    def __str__(self):
        kind = f"{self.boundary} boundary, damp {self.damp:g}, " if self.damp else ""
        title = self.name.replace("to", "->") if self.is_layer else self.name
        return f"{title}, {kind}{self.size}x{self.size}, batch {self.batch}"

    @property
    def is_layer(self):
        return self.name in LAYERS

    def operator(self, dtype=None):
        """A new operator, without what an earlier solve may have kept with its own.

        In another dtype it is the same operator: the kernel is rounded to the case's.
        """
        kernel = LAYERS[self.name]() if self.is_layer else BLURS[self.name]()
        kernel = kernel.astype(self.dtype)
        valid = self.is_layer and self.boundary == "zero"
        return ConvLinearOperator(
            kernel if dtype is None else kernel.astype(dtype),
            (kernel.shape[1], self.size, self.size),
            padding=0 if valid else "same",
            boundary=self.boundary,
        )

    def data(self):
        """The operator and its noisy output for a batch of photographs."""
        op = self.operator()
        x = photographs(op.input_shape[0], self.size, self.batch).astype(self.dtype)
        b = op.forward(x)
        noise = np.random.default_rng(3).standard_normal(b.shape, np.float32)
        noise *= 0.01 * np.sqrt(np.mean(b**2, dtype=float))
        b += noise.astype(b.dtype, copy=False)
        return op, b


def _layer(c_in, c_out):
    return lambda: gallery.conv_layer(c_in, c_out, rng=0)


LAYERS = {
    "1to8": _layer(1, 8),
    "3to8": _layer(3, 8),
    "3to16": _layer(3, 16),
    "16to64": _layer(16, 64),
    "8to3": _layer(8, 3),
}
BLURS = {
    "gaussian": lambda: gallery.gaussian_kernel(11, 1.0)[None, None],
    "motion": lambda: gallery.motion_kernel(15, 0)[None, None],
}


def photographs(channels, size, batch):
    """``(batch, channels, size, size)`` numbers between 0 and 1, of photographs.

    The colour planes of all photographs in a row, cut into items; when they have all
    been used they come again, turned or mirrored.
    """
    items = np.empty((batch * channels, size, size), np.float32)
    names = gallery.images()
    done = 0
    for turn in range(8):
        for name in names:
            planes = np.rot90(_planes(name, size), turn % 4, axes=(1, 2))
            planes = planes if turn < 4 else planes[:, :, ::-1]
            taken = min(len(planes), len(items) - done)
            items[done : done + taken] = planes[:taken]
            done += taken
            if done == len(items):
                return items.reshape(batch, channels, size, size)
    rest = np.resize(items[:done], (len(items) - done, size, size))
    items[done:] = rest  # the very same again, in an item with other neighbours
    return items.reshape(batch, channels, size, size)


@functools.lru_cache(maxsize=64)
def _planes(name, size):
    return gallery.image(name, size, dtype=np.float32)


PROBLEMS = ("layer", "wide", "blur")


def problem(name, size, dtype, xp=np):
    """``(op, x, b)`` of a named inverse problem with ``b = A x``.

    "layer" has more data than unknowns, "wide" fewer, and "blur" is square, Hermitian
    and positive definite.
    """
    rng = np.random.default_rng(2)
    op = problem_operator(name, size, dtype, xp, rng)
    cells = rng.random((op.input_shape[0], size // 8, size // 8))
    x = xp.asarray(np.kron(cells, np.ones((8, 8))).astype(dtype))
    return op, x, op.forward(x)


def problem_operator(name, size, dtype, xp=np, rng=2):
    """The operator of a named problem, which draws its weights from `rng`."""
    if name == "blur":
        kernel = gallery.gaussian_kernel(11, 1.0)[None, None]
        channels, padding = 1, "same"
    else:
        channels, filters, padding = {"layer": (3, 8, 0), "wide": (3, 2, 1)}[name]
        kernel = gallery.conv_layer(channels, filters, rng=rng)
    return ConvLinearOperator(
        xp.asarray(kernel.astype(dtype)), (channels, size, size), padding=padding
    )


def placed(op, xp):
    """A new operator on a library's device, without what an earlier solve kept."""
    return ConvLinearOperator(xp.asarray(op.kernel), op.input_shape, **op._options)


def library(backend):
    """The array library of a backend; skips a benchmark that has no device."""
    if backend == "numpy":
        return np
    reason = missing(backend)
    if reason:
        skip(reason)
    return importlib.import_module(backend)


def missing(backend):
    """Why no device can be used with a library, or None."""
    try:
        found = importlib.import_module(backend).cuda.runtime.getDeviceCount()
    except Exception as error:  # a broken installation raises all sorts of errors
        return f"{backend}: {error}"
    return None if found else f"{backend} finds no device"


def skip(reason):
    """End the setup of a benchmark that can't run; asv shows it as n/a."""
    from asv_runner.benchmarks.mark import SkipNotImplemented

    raise SkipNotImplemented(reason)


def synchronise(xp):
    """Wait for the device, inside whatever is timed."""
    if xp is not np:
        xp.cuda.Device().synchronize()
