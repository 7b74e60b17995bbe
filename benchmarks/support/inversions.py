"""Problems that are inverted exactly: photographs behind a convolution, and noise."""

from typing import NamedTuple

from convinv import ConvLinearOperator

from .photographs import add_noise, photographs
from .versions import optional

gallery = optional("convinv.gallery")


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
        add_noise(b)
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
