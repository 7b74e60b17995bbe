"""One case of the benchmark of the default call: operator, pictures and data."""

import math
from typing import NamedTuple

import numpy as np

from convinv import ConvLinearOperator, gallery

from ..support.photographs import add_noise, photographs
from ..support.tables import extent

PHOTOGRAPH = "astronaut"  # of which stacks are made
# Kernels of layers as (channels in, filters, taps), and the options of their operators.
LAYERS = {
    "1->8": ((1, 8, 3), {}),
    "3->8": ((3, 8, 3), {}),
    "3->3 same": ((3, 3, 3), {"padding": "same"}),
    "16->64": ((16, 64, 3), {}),
    "32->32": ((32, 32, 3), {}),
    "3->64 7x7 stride 2": ((3, 64, 7), {"stride": 2, "padding": 3}),
    "patches 3->192 8x8": ((3, 192, 8), {"stride": 8}),
    "depthwise 32": ((1, 32, 3), {"padding": "same", "groups": 32}),
    "filters 1->128 512": ((1, 128, (512,)), {"stride": 4, "padding": 254}),
}
# Small images to compile on: sides by the layer, and by the axes for all others.
SMALL = {
    "16->64": 12,
    "32->32": 12,
    "3->64 7x7 stride 2": 20,
    "patches 3->192 8x8": 8,
    "filters 1->128 512": 64,
}
SMALL_TAPS, SMALL_SIDES = 5, {2: 32, 3: 12}
SMALL_BATCH, SMALL_DAMP = 8, 0.1


class Case(NamedTuple):
    """A layer of `LAYERS` or a blur of `BLURS`, with what it is solved for.

    `size`, `taps`, `boundary` and `padding` have the operator's meaning; layers have
    their own taps and padding. `penalty` is the weight of difference filters that are
    stacked under a blur as further output channels with zeros as data.
    """

    kind: str
    size: tuple
    batch: int = 1
    dtype: str = "float64"
    damp: float = 0.0
    taps: tuple = ()
    boundary: str = "zero"
    padding: str = "same"
    penalty: float = 0.0

    def __str__(self):
        parts = [self.kind]
        if not self.is_layer:
            mode = "valid" if self.padding == "valid" else self.boundary
            parts[0] += f" {extent(self.taps)} {mode}"
        parts += [extent(self.size), f"batch {self.batch}", self.dtype]
        parts.append(f"damp {self.damp:g}")
        if self.penalty:
            parts.append(f"penalty {self.penalty:g}")
        return ", ".join(parts)

    @property
    def is_layer(self):
        return self.kind in LAYERS

    @property
    def is_regularized(self):
        return bool(self.damp or self.penalty)

    def operator(self):
        """A new operator, without what an earlier solve has kept with its own."""
        kernel, options = self._kernel_and_options()
        channels = kernel.shape[1] * options.get("groups", 1)
        shape = (channels, *self.size)
        return ConvLinearOperator(kernel.astype(self.dtype), shape, **options)

    def _kernel_and_options(self):
        if self.is_layer:
            (c_in, filters, taps), options = LAYERS[self.kind]
            return gallery.conv_layer(c_in, filters, taps, rng=0), options
        kernel = BLURS[self.kind](self.taps)[None, None]
        if self.penalty:
            penalties = self.penalty * differences(self.taps)[:, None]
            kernel = np.concatenate([kernel, penalties])
        return kernel, {"boundary": self.boundary, "padding": self.padding}

    def data(self):
        """``(x, b)``: pictures and ``A x``, noisy where the problem is regularized.

        The channels of a penalty hold zeros.
        """
        op = self.operator()
        x = pictures(op.input_shape, self.batch).astype(self.dtype)
        b = op.forward(x)
        if self.penalty:
            b[:, 1:] = 0
        if self.is_regularized:
            add_noise(b[:, :1] if self.penalty else b)
        return x, b

    def small(self):
        """A small case that needs the same compiled kernels."""
        side = SMALL.get(self.kind, SMALL_SIDES.get(len(self.size)))
        return self._replace(
            size=(side,) * len(self.size),
            batch=min(self.batch, SMALL_BATCH),
            damp=SMALL_DAMP if self.damp else 0.0,
            taps=(SMALL_TAPS,) * len(self.taps),
        )


def disc(taps):
    """A disc, ball or ellipsoid that fills the taps, its rim by distance; sum 1."""
    axes = [(np.arange(n) - (n - 1) / 2) / (n / 2) for n in taps]
    distance = np.sqrt(sum(u**2 for u in np.meshgrid(*axes, indexing="ij")))
    kernel = np.clip((1 - distance) * min(taps) / 2 + 0.5, 0, 1)
    return kernel / kernel.sum()


BLURS = {
    "gaussian": lambda taps: gallery.gaussian_kernel(taps, [n / 6 for n in taps]),
    "disc": disc,
    "motion": lambda taps: gallery.motion_kernel(taps[0], rng=0),
}


def differences(taps):
    """Forward differences along every axis, in the middle of so many taps."""
    middle = tuple(n // 2 for n in taps)
    filters = np.zeros((len(taps), *taps))
    for axis in range(len(taps)):
        ahead = tuple(m + (a == axis) for a, m in enumerate(middle))
        filters[(axis, *middle)], filters[(axis, *ahead)] = -1, 1
    return filters


def pictures(shape, batch):
    """Photographs as ``(batch, *shape)``: planes, signals or stacks.

    A signal is the rows of a photograph one after the other; the planes of a stack are
    one photograph that moves by a pixel from plane to plane.
    """
    channels, *size = shape
    if len(size) == 1:
        side = math.isqrt(size[0] - 1) + 1
        rows = photographs(channels, side, batch).reshape(batch, channels, -1)
        return rows[..., : size[0]]
    if len(size) == 2:
        return photographs(channels, size[0], batch)
    depth, height, width = size
    plane = gallery.image(PHOTOGRAPH, depth + max(height, width), dtype=np.float32)[0]
    stack = [plane[k : k + height, k : k + width] for k in range(depth)]
    return np.broadcast_to(np.stack(stack), (batch, channels, *size))
